"""The plain wire to one store that all tasks of a loop share."""

from __future__ import annotations

import asyncio
from functools import partial

from hybrid.aio.endpoint import LoopEndpoint
from hybrid.aio.wire import Wire
from hybrid.core.outcomes import NotSent
from hybrid.replication.engine import Engine

__all__ = ["Shared"]


class Shared:
    """Opens it when it is first asked for, and again after the store had failed."""

    def __init__(self, endpoint: LoopEndpoint, engine: Engine) -> None:
        self._endpoint, self._engine = endpoint, engine
        self._wire: Wire | None = None
        self._opening: asyncio.Task[Wire] | None = None

    @property
    def wire(self) -> Wire | None:
        """The wire, if it is there and good."""
        wire = self._wire
        return wire if wire is not None and self._endpoint.is_good(wire) else None

    async def connected(self) -> Wire:
        """The wire, opened if it must be. Raises NotSent."""
        return await asyncio.shield(self._opened())

    def warm(self) -> None:
        """Open it ahead of its first use."""
        if self.wire is None:
            self._opened()

    def _opened(self) -> asyncio.Task[Wire]:
        if self._opening is None:
            self._opening = asyncio.get_running_loop().create_task(self._open())
            self._opening.add_done_callback(self._done)
        return self._opening

    async def _open(self) -> Wire:
        store = self._endpoint.store
        try:
            wire = await self._endpoint.connect_plain()
        except NotSent as error:
            self._engine.reach.failed(store, error)
            raise
        wire.on_lost = partial(self._engine.reach.cut, store)
        old, self._wire = self._wire, wire
        if old is not None and old.is_idle:
            old.close()
        return wire

    def _done(self, task: asyncio.Task[Wire]) -> None:
        self._opening = None
        if not task.cancelled():
            task.exception()  # those who awaited it have it
