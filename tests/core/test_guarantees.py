"""Evidence becomes judgements: what was lost counts always, what was late only where the machine had time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hybrid.core.guarantees import GUARANTEES, Evidence, Finding, judged
from hybrid.types import Ack

CLEAN = Evidence(
    commands=100, failed=(), longest_stall_s=0.12, lost_at_failover=0, in_sync_s=1.0, different=(), lost=(),
    misordered=(), stale=(), resurrected=(), doubled=(), refusal_s=0.001, refusal_limit_s=0.1, loader_served=True,
)  # fmt: skip
BUSY = "this process got no time for 300 ms"


def findings(evidence: Evidence, **options: Any) -> dict[str, Finding]:
    return {each.guarantee: each.finding for each in judged(evidence, tuple(GUARANTEES), **options)}


def test_a_clean_drill_keeps_all_of_them() -> None:
    assert set(findings(CLEAN).values()) == {Finding.KEPT}


def test_what_is_not_put_to_the_test_or_not_reached_is_not_checked_with_the_reason() -> None:
    found = {each.guarantee: each for each in judged(Evidence(), ("G1",), cut_short="the client did not open")}
    assert {each.finding for each in found.values()} == {Finding.NOT_CHECKED}
    assert "client did not open" in found["G1"].reason and "does not put it" in found["G8"].reason


@pytest.mark.parametrize(
    ("broken", "changes", "by_busy", "by_bystander"),
    [
        ("G1", {"failed": ("SET: down",)}, True, True),
        ("G1", {"longest_stall_s": 2.5}, True, True),
        ("G2", {"lost_at_failover": 1}, False, True),
        ("G3", {"sync_problem": "not in sync after 30 s"}, True, True),
        ("G3", {"different": ("k",)}, False, False),
        ("G4", {"lost": ("k",)}, False, False),
        ("G5", {"misordered": ("list",)}, False, False),
        ("G6", {"stale": ("k was 1 after 2",)}, False, True),
        ("G6", {"resurrected": ("k",)}, False, False),
        ("G7", {"doubled": ("7",)}, False, False),
        ("G8", {"refusal_s": 0.2}, True, True),
        ("G8", {"loader_served": False}, False, False),
    ],
)
def test_each_kind_of_evidence_breaks_its_guarantee_alone(
    broken: str, changes: dict[str, Any], by_busy: bool, by_bystander: bool
) -> None:
    others = {name: Finding.KEPT for name in GUARANTEES if name != broken}
    for excused, excuses in ((False, {}), (by_busy, {"busy": BUSY}), (by_bystander, {"bystander": "local fell out"})):
        found = findings(replace(CLEAN, **changes, **excuses))
        assert found == others | {broken: Finding.UNSURE if excused else Finding.BROKEN}


def test_ack_local_promises_less_and_says_how_much_was_at_risk() -> None:
    seen = replace(CLEAN, ack=Ack.LOCAL, lost_at_failover=4, stale=("k was 1 after 2",))
    found = {each.guarantee: each for each in judged(seen, ("G2", "G6"))}
    assert found["G2"].finding is found["G6"].finding is Finding.KEPT
    assert "4 writes" in found["G2"].reason and "1 reads" in found["G6"].reason
    assert findings(replace(seen, resurrected=("k",)))["G6"] is Finding.BROKEN
