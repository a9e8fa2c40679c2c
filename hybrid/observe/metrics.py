"""What this process's own traffic does: latency of every call, errors, failovers, commands and bytes to each store.

Recording must cost the caller next to nothing: each thread increments buckets of its own, without a lock. Counts only
grow; `take` gives what they grew by, so nothing is lost or counted twice between two takings.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final

from hybrid import events
from hybrid.core.commands import COMMANDS
from hybrid.core.histogram import BUCKETS, Histogram, bucket_of
from hybrid.core.metrics import EVENTS_KEPT, Happening, Record, grown
from hybrid.observe.latency import LatencyWindow
from hybrid.types import Store

__all__ = ["Recorder", "group_of"]

_SUM: Final = BUCKETS  # the slot behind the buckets holds the sum, in microseconds
_HEAD: Final = 48  # bytes of a packed request that surely hold its name
_QUIET: Final = (events.Started, events.Stopped, events.StoreUp)
Totals = dict[tuple[str, str], tuple[int, ...]]
Cells = dict[tuple[Store, str | bytes], list[int]]


class _Shard(threading.local):
    """One thread's buckets, by store and command name."""

    def __init__(self, recorder: Recorder) -> None:
        self.cells: Cells = {}
        recorder.adopt(self.cells)


class Recorder:
    """Records what one client does. Thread-safe.

    Args:
        traffic: gives commands, bytes sent and received so far, by store and purpose.
        name: how events name this process; by default its host and number.
    """

    def __init__(self, traffic: Callable[[], Totals] = dict, name: str | None = None) -> None:
        self._traffic = traffic
        self._name = name
        self.windows = {store: LatencyWindow() for store in Store}
        """The latest calls to each store, whatever the command."""
        self.gauges: Callable[[], Mapping[str, float]] = dict
        """Values of the whole, such as the lag, from a process that watches it; none from the others."""
        self.sink: Callable[[Store, str, float], None] | None = None
        """Gets every call too, see `hybrid.observe.telemetry`."""
        self._start()

    def _start(self) -> None:
        self._process = self._name or f"{socket.gethostname()}:{os.getpid()}"
        self._lock = threading.Lock()
        self._threads: list[tuple[weakref.ref[threading.Thread], Cells]] = []
        self._finished: Totals = {}
        self._taken: dict[str, Totals] = {"latency": {}, "errors": {}, "traffic": {}}
        self._errors: Counter[tuple[str, str]] = Counter()
        self._events: list[Happening] = []
        self._shard = _Shard(self)

    def adopt(self, cells: Cells) -> None:
        """Read a new thread's buckets from now on."""
        with self._lock:
            self._threads.append((weakref.ref(threading.current_thread()), cells))

    # -- recording

    def record(self, store: Store, name: str | bytes, seconds: float) -> None:
        """One exchange with `store` for the command `name` took `seconds`. Costs the caller well under 2 µs."""
        self.windows[store].record(seconds)
        micros = int(seconds * 1e6)
        cell = self._shard.cells.get((store, name))
        if cell is None:
            cell = self._shard.cells[store, name] = [0] * (BUCKETS + 1)
        cell[bucket_of(micros)] += 1
        cell[_SUM] += micros
        if self.sink is not None:
            self.sink(store, _text(name), seconds)

    def record_request(self, store: Store, payload: bytes, seconds: float) -> None:
        """As `record`, for a packed request: the name stands at its beginning."""
        self.record(store, payload[:_HEAD].split(b"\r\n", 3)[2], seconds)

    def error(self, where: str, kind: str) -> None:
        """Something failed at a store ("local", "cloud"), or reached the application ("client")."""
        with self._lock:
            self._errors[where, kind] += 1

    def event(self, event: events.Event) -> None:
        """A hook for the event log; starting and stopping is not worth keeping."""
        if isinstance(event, _QUIET):
            return
        name, level = type(event).__name__, logging.getLevelName(event.level).lower()
        key = f"{name} {event.epoch}" if isinstance(event, events.AuthorityMoved) else ""
        with self._lock:
            self._events = [
                *self._events[-EVENTS_KEPT + 1 :],
                Happening(event.at_s, self._process, name, level, event.message, key),
            ]

    def forget_after_fork(self) -> None:
        """In a forked child: what was recorded before is the parent's to report."""
        self._start()

    # -- reading

    def totals(self) -> Totals:
        """Buckets, then the sum, by store and command name, since the start."""
        with self._lock:
            sums = dict(self._finished)
            living = []
            for thread, cells in self._threads:
                owner = thread()
                alive = owner is not None and owner.is_alive()  # asked before the copy: a dead thread adds nothing more
                for (store, name), cell in cells.copy().items():
                    for target in (sums,) if alive else (sums, self._finished):
                        _add_to(target, (store.value, _text(name)), cell.copy())
                if alive:
                    living.append((thread, cells))
            self._threads = living
        return sums

    def take(self, at_s: int, span_s: int) -> Record:
        """What came since the last taking, as a record for the span that begins at `at_s`."""
        latency = self._since("latency", self.totals())
        with self._lock:
            errors: Totals = {key: (count,) for key, count in self._errors.items()}
            happened, self._events = self._events, []
        record = Record(at_s, span_s, events=happened, gauges=dict(self.gauges()))
        record.errors = self._since("errors", errors)
        record.traffic = self._since("traffic", self._traffic())
        for (store, name), cell in latency.items():
            counts = {bucket: count for bucket, count in enumerate(cell[:_SUM]) if count}
            record.latency.setdefault((store, group_of(name)), Histogram()).add(Histogram(counts, cell[_SUM]))
        return record

    def _since(self, kind: str, now: Totals) -> Totals:
        before, self._taken[kind] = self._taken[kind], now
        fresh = {key: grown(numbers, before[key]) if key in before else numbers for key, numbers in now.items()}
        return {key: numbers for key, numbers in fresh.items() if any(numbers)}


def group_of(name: str) -> str:
    """The group of a command, as in its documentation; a pipeline is a group of its own."""
    return _GROUPS.get(name.upper(), "other")


_GROUPS: Final[Mapping[str, str]] = {
    **{name.partition(" ")[0]: command.group.lower() or "other" for name, command in COMMANDS.items()},
    **{name: command.group.lower() or "other" for name, command in COMMANDS.items()},
    **dict.fromkeys(("PIPELINE", "MULTI"), "pipelines"),
}


def _text(name: str | bytes) -> str:
    return name if isinstance(name, str) else name.decode("latin-1")


def _add_to(sums: Totals, key: tuple[str, str], numbers: list[int]) -> None:
    known = sums.get(key)
    sums[key] = tuple(numbers) if known is None else tuple(map(sum, zip(known, numbers, strict=True)))
