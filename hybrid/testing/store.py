"""One real store that can fail in every way a store fails."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import redis

from hybrid.errors import EmbeddedServerError
from hybrid.stores.link import Link
from hybrid.stores.ports import LOOPBACK
from hybrid.stores.processes import ServerProcess
from hybrid.types import Store

__all__ = ["FaultyStore"]

_DIRECT_TIMEOUT_S = 5.0


class FaultyStore:
    """A server of the test's own, behind a link. `heal` ends every fault.

    Args:
        store: which one it plays.
        folder: holds its log, and its data.
        round_trip_s: how far away it is, in seconds.
        persistent: whether it keeps its data over `kill` and `restart`.
    """

    def __init__(self, store: Store, folder: Path, *, round_trip_s: float = 0.0, persistent: bool = True) -> None:
        self.store = store
        in_main_thread = threading.current_thread() is threading.main_thread()
        self._server = ServerProcess(folder, persistent=persistent, die_with_parent=in_main_thread)
        self._server.start()
        self._link = Link(LOOPBACK, self._server.port, round_trip_s=round_trip_s).start()

    def __repr__(self) -> str:
        return f"<{self.store} store for tests, {self.url}>"

    @property
    def url(self) -> str:
        """Where clients reach it, faults included."""
        return self._link.url

    @property
    def running(self) -> bool:
        """Whether its process exists; one that hangs does."""
        return self._server.running

    def direct(self, *, decode_responses: bool = False) -> redis.Redis:
        """A plain client past the link and past hybrid, for looking at what the store holds. The caller closes it."""
        return redis.Redis.from_url(
            self._server.url, decode_responses=decode_responses, socket_timeout=_DIRECT_TIMEOUT_S
        )

    # -- the server

    def kill(self) -> None:
        """kill -9: connections are reset, new ones refused, until `restart` or `heal`."""
        self._link.apply(refuse=True)
        self._server.kill()

    def restart(self) -> None:
        """Start it again after `kill`, with the data that it had on disk (none if it is not persistent)."""
        self._server.start()
        self._link.apply(refuse=False)

    def hang(self) -> None:
        """Connections stay open and nothing is answered, until `heal`: worse than a refusal, because it takes time to
        notice. Raises EmbeddedServerError when the server is not running."""
        self._server.pause()

    def wipe(self) -> None:
        """Killed, and started again without its data: a lost disk, an emptied account."""
        self.kill()
        shutil.rmtree(self._server.folder)
        self.restart()

    # -- the way to it

    def cut(self) -> None:
        """Nobody reaches it, though it runs: connections are reset, new ones refused, until `heal`."""
        self._link.apply(refuse=True)

    def stall(self) -> None:
        """Packets vanish: connections are accepted and nothing passes, until `heal`; nothing is lost then."""
        self._link.apply(hang=True)

    def reset_connections(self) -> None:
        """Every connection is reset, once; new ones work."""
        self._link.apply(cut=True)

    def lose_replies(self, count: int = 1) -> None:
        """The next `count` requests are done, and their replies lost: was it done, or not?"""
        self._link.apply(lose_reply=count)

    def delay(self, round_trip_s: float) -> None:
        """It is this far away from now on, in seconds."""
        self._link.apply(round_trip_s=round_trip_s)

    def slow(self, bytes_per_s: int) -> None:
        """Its line carries only this much in each direction, until `heal`."""
        self._link.apply(slow=bytes_per_s)

    def heal(self) -> None:
        """End every fault; a killed server is started again."""
        if self._server.running:
            self._server.resume()
        else:
            self._server.start()
        self._link.heal()

    def close(self) -> None:
        """End the server and the link."""
        self._link.close()
        self._server.kill()

    def empty(self) -> None:
        """Heal it, and remove all its data, hybrid's own too. Raises EmbeddedServerError when it cannot be reached."""
        self.heal()
        try:
            with self.direct() as connection:
                connection.flushall()
                connection.function_flush()
        except redis.RedisError as error:
            raise EmbeddedServerError(f"{self!r} cannot be emptied: {error}") from error
