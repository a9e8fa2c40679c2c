"""An application at work during a drill, with a journal of every confirmed write: two writers on keys of their own.

Each turn writes a key of its own, reads it back, pushes to a list that both writers share, counts, and now and then
deletes an old key. So afterwards it can be told what was lost, counted twice, put in another order, or came back.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import redis

from hybrid.errors import OutcomeUnknown

__all__ = ["WRITERS", "Call", "Load", "Written", "doubled"]

WRITERS = 2
PAUSE_S = 0.02
KEY_TTL_S = 3600
"""Should the whole machine vanish in the middle, what a drill wrote vanishes too."""

DELETE_EVERY, DELETE_AGE = 5, 3

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call:
    """One command: when it began and ended (monotonic), what went wrong; `unknown` for OutcomeUnknown."""

    command: str
    began_s: float
    ended_s: float
    error: str = ""
    unknown: bool = False

    @property
    def took_s(self) -> float:
        return self.ended_s - self.began_s


@dataclass(frozen=True, slots=True)
class Written:
    """A confirmed SET, and when the confirmation came (monotonic)."""

    key: str
    value: str
    at_s: float


class Load:
    """Works from `start` to `stop`. `key` gives names that will be removed after the drill. With `counts_stand` a
    counter may never go back; else it may while a store that confirmed alone is lost."""

    def __init__(self, client: Any, key: Callable[[str], str], *, counts_stand: bool) -> None:
        self._client = client
        self._key = key
        self._counts_stand = counts_stand
        self._last_count = [0] * WRITERS
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(number,), name=f"hybrid-drill-load-{number}", daemon=True)
            for number in range(WRITERS)
        ]
        self.journal = key("journal")
        self.calls: list[Call] = []
        self.written: list[Written] = []
        self.deleted: set[str] = set()
        self.maybe_deleted: set[str] = set()
        self.pushed: set[str] = set()
        self.counts_confirmed = [0] * WRITERS
        self.counts_unconfirmed = [0] * WRITERS
        self.stale: list[str] = []
        self.turns = 0

    def start(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(timeout=30.0)

    def since(self, at_s: float) -> list[Call]:
        """The commands that ended after `at_s`."""
        return [call for call in self.calls.copy() if call.ended_s > at_s]

    def counter(self, number: int) -> str:
        return self._key(f"count:{number}")

    @property
    def keys(self) -> list[str]:
        """Every key that was written."""
        counters = [self.counter(number) for number in range(WRITERS)]
        return [self.journal, *counters, *(written.key for written in self.written.copy())]

    @property
    def standing(self) -> list[Written]:
        """The confirmed writes that nobody deleted, or tried to."""
        gone = self.deleted | self.maybe_deleted
        return [written for written in self.written.copy() if written.key not in gone]

    def _run(self, number: int) -> None:
        turn = 0
        while not self._stop.is_set():
            turn += 1
            self._turn(number, turn)
            self.turns += 1
            self._stop.wait(PAUSE_S)

    def _turn(self, number: int, turn: int) -> None:
        client = self._client
        key, value = self._key(f"w:{number}:{turn}"), f"{number}:{turn}"
        if self._called("SET", lambda: client.set(key, value, ex=KEY_TTL_S)):
            self.written.append(Written(key, value, time.monotonic()))
            found = self._called("GET", lambda: (client.get(key),))
            if found and found[0] != value:
                self.stale.append(f"GET {key} returned {found[0]!r} after SET {value!r} was confirmed")
        if self._called("RPUSH", lambda: client.rpush(self.journal, value)):
            self.pushed.add(value)
        self._count(number)
        if turn % DELETE_EVERY == 0:
            self._delete(self._key(f"w:{number}:{turn - DELETE_AGE}"))

    def _count(self, number: int) -> None:
        counted = self._called("INCR", lambda: self._client.incr(self.counter(number)))
        if counted is None:
            self.counts_unconfirmed[number] += 1
            return
        self.counts_confirmed[number] += 1
        last, self._last_count[number] = self._last_count[number], counted
        if counted <= last and self._counts_stand:
            self.stale.append(f"INCR returned {counted} after {last}")

    def _delete(self, key: str) -> None:
        self.maybe_deleted.add(key)
        if self._called("DEL", lambda: (self._client.delete(key),)):
            self.deleted.add(key)

    def _called(self, command: str, act: Callable[[], T]) -> T | None:
        """What the command returned; None when it failed."""
        began_s = time.monotonic()
        try:
            result = act()
        except OutcomeUnknown as error:
            self.calls.append(Call(command, began_s, time.monotonic(), str(error), unknown=True))
            return None
        except (redis.RedisError, OSError) as error:
            self.calls.append(Call(command, began_s, time.monotonic(), f"{type(error).__name__}: {error}"))
            return None
        self.calls.append(Call(command, began_s, time.monotonic()))
        return result


def doubled(elements: Sequence[str]) -> list[str]:
    """The elements that stand in the list more than once."""
    return [element for element, count in Counter(elements).items() if count > 1]
