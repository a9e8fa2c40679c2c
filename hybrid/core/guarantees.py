"""What a drill saw, held against each guarantee.

A machine too busy excuses what was late. A second store that fails at the same moment also excuses a read of what the
store that is left has. Nothing excuses what was lost, counted twice, or differs in the end.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from hybrid.types import Ack

__all__ = ["GUARANTEES", "STALL_LIMIT_S", "Evidence", "Finding", "Judgement", "judged"]

GUARANTEES: Mapping[str, str] = MappingProxyType(
    {
        "G1": "Reads and writes go on while a store with the last data can be reached",
        "G2": "A confirmed write is where its confirmation says",
        "G3": "Both stores become identical by themselves",
        "G4": "No confirmed write disappears unseen",
        "G5": "Both stores apply the writes in the same order",
        "G6": "A store that was missed or wiped serves nothing old, and spreads no emptiness",
        "G7": "A command of unknown outcome never counts twice",
        "G8": "With both stores down, errors come at once, and the loader serves",
    }
)
STALL_LIMIT_S: Final = 2.0
"""The "one short stall" of G1: no command may take longer."""

SHOWN: Final = 3


class Finding(StrEnum):
    """What became of one guarantee. UNSURE: the machine was too busy to judge."""

    KEPT = "kept"
    BROKEN = "broken"
    UNSURE = "too busy to judge"
    NOT_CHECKED = "not checked"


@dataclass(frozen=True, slots=True)
class Judgement:
    """One guarantee (`G1` to `G8`), what became of it, and why in plain words."""

    guarantee: str
    finding: Finding
    reason: str


@dataclass(slots=True)
class Evidence:
    """What a drill saw. None: it did not get so far. `busy` says why lateness proves nothing here, "" if it does;
    `bystander` that a store counted as down to which nothing had been done, so that this was no single fault.

    `failed` are commands that raised although a store could serve them, `unknown` those that raised OutcomeUnknown.
    `lost_at_failover` are writes, confirmed before the fault, that the surviving store did not have when it took over.
    The lists name keys or elements.
    """

    ack: Ack = Ack.BOTH
    busy: str = ""
    bystander: str = ""
    commands: int = 0
    failed: tuple[str, ...] | None = None
    unknown: int = 0
    longest_stall_s: float | None = None
    lost_at_failover: int | None = None
    in_sync_s: float | None = None
    sync_problem: str = ""
    different: tuple[str, ...] | None = None
    lost: tuple[str, ...] | None = None
    archived: int = 0
    misordered: tuple[str, ...] | None = None
    stale: tuple[str, ...] | None = None
    resurrected: tuple[str, ...] | None = None
    doubled: tuple[str, ...] | None = None
    refusal_s: float | None = None
    refusal_limit_s: float = 0.0
    loader_served: bool | None = None


def judged(evidence: Evidence, checked: Collection[str], cut_short: str = "") -> tuple[Judgement, ...]:
    """Each of the eight guarantees. `checked` are those that the drill puts to the test; `cut_short` says why it ended
    before its end, if it did."""
    return tuple(_judged(name, evidence, name in checked, cut_short) for name in GUARANTEES)


def _judged(name: str, evidence: Evidence, is_checked: bool, cut_short: str) -> Judgement:
    if not is_checked:
        return Judgement(name, Finding.NOT_CHECKED, "this drill does not put it to the test")
    finding, reason = JUDGES[name](evidence)
    if finding is Finding.NOT_CHECKED and cut_short:
        reason = f"the drill ended before: {cut_short}"
    return Judgement(name, finding, reason)


Judge = Callable[[Evidence], tuple[Finding, str]]
UNMEASURED = (Finding.NOT_CHECKED, "the drill did not get so far")


def _late(evidence: Evidence, reason: str) -> tuple[Finding, str]:
    """A failure that slowness alone can cause."""
    return _unless(evidence.bystander or evidence.busy, reason)


def _unless(excuse: str, reason: str) -> tuple[Finding, str]:
    return (Finding.UNSURE, f"{reason}; but {excuse}") if excuse else (Finding.BROKEN, reason)


def _listed(items: Sequence[str]) -> str:
    more = len(items) - SHOWN
    return ", ".join(items[:SHOWN]) + (f" and {more} more" if more > 0 else "")


def availability(evidence: Evidence) -> tuple[Finding, str]:
    if evidence.failed is None or evidence.longest_stall_s is None:
        return UNMEASURED
    if evidence.failed:
        return _late(evidence, f"{len(evidence.failed)} of {evidence.commands} commands failed: {evidence.failed[0]}")
    stall_ms = evidence.longest_stall_s * 1000
    if evidence.longest_stall_s > STALL_LIMIT_S:
        return _late(evidence, f"a command stalled for {stall_ms:.0f} ms, more than {STALL_LIMIT_S * 1000:.0f} ms")
    return Finding.KEPT, f"none of {evidence.commands} commands failed, the longest stall was {stall_ms:.0f} ms"


def confirmation(evidence: Evidence) -> tuple[Finding, str]:
    count = evidence.lost_at_failover
    if count is None:
        return UNMEASURED
    if evidence.ack is Ack.LOCAL:
        return Finding.KEPT, f"ack=local confirms before the cloud has it: {count} writes were on the lost store alone"
    if count:
        return _unless(evidence.bystander, f"the surviving store lacked {count} writes that ack=both had confirmed")
    return Finding.KEPT, "the surviving store had every confirmed write"


def convergence(evidence: Evidence) -> tuple[Finding, str]:
    if evidence.sync_problem:
        return _late(evidence, evidence.sync_problem)
    if evidence.in_sync_s is None or evidence.different is None:
        return UNMEASURED
    if evidence.different:
        return Finding.BROKEN, f"{len(evidence.different)} keys differ: {_listed(evidence.different)}"
    return Finding.KEPT, f"in sync after {evidence.in_sync_s:.1f} s, and nothing differs"


def durability(evidence: Evidence) -> tuple[Finding, str]:
    if evidence.lost is None:
        return UNMEASURED
    if evidence.lost:
        what = f"{len(evidence.lost)} confirmed writes are neither on both stores nor in the archive"
        return Finding.BROKEN, f"{what}: {_listed(evidence.lost)}"
    archived = f", {evidence.archived} of them in the conflict archive" if evidence.archived else ""
    return Finding.KEPT, f"every confirmed write was found{archived}"


def order(evidence: Evidence) -> tuple[Finding, str]:
    if evidence.misordered is None:
        return UNMEASURED
    if evidence.misordered:
        return Finding.BROKEN, f"the stores have a different order in {_listed(evidence.misordered)}"
    return Finding.KEPT, "what two writers pushed at once is in the same order on both stores"


def freshness(evidence: Evidence) -> tuple[Finding, str]:
    if evidence.stale is None or evidence.resurrected is None:
        return UNMEASURED
    if evidence.resurrected:
        return Finding.BROKEN, f"deleted keys came back: {_listed(evidence.resurrected)}"
    if evidence.stale and evidence.ack is Ack.BOTH:
        return _unless(evidence.bystander, f"{len(evidence.stale)} reads went back in time: {evidence.stale[0]}")
    if evidence.stale:
        return Finding.KEPT, f"{len(evidence.stale)} reads missed what only the lost store had, as ack=local allows"
    return Finding.KEPT, "no read went back in time, deleted keys stayed deleted"


def once(evidence: Evidence) -> tuple[Finding, str]:
    if evidence.doubled is None:
        return UNMEASURED
    if evidence.doubled:
        return Finding.BROKEN, f"counted twice: {_listed(evidence.doubled)}"
    told = f", {evidence.unknown} told their caller that it is unknown" if evidence.unknown else ""
    return Finding.KEPT, f"no command counted twice{told}"


def degraded(evidence: Evidence) -> tuple[Finding, str]:
    if evidence.refusal_s is None or evidence.loader_served is None:
        return UNMEASURED
    if not evidence.loader_served:
        return Finding.BROKEN, "get_or_load did not return what the loader gave"
    took_ms, limit_ms = evidence.refusal_s * 1000, evidence.refusal_limit_s * 1000
    if took_ms >= limit_ms:
        return _late(evidence, f"a refused command took {took_ms:.0f} ms, as long as a timeout ({limit_ms:.0f} ms)")
    return Finding.KEPT, f"commands failed within {took_ms:.1f} ms (median), the loader served"


JUDGES: Final[Mapping[str, Judge]] = MappingProxyType(
    {
        "G1": availability,
        "G2": confirmation,
        "G3": convergence,
        "G4": durability,
        "G5": order,
        "G6": freshness,
        "G7": once,
        "G8": degraded,
    }
)
