"""What goes wrong, when, and for how long: drawn from the seed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from random import Random
from typing import Final

from hybrid.errors import HybridError
from hybrid.ops.failover import failback, failover
from hybrid.types import Store

from .world import Process, World

__all__ = ["PROFILES", "Nemesis"]

PROFILES: Final[dict[str, tuple[str, ...]]] = {
    "calm": (),
    "local": ("kill local", "hang local", "kill local", "kill local"),
    "cloud": ("kill cloud", "hang cloud", "kill cloud"),
    "stores": ("kill local", "hang local", "kill cloud", "hang cloud"),
    "links": ("cut", "refuse", "hang link", "slow", "lose"),
    "processes": ("kill process", "stop process", "kill local", "hang local", "lose"),
    "alone": ("cut off", "cut off", "cut off", "lose", "hang link", "kill process", "stop process", "hang local"),
    "wiped": ("wipe local", "wipe cloud", "kill process"),
    "emptied": ("empty local", "empty cloud", "empty local", "kill local", "kill process", "stop shipper"),
    "begun": ("begin local", "begin cloud", "begin local", "kill local", "kill cloud", "kill process", "cut off"),
    "overtaken": ("overtake", "overtake", "cut off", "kill local", "cut"),
    "older": ("older local", "kill local", "kill process"),
    "shippers": (
        "stop shipper", "stop shipper", "kill shipper", "kill local", "hang local", "kill cloud", "cut off", "cut",
        "lose", "hang link",
    ),
    "silent": (
        "swallow", "swallow", "forget", "forget", "forget", "kill local", "hang local", "kill cloud", "hang cloud",
        "cut off", "stop process", "stop shipper",
    ),
    "moves": (
        "move", "move", "move", "kill local", "hang local", "kill cloud", "hang cloud", "cut", "lose", "cut off",
        "kill process", "stop process", "stop shipper",
    ),
    "mixed": (
        "kill local", "hang local", "kill cloud", "hang cloud", "cut", "refuse", "hang link", "slow", "lose",
        "kill process", "stop process", "stop shipper", "cut off", "wipe local", "wipe cloud",
    ),
    "all": (
        "kill local", "hang local", "kill cloud", "hang cloud", "cut", "refuse", "hang link", "slow", "lose",
        "kill process", "stop process",
    ),
    "all+wiped": (
        "kill local", "hang local", "kill cloud", "hang cloud", "cut", "refuse", "hang link", "slow", "lose",
        "kill process", "stop process", "wipe local", "wipe cloud",
    ),
}  # fmt: skip
"""Faults by the name of the profile, each as likely as it is often named."""

LOSSES: Final = ("wipe", "empty", "older", "begin")

MOVE_S: Final = 1.0
"""How long an operator who moves the authority waits for that, and how often one looks whether a hold still stands."""

AHEAD_S: Final = 0.03
"""How long before a fault begins or ends the writers write more."""

Undo = Callable[[], None]


class Nemesis:
    """Starts faults until `until_s`, and ends each after a while. `replace` starts a process in place of a dead one."""

    def __init__(self, world: World, random: Random, profile: str, until_s: float, replace: Callable[[], None]) -> None:
        self._world, self._random, self._until_s, self._replace = world, random, until_s, replace
        self._faults = PROFILES[profile]
        self._serial = profile in ("wiped", "emptied", "begun", "older") or random.random() < 0.5
        self._busy: set[object] = set()
        self._asking: list[Process] = []
        self._going = 0
        if self._faults:
            self._at(random.uniform(0.3, 1.5), self._next)

    @property
    def is_over(self) -> bool:
        return self._going == 0 and "move" not in self._busy and self._world.scheduler.now_s >= self._until_s

    def _next(self) -> None:
        if self._world.scheduler.now_s >= self._until_s:
            return
        length_s = self._random.choice((0.05, 0.3, 1.0, 3.0)) * self._random.uniform(0.5, 1.5)
        fault = self._random.choice(self._faults)
        undo = self._start(fault) if self._world.living else None
        if undo is not None:
            self._going += 1
            self._at(length_s, partial(self._end, fault, undo))
        pause_s = self._random.uniform(0.1, 2.5)
        if self._serial:
            pause_s += length_s + (self._random.uniform(1, 4) if fault.split()[0] in LOSSES else 0)
        self._at(pause_s, self._next)

    def _at(self, delay_s: float, action: Callable[[], None]) -> None:
        """Writers write more already then."""
        self._world.scheduler.at(max(0.0, delay_s - AHEAD_S), self._world.stir)
        self._world.scheduler.at(delay_s, action)

    def _end(self, fault: str, undo: Undo) -> None:
        self._world.say("nemesis", f"end of: {fault}")
        undo()
        self._going -= 1

    def _start(self, fault: str) -> Undo | None:
        if fault == "move":
            return self._move()
        if fault == "overtake":
            return self._overtake()
        action, _, target = fault.partition(" ")
        if target in ("local", "cloud"):
            return self._store_fault(action, Store(target))
        if target in ("process", "shipper"):
            return self._process_fault(action, target)
        return self._link_fault(fault)

    # -- stores

    def _store_fault(self, action: str, store: Store) -> Undo | None:
        server, world = self._world.stores[store], self._world
        if store in self._busy or (action in LOSSES and (self._busy or not self._settled())):
            return None
        self._busy.add(store)
        world.say("nemesis", f"{action} {store}")
        for process in world.processes:
            self._trouble(process, store)
        if action == "hang":
            server.stop()
            return partial(self._mend_store, store, server.resume)
        values = server.data.values
        if action in LOSSES:
            world.lost_data_s = world.scheduler.now_s
        if action == "empty":
            server.empty()
            return partial(self._mend_store, store, lambda: None)
        if action == "older":
            return self._older(store)
        server.crash()
        if action == "begin":
            return self._begin(store)
        return partial(self._mend_store, store, partial(server.boot, {} if action == "wipe" else values))

    def _begin(self, store: Store) -> Undo:
        """It comes back empty, and is met, perhaps first of all, by a process that does not reach the other one."""
        world, random = self._world, self._random
        if random.random() < 0.5:
            for process in world.living:
                world.kill_process(process)
        alone_s = random.choice((0.3, 1.0, 3.0)) * random.uniform(0.5, 1.5)

        def begin() -> None:
            world.stores[store].boot({})
            self._replace()
            process = world.processes[-1]
            world.link(process, store.other).refuse = True
            self._trouble(process, store.other)
            self._busy.add((process, store.other))
            self._going += 1
            meet = partial(self._mend_link, process, store.other)
            world.scheduler.at(alone_s, partial(self._end, f"{process.name} alone on {store}", meet))

        return partial(self._mend_store, store, begin)

    def _older(self, store: Store) -> Undo:
        """It crashes a moment later, and comes back as it is now."""
        server = self._world.stores[store]
        values = server.data.snapshot()
        ended: list[bool] = []
        self._world.scheduler.at(self._random.uniform(0.01, 0.5), lambda: ended or server.crash())

        def boot() -> None:
            ended.append(True)
            server.crash()
            server.boot(values)

        return partial(self._mend_store, store, boot)

    def _settled(self) -> bool:
        """Whether losing one store's data may be survived: both are up, and none is being refilled."""
        world = self._world
        marks = all(b"hybrid:identity" in server.data.values and server.up for server in world.stores.values())
        return marks and not world.unequal()

    def _mend_store(self, store: Store, mend: Undo) -> None:
        mend()
        self._busy.discard(store)
        for process in self._world.processes:
            self._relief(process, store)

    # -- the authority

    def _move(self) -> Undo | None:
        """An operator has the cloud store take the writes, which fails no command, and then gives them back."""
        if "move" in self._busy:
            return None
        self._busy.add("move")
        self._ask(failover)
        return self._move_back

    def _move_back(self) -> None:
        """Until no hold stands, and no operator is left who could still get one."""
        world = self._world
        self._asking = [process for process in self._asking if not process.dead]
        is_held = any(world.has(store, b"hybrid:authority", lambda it: it.body.endswith(b"held")) for store in Store)
        if not is_held and not self._asking:
            self._busy.discard("move")
            return
        if is_held and world.living:
            self._ask(failback)
        world.scheduler.at(MOVE_S, self._move_back)

    def _ask(self, move: Callable[..., object]) -> None:
        process = self._random.choice(self._world.living)
        self._world.say("nemesis", f"{move.__name__} by {process.name}")
        self._asking.append(process)

        def ask() -> None:
            with suppress(HybridError):
                move(process.client, author="ana", timeout_s=MOVE_S)
            self._asking.remove(process)

        self._world.scheduler.spawn(ask, "operator", process)

    # -- links

    def _link_fault(self, fault: str) -> Undo | None:
        world, random = self._world, self._random
        process = random.choice(world.living)
        store = Store.LOCAL if fault == "cut off" else random.choice(tuple(Store))
        link = world.link(process, store)
        if (process, store) in self._busy:
            return None
        self._busy.add((process, store))
        world.say("nemesis", f"{fault}: {process.name} to {store}")
        self._trouble(process, store)
        if fault == "cut":
            link.cut()
        elif fault in ("refuse", "cut off"):
            link.refuse = True
            link.cut()
        elif fault == "hang link":
            link.hang = True
        elif fault == "forget":
            link.forget(random.choice((0.3, 1.0)))
        elif fault == "swallow":
            link.swallow = True
        elif fault == "slow":
            link.slow_s = random.choice((0.02, 0.06, 0.3))
        else:
            link.lose_replies = random.randrange(1, 4)

        return partial(self._mend_link, process, store)

    def _mend_link(self, process: Process, store: Store) -> None:
        self._world.link(process, store).heal()
        self._busy.discard((process, store))
        self._relief(process, store)

    # -- processes

    def _process_fault(self, action: str, target: str) -> Undo | None:
        world = self._world
        ships = target == "shipper"
        process = self._random.choice([it for it in world.living if it.client._board.shipping or not ships] or [None])
        if process is None or process in self._busy:
            return None
        self._busy.add(process)
        world.say("nemesis", f"{action} {process.name}")
        for store in Store:
            self._trouble(process, store)
        if action == "kill":
            world.kill_process(process)
            return self._replace
        world.scheduler.freeze(process)

        def thaw() -> None:
            world.scheduler.thaw(process)
            self._busy.discard(process)
            for store in Store:
                self._relief(process, store)

        return thaw

    def _overtake(self) -> Undo | None:
        """Whoever ships stands still while another process loses the local store, and takes the authority."""
        undos = self._process_fault("stop", "shipper"), self._link_fault("cut off")
        begun = [undo for undo in undos if undo is not None]

        def end() -> None:
            for undo in begun:
                undo()

        return end if begun else None

    def _trouble(self, process: Process, store: Store) -> None:
        process.troubles[store] += 1

    def _relief(self, process: Process, store: Store) -> None:
        process.troubles[store] = max(0, process.troubles[store] - 1)
        process.working_since_s[store] = self._world.scheduler.now_s
