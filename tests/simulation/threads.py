"""Locks, polls, pipes and clocks that know the scheduler, and their names put in place of Python's own.

The library runs unchanged: it finds these under `threading`, `time`, `select` and `socket` while a run lasts. Python's
own Condition and Event are kept; they stand on the locks made here.
"""

from __future__ import annotations

import os
import random
import secrets
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final
from unittest.mock import patch

from .scheduler import Host, Scheduler, Task

__all__ = ["EPOCH_S", "File", "in_place"]

EPOCH_S: Final = 1_800_000_000.0
"""The Unix time at which every run begins."""


class Lock:
    """`threading.Lock`. Whoever waits longest gets it next."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._held = False
        self._waiting: deque[Task] = deque()

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        scheduler = self._scheduler
        if scheduler.current is None or scheduler.over:
            free, self._held = not self._held, True
            return blocking or free
        scheduler.pause()
        if not self._held:
            self._held = True
            return True
        if not blocking:
            return False
        task = scheduler.current
        self._waiting.append(task)
        if scheduler.block(None if timeout < 0 else timeout):
            return True  # handed over by `release`
        if task in self._waiting:
            self._waiting.remove(task)
        return False

    __enter__ = acquire

    def __exit__(self, *_: object) -> None:
        self.release()

    def release(self) -> None:
        while self._waiting and not self._scheduler.over:
            task = self._waiting.popleft()
            if task.blocked:  # else its time was over a moment ago
                self._scheduler.wake(task)
                return
        self._held = False

    def locked(self) -> bool:
        return self._held


class RLock:
    """`threading.RLock`, with what Condition asks of one."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._lock = Lock(scheduler)
        self._owner: Task | None = None
        self._depth = 0

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        if self._depth and self._owner is self._scheduler.current:
            self._depth += 1
            return True
        if not self._lock.acquire(blocking, timeout):
            return False
        self._owner, self._depth = self._scheduler.current, 1
        return True

    __enter__ = acquire

    def __exit__(self, *_: object) -> None:
        self.release()

    def release(self) -> None:
        self._depth -= 1
        if not self._depth:
            self._owner = None
            self._lock.release()

    def _is_owned(self) -> bool:
        return self._depth > 0 and self._owner is self._scheduler.current

    def _release_save(self) -> int:
        depth, self._depth = self._depth, 1
        self.release()
        return depth

    def _acquire_restore(self, depth: int) -> None:
        self.acquire()
        self._depth = depth


class File:
    """Something with a number that a poll can wait for."""

    def __init__(self, files: Files) -> None:
        self.watchers: list[Task] = []
        self._files = files
        self._number = files.add(self)

    @property
    def readable(self) -> bool:
        raise NotImplementedError

    def fileno(self) -> int:
        return self._number

    def notify(self) -> None:
        for task in self.watchers:
            self._files.scheduler.wake(task)

    def forget(self) -> None:
        self._files.open.pop(self._number, None)
        self._number = -1
        self.notify()


class Files:
    """Open files by number; numbers begin where no real file is."""

    def __init__(self, scheduler: Scheduler) -> None:
        self.scheduler = scheduler
        self.open: dict[int, File] = {}
        self._next = 100_000

    def add(self, file: File) -> int:
        self._next += 1
        self.open[self._next] = file
        return self._next


class Poll:
    """`select.poll`, for reading."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._numbers: dict[int, None] = {}

    def register(self, file: Any, _: int = 0) -> None:
        self._numbers[file if isinstance(file, int) else file.fileno()] = None

    def poll(self, timeout_ms: float | None = None) -> list[tuple[int, int]]:
        scheduler = self._files.scheduler
        scheduler.pause()
        ready, task = self._ready(), scheduler.current
        if ready or timeout_ms == 0 or task is None:
            return ready
        files = [self._files.open[number] for number in self._numbers]
        for file in files:
            file.watchers.append(task)
        scheduler.block(None if timeout_ms is None or timeout_ms < 0 else timeout_ms / 1000)
        for file in files:
            file.watchers.remove(task)
        return self._ready()

    def _ready(self) -> list[tuple[int, int]]:
        found = []
        for number in self._numbers:
            file = self._files.open.get(number)
            if file is None:
                found.append((number, select.POLLNVAL))
            elif file.readable:
                found.append((number, select.POLLIN))
        return found


class Pipe(File):
    """One end of a `socketpair`; never blocks."""

    def __init__(self, files: Files) -> None:
        super().__init__(files)
        self.peer: Pipe
        self._inbox = bytearray()

    @property
    def readable(self) -> bool:
        return bool(self._inbox)

    def setblocking(self, _: bool) -> None:
        """It never blocks."""

    def send(self, data: bytes) -> int:
        if self.peer.fileno() < 0 or self.fileno() < 0:
            raise BrokenPipeError
        self.peer._inbox += data
        self.peer.notify()
        return len(data)

    def recv(self, size: int) -> bytes:
        if not self._inbox:
            raise BlockingIOError
        data = bytes(self._inbox[:size])
        del self._inbox[:size]
        return data

    def close(self) -> None:
        self.forget()


def pair(files: Files) -> tuple[Pipe, Pipe]:
    one, other = Pipe(files), Pipe(files)
    one.peer, other.peer = other, one
    return one, other


class Clock:
    """What the time is for whoever asks: wall clocks are skewed, monotonic ones only run."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler

    def monotonic(self) -> float:
        scheduler = self._scheduler
        scheduler.pause()
        return 1000.0 + scheduler.now_s

    def time(self) -> float:
        scheduler, task = self._scheduler, self._scheduler.current
        scheduler.pause()
        return EPOCH_S + scheduler.now_s + (task.host.skew_s if task else 0.0)


def _start(scheduler: Scheduler, host_of: Callable[[], Host]) -> Callable[[threading.Thread], None]:
    def start(thread: threading.Thread) -> None:
        thread._task = scheduler.spawn(thread.run, thread.name, host_of())  # type: ignore[attr-defined]

    return start


def _join(scheduler: Scheduler) -> Callable[..., None]:
    def join(thread: threading.Thread, timeout: float | None = None) -> None:
        task: Task = thread._task  # type: ignore[attr-defined]
        if not task.ended and scheduler.current is not None:
            task.joiners.append(scheduler.current)
            scheduler.block(timeout)
            task.joiners.remove(scheduler.current)

    return join


@contextmanager
def in_place(scheduler: Scheduler) -> Iterator[Files]:
    """While it lasts, the names of the standard library mean the simulation."""
    files, clock = Files(scheduler), Clock(scheduler)

    def host() -> Host:
        assert scheduler.current is not None
        return scheduler.current.host

    def token_hex(size: int = 16) -> str:
        return f"{scheduler.random.getrandbits(8 * size):0{2 * size}x}"

    names: dict[tuple[Any, str], Any] = {
        (time, "monotonic"): clock.monotonic,
        (time, "perf_counter"): clock.monotonic,
        (time, "time"): clock.time,
        (time, "sleep"): scheduler.sleep,
        (threading, "Lock"): lambda: Lock(scheduler),
        (threading, "RLock"): lambda: RLock(scheduler),
        (threading, "_allocate_lock"): lambda: Lock(scheduler),
        (threading, "_time"): clock.monotonic,
        (threading.Thread, "start"): _start(scheduler, host),
        (threading.Thread, "join"): _join(scheduler),
        (threading.Thread, "is_alive"): lambda thread: not (hasattr(thread, "_task") and thread._task.ended),
        (select, "poll"): lambda: Poll(files),
        (socket, "socketpair"): lambda: pair(files),
        (socket, "gethostname"): lambda: "simulated",
        (os, "getpid"): lambda: 1,
        (secrets, "token_hex"): token_hex,
    }
    patches = [patch.object(owner, name, value) for (owner, name), value in names.items()]
    state = random.getstate()
    random.seed(scheduler.random.random())
    for each in patches:
        each.start()
    try:
        yield files
    finally:
        random.setstate(state)
        for each in reversed(patches):
            each.stop()
