"""Each store fails by refusing and by hanging, while traffic goes on; then it returns and must catch up."""

from __future__ import annotations

import time
from typing import Any

import redis

from hybrid.errors import AllStoresDown
from hybrid.ops.drills.commands import expect_equal
from hybrid.ops.drills.plan import Findings, Spec
from hybrid.ops.drills.rig import Failed, Lost, Rig
from hybrid.ops.drills.traffic import KEYS, Call, Traffic
from hybrid.types import Health, Store, StoreState

__all__ = ["BOTH_DOWN", "FAILOVER"]

DETECT_TIMEOUT_S = 10.0
RECOVER_TIMEOUT_S = 30.0
STALL_LIMIT_S = 2.0
CALLS_BEFORE_FAULT = 5
CALLS_DURING_FAULT = 20
CALLS_WHILE_DOWN = 20
REFUSE, HANG = "refused", "hung"


class Outage:
    """One store out of reach in one way: a step for the outage, and one for the return."""

    def __init__(self, store: Store, fault: str) -> None:
        self.store = store
        self.fault = fault
        self.name = f"{store} {fault}"

    def specs(self) -> tuple[Spec, Spec]:
        way = "connections refused" if self.fault == REFUSE else "connected, but silent"
        store = self.store.value.capitalize()
        return (
            Spec(f"fail-{self.name}", "Failover", f"{store} store lost ({way})", self.fail, replicated=True),
            Spec(f"return-{self.name}", "Recovery", f"{store} store back ({way})", self.come_back, replicated=True),
        )

    def fail(self, rig: Rig, findings: Findings) -> str:
        """Reads and writes must go on, whatever the store does. The link stays broken for the next step."""
        client = rig.the_client()
        traffic = self._traffic(rig)
        try:
            rig.wait(lambda: len(traffic.calls) >= CALLS_BEFORE_FAULT, "traffic before the fault", DETECT_TIMEOUT_S)
            failed_at_s = time.monotonic()
            rig.harm(self.store)
            rig.links[self.store].apply(refuse=self.fault == REFUSE, hang=self.fault == HANG)
            detected_s = rig.wait(
                lambda: status_of(client, self.store) is StoreState.DOWN, f"noticing the {self.name}", DETECT_TIMEOUT_S
            )
            rig.wait(
                lambda: len(traffic.since(failed_at_s + detected_s)) >= CALLS_DURING_FAULT,
                f"{CALLS_DURING_FAULT} calls without the {self.store} store",
                DETECT_TIMEOUT_S,
            )
        finally:
            traffic.stop()
        stall_ms = self._judged(traffic.since(failed_at_s), findings)
        return (
            f"noticed after {detected_s * 1000:.0f} ms, no call failed, longest stall {stall_ms:.0f} ms, "
            f"the {client.status().authority} store takes writes"
        )

    def come_back(self, rig: Rig, findings: Findings) -> str:
        """The store catches up while traffic goes on; local takes writes again; nothing acknowledged is missing."""
        client = rig.the_client()
        traffic = self._traffic(rig)
        try:
            healed_at_s = time.monotonic()
            rig.links[self.store].heal()
            rig.heal()
            rig.wait(lambda: recovered(client), f"recovery from the {self.name}", RECOVER_TIMEOUT_S)
            recovered_at_s = time.monotonic()
            recovery_s = findings.recovery_s[self.name] = recovered_at_s - healed_at_s
            rig.wait(
                lambda: len(traffic.since(recovered_at_s)) >= CALLS_BEFORE_FAULT, "traffic after", DETECT_TIMEOUT_S
            )
        finally:
            rig.links[self.store].heal()
            traffic.stop()
        stall_ms = self._judged(traffic.since(healed_at_s), findings)
        equal = expect_equal(rig, list(traffic.acknowledged))
        expect_acknowledged(rig, traffic)
        return f"recovered in {recovery_s:.1f} s, longest stall {stall_ms:.0f} ms; {equal}, no acknowledged write lost"

    def _traffic(self, rig: Rig) -> Traffic:
        return Traffic(rig.the_client(), [rig.key(f"traffic:{number}") for number in range(KEYS)]).start()

    def _judged(self, calls: list[Call], findings: Findings) -> float:
        """The longest stall in milliseconds. Raises Failed when a call failed or stalled for too long."""
        stall_ms = max((call.took_s for call in calls), default=0.0) * 1000
        findings.longest_stall_ms[self.name] = max(stall_ms, findings.longest_stall_ms.get(self.name, 0.0))
        errors = [call.error for call in calls if call.error]
        if errors:
            raise Failed(f"{len(errors)} of {len(calls)} calls failed: {errors[0]}")
        if stall_ms > STALL_LIMIT_S * 1000:
            raise Failed(f"a call stalled for {stall_ms:.0f} ms")
        return stall_ms


def status_of(client: Any, store: Store) -> StoreState:
    status = client.status()
    facts = status.local if store is Store.LOCAL else status.cloud
    return facts.state if facts else StoreState.UNKNOWN


def recovered(client: Any) -> bool:
    status = client.status()
    return status.health is Health.HEALTHY and status.authority is Store.LOCAL


def expect_acknowledged(rig: Rig, traffic: Traffic) -> None:
    for key, value in traffic.acknowledged.items():
        found = rig.direct(Store.CLOUD).get(key)
        if found != value:
            raise Lost(f"{key} was acknowledged as {value!r} and is {found!r} now")


def lose_both(rig: Rig, _findings: Findings) -> str:
    """Both stores silent: calls must fail at once instead of waiting for a timeout each; the loader serves."""
    client = rig.the_client()
    key = rig.key("degraded")
    rig.harm(*Store)
    for link in rig.links.values():
        link.apply(hang=True)
    rig.wait(lambda: raises_all_down(client, key), "AllStoresDown", DETECT_TIMEOUT_S)
    took_ms = sorted(timed_refusal(client, key) for _ in range(CALLS_WHILE_DOWN))
    timeout_ms = min(rig.settings.local_timeout_s, rig.settings.cloud_timeout_s) * 1000
    median_ms = took_ms[len(took_ms) // 2]
    if median_ms >= timeout_ms:
        raise Failed(f"a call took {median_ms:.0f} ms to fail, as long as a timeout ({timeout_ms:.0f} ms)")
    loaded = client.get_or_load(key, lambda: "from the source")
    if loaded != "from the source":
        raise Failed(f"get_or_load returned {loaded!r} instead of what the loader gave")
    return f"plain calls fail in {median_ms:.1f} ms (median), get_or_load goes to the loader"


def raises_all_down(client: Any, key: str) -> bool:
    try:
        client.set(key, "x")
    except AllStoresDown:
        return True
    except redis.RedisError:  # the first calls after the fault may still be waiting for a reply
        return False
    return False


def timed_refusal(client: Any, key: str) -> float:
    started = time.perf_counter()
    try:
        client.get(key)
    except AllStoresDown:
        return (time.perf_counter() - started) * 1000
    raise Failed("a read was answered although both stores are out of reach")


def regain_both(rig: Rig, findings: Findings) -> str:
    client = rig.the_client()
    healed_at_s = time.monotonic()
    for link in rig.links.values():
        link.heal()
    rig.heal()
    rig.wait(lambda: recovered(client), "recovery of both stores", RECOVER_TIMEOUT_S)
    recovery_s = findings.recovery_s["both down"] = time.monotonic() - healed_at_s
    key = rig.key("degraded")
    client.set(key, "back")
    return f"recovered in {recovery_s:.1f} s; {expect_equal(rig, [key])}"


FAILOVER = tuple(
    spec for store in (Store.LOCAL, Store.CLOUD) for fault in (REFUSE, HANG) for spec in Outage(store, fault).specs()
)
BOTH_DOWN = (
    Spec("fail-both", "Failover", "Both stores lost: degraded mode", lose_both, replicated=True),
    Spec("return-both", "Recovery", "Both stores back", regain_both, replicated=True),
)
