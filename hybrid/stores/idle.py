"""The idle wires of one store."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator

from hybrid.stores.wire import Wire

__all__ = ["IdleWires", "Kept", "Kind"]

Kept = tuple[int, Wire]
"""A wire, and the generation in which it was opened."""

Kind = deque[Kept]


class IdleWires:
    """By kind, which are never mixed: `plain` ones for reads, `fenced` ones with a standing WATCH on the authority
    record (see `hybrid.core.transaction`), `raw` ones for hybrid's own work. The `generation` retires every wire that
    was opened before the store was last seen to fail."""

    def __init__(self, is_good: Callable[[Wire], bool]) -> None:
        """`is_good` says whether an idle wire can be used still."""
        self._is_good = is_good
        self.generation = 0
        self._is_closed = False
        self.forget_after_fork()

    def take(self, kind: Kind) -> Kept | None:
        """One that can be used, if there is any."""
        while True:
            try:
                generation, wire = kind.pop()
            except IndexError:
                return None
            if generation == self.generation and self._is_good(wire):
                wire.is_spare = False
                return generation, wire
            wire.disconnect()

    def give(self, kind: Kind, generation: int, wire: Wire) -> None:
        if generation == self.generation and wire.is_connected:
            # A spare one is taken last: one thread would otherwise seem to need each that is made ready.
            (kind.appendleft if wire.is_spare else kind.append)((generation, wire))
        else:
            wire.disconnect()
        if self._is_closed:
            self.retire()  # opened by a thread that had not heard of the end

    def stale(self, epoch: int) -> list[Kept]:
        """The fenced ones that last saw a record older than `epoch`."""
        return [kept for kept in tuple(self.fenced) if kept[1].epoch < epoch]

    def take_half(self, kept: list[Kept]) -> Iterator[Kept]:
        """Half of these fenced ones, as far as they are still there: the others are left for who comes meanwhile."""
        for one in kept[: (len(kept) + 1) // 2]:
            try:
                self.fenced.remove(one)
            except ValueError:
                continue  # a writer has taken it
            yield one

    def retire(self) -> None:
        """Close every idle wire, and have those in use closed when they come back."""
        with self._lock:
            self.generation += 1
            wires = [*self.plain, *self.fenced, *self.raw]
            self.plain.clear()
            self.raw.clear()
            self.fenced.clear()
        for _, wire in wires:
            wire.disconnect()

    def close(self) -> None:
        """Close every idle wire, and any other as soon as it comes back."""
        self._is_closed = True
        self.retire()

    def forget_after_fork(self) -> None:
        """In a forked child: drop the parent's connections without touching their sockets' peers."""
        self._lock = threading.Lock()
        self.plain: Kind = deque()
        self.fenced: Kind = deque()
        self.raw: Kind = deque()
