"""Later looks at what is suspected: real drift stands still and is not on its way, the rest goes away by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hybrid.core.drift import Cause, Difference, Sighting, Verdict, causes_between, detail_of, judge
from hybrid.core.state import KeyState, findings
from hybrid.ops.diff.file import DiffFile, Suspect
from hybrid.ops.diff.log import InFlight
from hybrid.ops.diff.looks import look_at
from hybrid.ops.diff.readers import FactsReader, ScriptReader
from hybrid.replication.copy import read_state

__all__ = ["Confirmation"]

PAGE_SUSPECTS = 1000
PAGE_DIGESTED = 5000
MOST_EXTRA_LOOKS = 4
PAUSE_GROWTH = 1.5
LONGEST_PAUSE_S = 1.0
NEARLY_EQUAL = frozenset({"hash", "stream", "json"})
"""Kinds whose content may be equal although fingerprints differ: by tolerance of times, or by how JSON is written."""
MOST_READ_BYTES = 8 * 1024 * 1024
"""Of a larger value the fingerprint is believed: in Python's objects it takes many times its size, and twice."""


@dataclass(slots=True)
class Confirmation:
    """`looks` later looks must agree; `read_log` says what is on its way; `pause` waits that many seconds; `passed` is
    told how many suspects were looked at, and may raise to end it."""

    file: DiffFile
    local: FactsReader
    cloud: FactsReader
    read_log: Callable[[], InFlight]
    pause: Callable[[float], None]
    passed: Callable[[int], object]
    looks: int
    pause_s: float
    ttl_tolerance_ms: int

    def run(self) -> int:
        """Look until nothing is merely suspected, or looking longer would not help; returns how many keys are left."""
        pause_s = self.pause_s
        for _ in range(self.looks + MOST_EXTRA_LOOKS):
            if not self.file.suspected:
                return 0
            self.pause(pause_s)
            pause_s = min(pause_s * PAUSE_GROWTH, LONGEST_PAUSE_S)
            self.look_again()
        return self.file.suspected

    def look_again(self) -> None:
        """One look at every suspect."""
        in_flight = self.read_log()
        after: bytes | None = None
        digested = isinstance(self.local, ScriptReader) and isinstance(self.cloud, ScriptReader)
        while page := self.file.suspects(after, PAGE_DIGESTED if digested else PAGE_SUSPECTS):
            after = page[-1][0]
            self.look_at_page(page, in_flight)
            self.passed(len(page))

    def look_at_page(self, page: Sequence[Suspect], in_flight: InFlight) -> None:
        sightings = look_at(self.local, self.cloud, [key for key, _, _ in page])
        equal: list[bytes] = []
        confirmed: list[Difference] = []
        waiting: list[Suspect] = []
        for key, before, steady in page:
            now = sightings[key]
            verdict, steady = judge(
                now,
                before,
                steady,
                logged=key in in_flight,
                looks=self.looks,
                ttl_tolerance_ms=self.ttl_tolerance_ms,
            )
            difference = self.settled(key, now) if verdict is Verdict.CONFIRMED else None
            if difference:
                confirmed.append(difference)
            elif verdict in (Verdict.EQUAL, Verdict.CONFIRMED):
                equal.append(key)
            else:
                waiting.append((key, now, steady))
        self.file.clear(equal)
        self.file.confirm(confirmed)
        self.file.suspect(waiting)
        self.file.remember()

    def settled(self, key: bytes, sighting: Sighting) -> Difference | None:
        """The difference, read once more as a whole where a fingerprint is stricter than equality; None if equal."""
        causes = causes_between(sighting, ttl_tolerance_ms=self.ttl_tolerance_ms)
        detail = detail_of(causes, sighting.local, sighting.cloud)
        content = {Cause.VALUE, Cause.STREAM_GROUP}.intersection(causes)
        sides = [facts for facts in (sighting.local, sighting.cloud) if facts]
        if content and all(side.kind in NEARLY_EQUAL and side.size_bytes <= MOST_READ_BYTES for side in sides):
            here, there = (read_state(reader.line, key)[0] for reader in (self.local, self.cloud))
            if isinstance(here, KeyState) and isinstance(there, KeyState):
                found = list(findings(here, there, ttl_tolerance_ms=self.ttl_tolerance_ms))
                causes = tuple(dict.fromkeys(cause_of(finding.cause) for finding in found))
                detail = "; ".join(f"{f.cause}: {f.here} / {f.there}" for f in found[:3])
        return Difference(key, in_order(causes), sighting.local, sighting.cloud, detail) if causes else None


STREAM_CAUSES = frozenset({"stream group", "stream consumer", "stream pending"})


def cause_of(finding: str) -> Cause:
    """The cause under which a finding of `hybrid.core.state` counts."""
    if finding in STREAM_CAUSES:
        return Cause.STREAM_GROUP
    return {"type": Cause.TYPE, "ttl": Cause.TTL}.get(finding, Cause.VALUE)


def in_order(causes: tuple[Cause, ...]) -> tuple[Cause, ...]:
    return causes if len(causes) < 2 else tuple(cause for cause in Cause if cause in causes)
