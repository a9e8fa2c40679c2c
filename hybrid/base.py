"""What the two clients have in common besides the commands: opening, settings, and what this process knows."""

from __future__ import annotations

import os
import weakref
from collections.abc import Sequence
from typing import Any, Self

from hybrid import events
from hybrid.calls import Calls
from hybrid.core import flows
from hybrid.core.flows import Flow
from hybrid.core.health import Evidence
from hybrid.core.names import RESERVED, Names
from hybrid.core.transaction import refill
from hybrid.errors import StoreUnavailable
from hybrid.observe.latency import LatencySummary
from hybrid.replication.engine import Engine
from hybrid.settings import Settings
from hybrid.stores.endpoint import Endpoint
from hybrid.types import Store

__all__ = ["Base"]


class Base(Calls):
    """Owns the engine of one client; see `HybridRedis` for the arguments."""

    def __init__(
        self,
        settings: Settings,
        *,
        hooks: Sequence[events.Hook] = (),
        namespace: str = RESERVED.decode(),
        **options: Any,
    ) -> None:
        self.events = events.EventLog(tuple(hooks))
        self._engine = Engine(settings, self.events, Names(namespace.encode()), options)
        self._prepare_calls(self._engine.board, self._engine.names, options)
        self._closed = False
        # The threads know nothing of the client, so that one that is dropped unclosed does not leave them behind.
        weakref.finalize(self, self._engine.abandon).atexit = False

    @classmethod
    def from_env(cls, env_file: str | os.PathLike[str] | None = ".env", **options: Any) -> Self:
        """A client configured by arguments, the environment and a `.env` file, in this order of precedence."""
        settings, rest = _split(options)
        return cls(Settings.from_env(env_file, **settings), **rest)

    @classmethod
    def from_urls(cls, local: str | None, cloud: str | None = None, **options: Any) -> Self:
        """A client on these two stores; further settings and redis-py options by name."""
        settings, rest = _split(options)
        return cls(Settings(local_url=local, cloud_url=cloud, **settings), **rest)

    @classmethod
    def from_url(cls, url: str, **options: Any) -> Self:
        """As redis-py's: one URL, so only a local store, unless `cloud_url` is given."""
        return cls.from_urls(url, options.pop("cloud_url", None), **options)

    def __del__(self) -> None:
        """Threads and sockets are daemons of the process; nothing is to be waited for here."""

    def __repr__(self) -> str:
        return f"<HybridRedis {self.settings!r}>"

    @property
    def settings(self) -> Settings:
        """The settings in effect."""
        return self._board.settings

    def latency(self, store: Store) -> LatencySummary | None:
        """How this process's own calls to `store` did lately; None without any."""
        return self._engine.latency[store].summary()

    def _endpoint(self, store: Store) -> Endpoint:
        endpoint = self._engine.endpoints.get(store)
        if endpoint is None:
            raise StoreUnavailable(f"no {store} store is configured")
        return endpoint

    def _configured(self, changes: dict[str, Any]) -> Flow | None:
        """Put changed settings into effect; the flow, if any, has the stores made equal."""
        settings = self.settings.with_changes(**changes)
        shown_changes = ", ".join(f"{name}={settings.masked()[name]}" for name in changes)
        begins = settings.replicated and not self.settings.replicated
        self._board.configure(settings, shown_changes)
        if begins:
            # Until it is greeted and caught up again, the cloud store counts as behind.
            self._board.observe(Store.CLOUD, Evidence.BEHIND)
        self._engine.renew()
        # What was written meanwhile is on the local store only.
        return flows.write(self._board, refill(self._names), self._hint, confirm=False) if begins else None


def _split(options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    names = Settings.__dataclass_fields__
    settings = {name: value for name, value in options.items() if name in names}
    return settings, {name: value for name, value in options.items() if name not in names}
