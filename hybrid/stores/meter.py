"""Counts every command and byte that goes to a store, by purpose: on the cloud store each command costs money.

A tally belongs to one connection, which one thread uses at a time, so counting is a plain addition without a lock.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterable
from typing import Any

from redis.connection import AbstractConnection, UnixDomainSocketConnection

from hybrid.stores.master import Tcp, Tls
from hybrid.types import Purpose

__all__ = ["Meter", "Metered", "MeteredSocket", "MeteredTls", "MeteredUnix", "Tally"]


class Tally:
    """What went over one connection (or several, once they are closed). Bytes are those of the protocol, before TLS."""

    __slots__ = ("commands", "received_bytes", "sent_bytes")

    def __init__(self) -> None:
        self.commands = 0
        self.sent_bytes = 0
        self.received_bytes = 0

    @property
    def numbers(self) -> tuple[int, int, int]:
        """Commands, bytes sent, bytes received."""
        return self.commands, self.sent_bytes, self.received_bytes

    def add(self, other: Tally) -> None:
        self.commands += other.commands
        self.sent_bytes += other.sent_bytes
        self.received_bytes += other.received_bytes


class Meter:
    """The tallies of all connections of this process to one store. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._closed = {purpose: Tally() for purpose in Purpose}
        self._open: list[tuple[weakref.ref[Any], Purpose, Tally]] = []

    def open(self, connection: object, purpose: Purpose) -> Tally:
        """The tally of a new connection; what it counted is kept when the connection is gone."""
        tally = Tally()
        with self._lock:
            self._open.append((weakref.ref(connection), purpose, tally))
            if len(self._open) % 64 == 0:
                self._forget_gone()
        return tally

    def totals(self) -> dict[Purpose, tuple[int, int, int]]:
        """Commands, bytes sent and bytes received since the start, by purpose."""
        with self._lock:
            self._forget_gone()
            sums = {purpose: Tally() for purpose in Purpose}
            for purpose, tally in (*self._closed.items(), *((purpose, tally) for _, purpose, tally in self._open)):
                sums[purpose].add(tally)
        return {purpose: tally.numbers for purpose, tally in sums.items()}

    def forget_after_fork(self) -> None:
        """In a forked child: what was counted before is the parent's to report."""
        self.__init__()  # type: ignore[misc]

    def _forget_gone(self) -> None:
        for connection, purpose, tally in self._open:
            if connection() is None:
                self._closed[purpose].add(tally)
        self._open = [entry for entry in self._open if entry[0]() is not None]


class Metered(AbstractConnection):
    """A redis-py connection that counts what it sends, the greeting too. Mixed in before the class it counts for."""

    def __init__(self, *, meter: Meter | None = None, purpose: Purpose = Purpose.APPLICATION, **options: Any) -> None:
        self.tally = meter.open(self, purpose) if meter else Tally()
        super().__init__(**options)

    def send_command(self, *args: Any, **options: Any) -> Any:
        self.tally.commands += 1
        return super().send_command(*args, **options)  # type: ignore[no-untyped-call]

    def pack_commands(self, commands: Iterable[Any]) -> Any:
        waiting = list(commands)
        packed = super().pack_commands(waiting)  # type: ignore[no-untyped-call]
        self.tally.commands += len(waiting)
        return packed

    def send_packed_command(self, command: Any, check_health: bool = True) -> Any:
        pieces = (command,) if isinstance(command, str | bytes) else command
        self.tally.sent_bytes += sum(map(len, pieces))
        return super().send_packed_command(command, check_health)  # type: ignore[no-untyped-call]


class MeteredSocket(Metered, Tcp):
    """Plain TCP."""


class MeteredTls(Metered, Tls):
    """TLS."""


class MeteredUnix(Metered, UnixDomainSocketConnection):
    """Unix domain socket."""
