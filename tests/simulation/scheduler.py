"""Virtual time, and tasks of which exactly one runs: a seed decides which, and so the whole run.

A task is a greenlet that stands for a thread. It runs until it blocks or pauses; the loop then draws the next one
among all that could run. When none can, time jumps to the next timer.
"""

from __future__ import annotations

import heapq
import traceback
from collections.abc import Callable
from functools import partial
from math import inf, log1p
from random import Random
from typing import Any, Final

from greenlet import GreenletExit, getcurrent, greenlet

__all__ = ["Host", "Scheduler", "Task"]

STEP_S: Final = 2e-6
"""What any step costs: time must pass even in a loop that only looks at the clock."""


class Host:
    """What runs, stops and dies as one: a process, or a server. `skew_s` is how far its clock is ahead."""

    def __init__(self, name: str, skew_s: float = 0.0) -> None:
        self.name = name
        self.skew_s = skew_s
        self.frozen = False
        self.dead = False
        self.held: list[Task] = []


class Task:
    """One simulated thread."""

    def __init__(self, scheduler: Scheduler, run: Callable[[], Any], name: str, host: Host, number: int) -> None:
        self.name, self.host, self.number = name, host, number
        self.blocked = self.woken = self.ended = False
        self.ticket = 0
        self.joiners: list[Task] = []
        self.greenlet = greenlet(partial(scheduler._main, self, run), scheduler._loop)


class Scheduler:
    """`preempt` is the chance that a task is interrupted wherever it could be."""

    def __init__(self, seed: object, *, preempt: float = 0.05) -> None:
        self.random = Random(str(seed))
        self.preempt = preempt
        self.now_s = 0.0
        self.steps = 0
        self.current: Task | None = None
        self.crashes: list[str] = []
        self.over = False
        self._loop = getcurrent()
        self._timers: list[tuple[float, int, Callable[[], Any]]] = [(inf, 0, lambda: None)]
        self._count = 0
        self._calm = self._until_preempted()
        self._ready: list[Task] = []
        self._tasks: list[Task] = []

    def spawn(self, run: Callable[[], Any], name: str, host: Host) -> Task:
        self._count += 1
        task = Task(self, run, name, host, self._count)
        self._tasks.append(task)
        self._enqueue(task)
        return task

    def at(self, delay_s: float, action: Callable[[], Any]) -> None:
        """Call `action` from the loop in `delay_s`; it must not block."""
        self.at_time(self.now_s + delay_s, action)

    def at_time(self, moment_s: float, action: Callable[[], Any]) -> None:
        """The same at a moment, or at once if that is over."""
        self._count += 1
        heapq.heappush(self._timers, (moment_s, self._count, action))

    # -- called by tasks

    def block(self, timeout_s: float | None = None) -> bool:
        """Stand still until woken (True), or until the time is over (False)."""
        task = self._running()
        task.ticket += 1
        task.blocked, task.woken = True, False
        if timeout_s is not None:
            self.at(timeout_s, partial(self._expire, task, task.ticket))
        self._loop.switch()
        self._running()
        return task.woken

    def pause(self) -> None:
        """A point where another task may come first; what is due always does, so that nothing can hold up time, which
        moves on here."""
        if self.current is None or self.over:
            return
        self.now_s += STEP_S
        self._calm -= 1
        if self._calm < 0 or self._timers[0][0] <= self.now_s:
            if self._calm < 0:
                self._calm = self._until_preempted()
            self._enqueue(self.current)
            self._loop.switch()
            self._running()

    def sleep(self, seconds: float) -> None:
        self.block(max(0.0, seconds))

    def wake(self, task: Task) -> None:
        if task.blocked:
            task.blocked, task.woken = False, True
            self._enqueue(task)

    # -- called from outside of tasks

    def run(self, done: Callable[[], bool], limit_s: float) -> bool:
        """Until `done()`; False when the time is over before."""
        timers, ready = self._timers, self._ready
        while not done():
            while timers[0][0] <= self.now_s:
                heapq.heappop(timers)[2]()
            if ready:
                task = ready.pop(int(self.random.random() * len(ready)) if len(ready) > 1 else 0)
                self.steps += 1
                self.now_s += STEP_S
                self.current = task
                task.greenlet.switch()
                self.current = None
            elif timers[0][0] < limit_s:
                self.now_s = timers[0][0]
            else:
                self.now_s = max(self.now_s, limit_s)
                return done()
            if self.now_s > limit_s:
                return done()
        return True

    def freeze(self, host: Host) -> None:
        """As SIGSTOP."""
        host.frozen = True
        host.held += [task for task in self._ready if task.host is host]
        self._ready[:] = [task for task in self._ready if task.host is not host]

    def thaw(self, host: Host) -> None:
        host.frozen = False
        held, host.held = host.held, []
        for task in held:
            self._enqueue(task)

    def kill(self, host: Host) -> None:
        """As SIGKILL: none of its tasks ever runs again, not even a `finally`."""
        host.dead = True
        self.freeze(host)

    def end(self) -> None:
        """Unwind every task that is left; whatever it still calls returns at once."""
        self.over = True
        self._timers.clear()
        for task in self._tasks:
            if not task.ended:
                self.current = task
                task.greenlet.throw(GreenletExit)
        self.current = None

    # -- inside

    def _until_preempted(self) -> float:
        """How many pauses it takes, each with the same chance."""
        return log1p(-self.random.random()) // log1p(-self.preempt) if self.preempt else inf

    def _main(self, task: Task, run: Callable[[], Any]) -> None:
        try:
            run()
        except GreenletExit:
            pass
        except BaseException:
            if not self.over:
                self.crashes.append(f"{task.host.name}/{task.name}: {traceback.format_exc()}")
        task.ended = True
        for joiner in task.joiners:
            self.wake(joiner)

    def _running(self) -> Task:
        if self.over or self.current is None:
            raise GreenletExit
        return self.current

    def _enqueue(self, task: Task) -> None:
        (task.host.held if task.host.frozen else self._ready).append(task)

    def _expire(self, task: Task, ticket: int) -> None:
        if task.blocked and task.ticket == ticket:
            task.blocked = False
            self._enqueue(task)
