"""What was measured in a span of time, in a form that adds up: over threads, processes and spans.

A record travels as one line of JSON. Counts are exact however often records are merged.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from hybrid.core.histogram import Histogram

__all__ = ["EVENTS_KEPT", "Counts", "Happening", "Record", "by_slot"]

EVENTS_KEPT: Final = 200
"""At most this many events stay in one record: a flapping store must not fill memory."""

_LARGEST: Final = ("lag_entries", "lag_s")

Counts = dict[tuple[str, str], tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Happening:
    """An event as it is kept: Unix time, process, class name, level name and words. `key` is the same in every process
    that met the same event, and empty where each one's is its own."""

    at_s: float
    process: str
    event: str
    level: str
    message: str
    key: str = ""


@dataclass(slots=True)
class Record:
    """What happened in `span_s` seconds from `at_s` (Unix time).

    `latency` is by (store, command group), `errors` by (store, or "client", kind), `traffic` by (store, purpose):
    commands, bytes sent and bytes received. `gauges` are values of the whole, such as `lag_s`.
    """

    at_s: int
    span_s: int
    latency: dict[tuple[str, str], Histogram] = field(default_factory=dict)
    errors: Counts = field(default_factory=dict)
    traffic: Counts = field(default_factory=dict)
    gauges: dict[str, float] = field(default_factory=dict)
    events: list[Happening] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        return not (self.latency or self.errors or self.traffic or self.gauges or self.events)

    def add(self, other: Record) -> None:
        """Take in what `other` holds; gauges are its own where it has them, of a lag the larger."""
        for key, histogram in other.latency.items():
            self.latency.setdefault(key, Histogram()).add(histogram)
        _add(self.errors, other.errors)
        _add(self.traffic, other.traffic)
        for name, value in other.gauges.items():
            self.gauges[name] = max(value, self.gauges.get(name, value)) if name in _LARGEST else value
        self.events = [*self.events, *other.events][-EVENTS_KEPT:]

    def packed(self) -> bytes:
        """One line of JSON, for `unpacked`."""
        document: dict[str, Any] = {"t": self.at_s, "s": self.span_s}
        if self.latency:
            document["l"] = {"|".join(key): histogram.packed() for key, histogram in self.latency.items()}
        for name, counts in (("e", self.errors), ("c", self.traffic)):
            if counts:
                document[name] = {"|".join(key): numbers for key, numbers in counts.items()}
        if self.gauges:
            document["g"] = self.gauges
        if self.events:
            document["v"] = [[e.at_s, e.process, e.event, e.level, e.message, e.key] for e in self.events]
        return json.dumps(document, separators=(",", ":")).encode()

    @classmethod
    def unpacked(cls, line: bytes) -> Record:
        """Raises ValueError for what is no record."""
        try:
            document = json.loads(line)
            return cls(
                at_s=document["t"],
                span_s=document["s"],
                latency={_pair(key): Histogram.unpacked(numbers) for key, numbers in document.get("l", {}).items()},
                errors={_pair(key): tuple(numbers) for key, numbers in document.get("e", {}).items()},
                traffic={_pair(key): tuple(numbers) for key, numbers in document.get("c", {}).items()},
                gauges=document.get("g", {}),
                events=[Happening(*happening) for happening in document.get("v", ())],
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not a metrics record: {error}") from None


def by_slot(records: Iterable[Record], span_s: int) -> list[Record]:
    """The same counts in spans of `span_s`, oldest first; a slot without anything is absent."""
    slots: dict[int, Record] = {}
    for record in records:
        at_s = record.at_s - record.at_s % span_s
        slots.setdefault(at_s, Record(at_s, span_s)).add(record)
    return [slots[at_s] for at_s in sorted(slots)]


def _add(counts: Counts, more: Counts) -> None:
    for key, numbers in more.items():
        counts[key] = tuple(map(sum, zip(counts[key], numbers, strict=True))) if key in counts else numbers


def _pair(key: str) -> tuple[str, str]:
    first, _, second = key.partition("|")
    return first, second


def grown(now: Sequence[int], before: Sequence[int]) -> tuple[int, ...]:
    """How much each number grew."""
    return tuple(late - early for late, early in zip(now, before, strict=True))
