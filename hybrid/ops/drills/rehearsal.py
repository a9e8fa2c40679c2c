"""One attempt at one drill: its steps, in order, with what they saw as evidence."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

import redis

from hybrid.core.guarantees import Evidence
from hybrid.ops import failover as manual
from hybrid.ops.drills.drill_report import Figures
from hybrid.ops.drills.failover import raises_all_down, recovered, status_of, timed_refusal
from hybrid.ops.drills.library import Drill, Fault
from hybrid.ops.drills.load import Call, Load
from hybrid.ops.drills.rig import Failed
from hybrid.ops.drills.stage import Stage
from hybrid.ops.drills.verify import lacking, verify
from hybrid.types import Ack, Health, Store, StoreState

__all__ = ["Act", "Rehearsal"]

OPEN_TIMEOUT_S = 15.0
TURNS_TIMEOUT_S = 15.0
DETECT_TIMEOUT_S = 10.0
RECOVER_TIMEOUT_S = 30.0
TURNS_BEFORE, TURNS_DURING, TURNS_AFTER = 8, 20, 6
BLINKS, TURNS_PER_BLINK = 5, 4
REFUSALS = 20
AUTHOR = "drill"


@dataclass(frozen=True, slots=True)
class Act:
    """One step to run; `action` returns what it found."""

    id: str
    group: str
    name: str
    action: Callable[[], str]


class Rehearsal:
    """Plays `drill` on `stage`; `acts` in order, then `finish`, whatever happened, and `figures`."""

    def __init__(self, drill: Drill, stage: Stage) -> None:
        self.drill = drill
        self.stage = stage
        self.evidence = Evidence(ack=stage.rig.settings.ack)
        self.figures = Figures()
        self._load: Load | None = None
        self._fault_at_s: float | None = None
        self._serving_at_s: float | None = None
        self._excused: list[tuple[float, float]] = []

    @property
    def acts(self) -> tuple[Act, ...]:
        drill = self.drill
        before = (
            Act("open", "Prepare", "The drill's client opens", self.open),
            Act("before", "Prepare", "An application at work", self.work_before),
        )
        after = (
            Act("recover", "Recovery", "Both stores in sync again", self.recover),
            Act("verify", "Verdict", "What was confirmed is held against both stores", self.verify),
        )
        middle: tuple[Act, ...]
        if drill.fault is Fault.MOVE:
            middle = (
                Act("failover", "Fault", "The cloud store takes the writes", self.fail_over),
                Act("failback", "Fault", "The local store takes the writes", self.fail_back),
            )
        elif drill.fault in (Fault.CUT, Fault.LOST_REPLY):
            middle = (Act("fault", "Fault", f"{drill.title}, {BLINKS} times", self.blink),)
        elif drill.survivor is None:
            middle = (
                Act("fault", "Fault", f"{drill.title}: degraded mode", self.lose_both),
                Act("heal", "Recovery", "Both stores answer again", self.heal),
            )
        else:
            middle = (
                Act("fault", "Fault", f"{drill.title}: noticed", self.lose_one),
                Act("during", "Fault", f"The {drill.survivor} store serves alone", self.work_during),
                Act("heal", "Recovery", f"The {drill.stores[0]} store answers again", self.heal),
            )
        return (*before, *middle, *after)

    # -- prepare

    def open(self) -> str:
        client = self.stage.open()
        took_s = self._wait(lambda: client.status().health is Health.HEALTHY, "both stores up", OPEN_TIMEOUT_S)
        return f"healthy after {took_s:.1f} s, the {client.status().authority} store takes writes"

    def work_before(self) -> str:
        rig = self.stage.rig
        counts_stand = self.evidence.ack is Ack.BOTH
        self._load = Load(rig.the_client(), rig.key, counts_stand=counts_stand).start()
        self._turns(TURNS_BEFORE)
        return f"{len(self._load.calls)} commands"

    # -- faults

    def lose_one(self) -> str:
        drill, client = self.drill, self.stage.rig.the_client()
        [store] = drill.stores
        self._begin()
        self.stage.inject(drill)
        detected_s = self._wait(
            lambda: status_of(client, store) is not StoreState.UP, f"noticing the {drill.title}", DETECT_TIMEOUT_S
        )
        self.figures = replace(self.figures, detected_s=detected_s)
        return f"after {detected_s * 1000:.0f} ms"

    def work_during(self) -> str:
        """The survivor serves; what it lacks of the writes confirmed before the fault is the RPO."""
        load, fault_at_s, survivor = self._working(), self._began(), self.drill.survivor
        assert survivor is not None
        self._wait(lambda: any(is_write(call) for call in load.since(fault_at_s)), "a write", DETECT_TIMEOUT_S)
        found = self._count_lost(survivor)
        self._turns(TURNS_DURING)
        return f"{TURNS_DURING} turns of work; {found}"

    def blink(self) -> str:
        self._begin()
        for _ in range(BLINKS):
            self.stage.blink(self.drill)
            self._turns(TURNS_PER_BLINK)
            self._wait(self.stage.has_blinked, "the fault taking effect", DETECT_TIMEOUT_S)
        survivor = self.drill.survivor
        if self.drill.fault is Fault.CUT and survivor is not None:
            self._count_lost(survivor)
        return f"{BLINKS} times, with work in between"

    def lose_both(self) -> str:
        client, rig = self.stage.rig.the_client(), self.stage.rig
        key = rig.key("degraded")
        self._begin()
        self.stage.inject(self.drill)
        detected_s = self._wait(lambda: raises_all_down(client, key), "AllStoresDown", DETECT_TIMEOUT_S)
        self.evidence.refusal_s = statistics.median(timed_refusal(client, key) for _ in range(REFUSALS)) / 1000
        self.evidence.refusal_limit_s = min(self.stage.timeouts_s.values())
        self.evidence.loader_served = client.get_or_load(key, lambda: "from the source") == "from the source"
        self.figures = replace(self.figures, detected_s=detected_s)
        return f"refused at once after {detected_s * 1000:.0f} ms, then in {self.evidence.refusal_s * 1000:.1f} ms each"

    def fail_over(self) -> str:
        self._begin()
        return self._moved(manual.failover(self.stage.rig.the_client(), author=AUTHOR), Store.CLOUD)

    def fail_back(self) -> str:
        return self._moved(manual.failback(self.stage.rig.the_client(), author=AUTHOR), Store.LOCAL)

    def _moved(self, moved: manual.Moved, wanted: Store) -> str:
        if moved.authority is not wanted:
            raise Failed(f"the {moved.authority} store takes the writes, not the {wanted} one")
        self._turns(TURNS_DURING)
        return f"in {moved.took_s:.2f} s, then {TURNS_DURING} turns of work"

    # -- recovery

    def heal(self) -> str:
        fault_at_s = self._began()
        self.stage.heal(self.drill)
        self.stage.rig.heal()
        self._serving_at_s = time.monotonic()
        if len(self.drill.stores) == len(Store):
            load = self._working()
            healed_at_s = self._serving_at_s
            self._wait(lambda: any(is_write(call) for call in load.since(healed_at_s)), "a write", RECOVER_TIMEOUT_S)
            self._excused.append((fault_at_s, first_write_s(load.since(healed_at_s))))
        return f"{time.monotonic() - fault_at_s:.1f} s after the fault began"

    def recover(self) -> str:
        """Both stores up, local has the writes, nothing waits: while the application goes on, then without it."""
        rig, load = self.stage.rig, self._working()
        healed_at_s = self._serving_at_s or time.monotonic()
        client = rig.the_client()
        try:
            self._wait(lambda: recovered(client), "recovery", RECOVER_TIMEOUT_S)
            in_sync_s = time.monotonic() - healed_at_s
            self._turns(TURNS_AFTER)
            load.stop()
            if not client.wait_in_sync(RECOVER_TIMEOUT_S):
                raise Failed(f"the stores were not in sync after {RECOVER_TIMEOUT_S:g} s")
        except Failed as failure:
            self.evidence.sync_problem = str(failure)
            raise
        self.evidence.in_sync_s = in_sync_s
        self.figures = replace(self.figures, in_sync_s=in_sync_s)
        return f"after {in_sync_s:.1f} s, the local store takes writes"

    def verify(self) -> str:
        load = self._working()
        verify(self.stage.rig, load, self.evidence)
        return f"{len(load.written)} keys, {len(load.pushed)} journal elements, {sum(load.counts_confirmed)} counts"

    # -- the end

    def finish(self) -> None:
        """Stop the work, and count what it saw."""
        self.figures = replace(self.figures, cloud_commands=self.stage.cloud_commands())
        if self._load is None:
            return
        with suppress(redis.RedisError, OSError):
            self.stage.heal(self.drill)  # the work ends sooner when it is answered
        self._load.stop()
        calls = self._load.calls
        errors = [call for call in calls if call.error and not call.unknown]
        blamed = [call for call in errors if not self._is_excused(call)]
        longest_s = max((call.took_s for call in calls), default=0.0)
        limit_s = max(self.stage.timeouts_s.values())
        self.evidence.busy, self.evidence.bystander = self.stage.rig.witness.busy, self.stage.rig.fallen_out()
        self.evidence.commands = len(calls)
        self.evidence.unknown = sum(call.unknown for call in calls)
        if self._fault_at_s is not None:
            self.evidence.failed = tuple(f"{call.command}: {call.error}" for call in blamed)
            served = (call.took_s for call in calls if not self._is_excused(call))
            self.evidence.longest_stall_s = max(served, default=0.0)
        self.figures = replace(
            self.figures,
            rto_s=self._rto_s(calls),
            commands=len(calls),
            failed=len(errors),
            unknown=self.evidence.unknown,
            stalled=sum(call.took_s > limit_s for call in calls),
            longest_stall_ms=longest_s * 1000,
        )

    def _rto_s(self, calls: list[Call]) -> float | None:
        since_s = self._excused[0][0] if self._excused else self._fault_at_s
        if self._excused and self._serving_at_s is not None:
            return self._excused[0][1] - self._serving_at_s
        return None if since_s is None else longest_gap_s(calls, since_s)

    def _is_excused(self, call: Call) -> bool:
        """Whether no store could serve this command: both were down, as the drill wanted."""
        if self.drill.survivor is None and len(self.drill.stores) == len(Store) and not self._excused:
            return self._fault_at_s is not None and call.ended_s > self._fault_at_s
        return any(began_s < call.ended_s and call.began_s <= ended_s for began_s, ended_s in self._excused)

    # -- pieces

    def _begin(self) -> None:
        if self.drill.fault is not Fault.MOVE:
            self.stage.rig.harm(*self.drill.stores)
        self._fault_at_s = time.monotonic()

    def _began(self) -> float:
        assert self._fault_at_s is not None
        return self._fault_at_s

    def _working(self) -> Load:
        assert self._load is not None
        return self._load

    def _count_lost(self, survivor: Store) -> str:
        """How many of the writes that were confirmed before the fault the survivor lacks: the RPO."""
        load, fault_at_s = self._working(), self._began()
        before = [write for write in load.standing if write.at_s < fault_at_s]
        missing = lacking(self.stage.rig, survivor, before)
        lost = len({*missing} & {*load.standing})  # the application goes on, and deletes some while they are looked for
        self.evidence.lost_at_failover = lost
        self.figures = replace(self.figures, rpo_writes=lost)
        return f"of {len(before)} confirmed writes the {survivor} store lacked {lost}"

    def _turns(self, count: int) -> None:
        """Wait for so many further turns of the application."""
        load = self._working()
        wanted = load.turns + count
        self._wait(lambda: load.turns >= wanted, f"{count} turns of work", TURNS_TIMEOUT_S)

    def _wait(self, condition: Callable[[], object], what: str, timeout_s: float) -> float:
        return self.stage.rig.wait(condition, what, timeout_s)


def is_write(call: Call) -> bool:
    """Whether it is a confirmed write."""
    return not call.error and call.command != "GET"


def first_write_s(calls: list[Call]) -> float:
    return min(call.ended_s for call in calls if is_write(call))


def longest_gap_s(calls: list[Call], since_s: float) -> float | None:
    """The longest time without a confirmed write after `since_s`; None when none was ever confirmed again."""
    ends = sorted(call.ended_s for call in calls if is_write(call) and call.ended_s > since_s)
    gaps = [after - before for before, after in zip([since_s, *ends], ends, strict=False)]
    return max(gaps, default=None)
