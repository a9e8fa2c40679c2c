"""The delayed link in a thread of this process, or by `python -m hybrid.stores.link` in a process of its own.

A process of its own spares a busy client from sharing its interpreter lock with the proxy; `RemoteLink` steers it from
elsewhere (see `hybrid.stores.remote_link`).
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from hybrid.errors import EmbeddedServerError
from hybrid.stores.ports import LOOPBACK
from hybrid.stores.proxy import Faults, LinkState, Proxy
from hybrid.stores.steering import Steering, answer_for_link

__all__ = ["Faults", "Link", "LinkState"]

T = TypeVar("T")


class Link(Steering):
    """A delayed link in a daemon thread of this process; every method may be called from any thread.

    It is reached at `host:port` (0: a free one) and leads to `target_host:target_port`, `round_trip_s` away.
    """

    def __init__(
        self, target_host: str, target_port: int, *, host: str = LOOPBACK, port: int = 0, round_trip_s: float = 0.06
    ) -> None:
        self._arguments = (target_host, target_port)
        self._options: dict[str, Any] = {"host": host, "port": port, "round_trip_s": round_trip_s}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._proxy: Proxy
        self._thread: threading.Thread
        self._owner_pid = os.getpid()

    def start(self) -> Link:
        """Listen. Raises EmbeddedServerError when the port is taken."""
        if self._loop is not None:
            return self
        self._loop = asyncio.SelectorEventLoop()  # whatever the policy says: uvloop was seen to stall here
        self._thread = threading.Thread(target=self._loop.run_forever, name="hybrid-link", daemon=True)
        self._thread.start()
        try:
            self._run(self._create)
        except BaseException:
            self._stop_loop()
            raise
        return self

    @property
    def port(self) -> int:
        return self._proxy.port

    @property
    def url(self) -> str:
        return f"redis://{self._options['host']}:{self.port}"

    def close(self) -> None:
        """Reset the connections and free the port. Does nothing in a forked child, or a second time."""
        if self._loop is None or os.getpid() != self._owner_pid:
            return
        self._run(self._proxy.close)
        self._stop_loop()

    def __enter__(self) -> Link:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    async def _create(self) -> None:
        self._proxy = Proxy(*self._arguments, **self._options)
        await self._proxy.start()

    def _ask(self, do: str, **arguments: Any) -> Any:
        return self._run(lambda: answer_for_link(self._proxy, do, arguments))

    def _run(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        if self._loop is None:
            raise EmbeddedServerError("the link is not started")
        return asyncio.run_coroutine_threadsafe(work(), self._loop).result(timeout=10)

    def _stop_loop(self) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._loop = None


if __name__ == "__main__":
    from hybrid.stores.remote_link import main

    main()
