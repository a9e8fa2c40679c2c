"""One run: a seed and a profile in, what was found out."""

from __future__ import annotations

import gc
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any

from hybrid.types import Store

from .checker import violations
from .nemesis import Nemesis
from .workload import History, Writer
from .world import World, opened

__all__ = ["Result", "simulate"]

FAULTS_S = 6.0
QUIET_S = 60.0


@dataclass
class Result:
    """`record` says line by line what happened."""

    profile: str
    seed: int
    violations: list[str]
    record: list[str]
    seconds: float = 0.0
    commands: int = 0
    acked: int = 0
    unknown: int = 0
    longest_s: float = 0.0
    excused: Counter[str] = field(default_factory=Counter)


def simulate(profile: str, seed: int, *, verbose: bool = False) -> Result:
    """Run the seed. The same seed always gives the same result."""
    random = Random(f"{profile} {seed}")
    gc.disable()  # a collection would run finalizers at moments that the seed does not decide
    try:
        with opened(f"{profile} {seed}", preempt=random.choice((0.0, 0.05, 0.2)), verbose=verbose) as world:
            return _Run(world, random, profile, seed).go()
    finally:
        gc.enable()


class _Run:
    def __init__(self, world: World, random: Random, profile: str, seed: int) -> None:
        self.world, self.random, self.profile, self.seed = world, random, profile, seed
        self.history = History()
        self.settings: dict[str, Any] = {
            "ack": random.choice(("both", "both", "local")),
            "read_preference": random.choice(("local", "local", "cloud", "fastest")),
        }
        world.round_trip_s[Store.CLOUD] = random.choice((0.002, 0.03, 0.06))
        self.mixes = profile in ("shippers", "mixed")
        # A key that expires on one store alone may have been written there meanwhile.
        self.skewed = not self.mixes and random.random() < 0.3
        for server in world.stores.values():
            server.skew_s = self._skew_s()
        self.pace_s = random.choice((0.004, 0.01, 0.03))
        self.started = 0

    def _skew_s(self) -> float:
        return self.random.uniform(-0.2, 0.2) if self.skewed else 0.0

    def go(self) -> Result:
        world, scheduler = self.world, self.world.scheduler
        world.say("run", f"{self.profile} {self.seed}: {self.settings}, pace {self.pace_s}, {world.round_trip_s}")
        for _ in range(self.random.choice((1, 2, 2, 3))):
            self._start_process()
        nemesis = Nemesis(world, self.random, self.profile, FAULTS_S, self._start_process)
        scheduler.run(lambda: nemesis.is_over, FAULTS_S + 20)
        world.say("nemesis", "leaves")
        scheduler.run(lambda: False, scheduler.now_s + self.random.choice((0.0, 0.5, 2.0)))
        for process in world.living:
            process.stopping = True
        at_rest = scheduler.run(world.is_quiet, scheduler.now_s + QUIET_S)
        world.say("run", "at rest" if at_rest else "NOT at rest")
        history = self.history
        outcomes = Counter(attempt.outcome for attempt in history.attempts)
        return Result(
            self.profile,
            self.seed,
            violations(world, history, at_rest=at_rest),
            world.record,
            scheduler.now_s,
            history.commands,
            outcomes["acked"],
            outcomes["unknown"],
            history.longest_s,
            history.excused,
        )

    def _start_process(self) -> None:
        self.started += 1
        settings = {**self.settings}
        process = self.world.start(f"p{self.started}", self._skew_s(), **settings)
        self.world.say("run", f"{process.name} starts")
        # A process that starts while a store is in trouble has that trouble too.
        for store, server in self.world.stores.items():
            process.troubles[store] = int(not server.up or server.frozen)
            process.working_since_s[store] = self.world.scheduler.now_s
        self.world.stir()
        for number in range(self.random.choice((1, 1, 2))):
            writer = Writer(self.world, process, number, self.seed, self.history, self.pace_s, mixes=self.mixes)
            self.world.scheduler.spawn(partial(writer.run), f"writer {number}", process)
