"""Latency of a store as this process's own traffic meets it: a small window of the latest calls."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["LatencySummary", "LatencyWindow", "percentile"]


@dataclass(frozen=True, slots=True)
class LatencySummary:
    """How long `count` recent calls took."""

    count: int
    p50_ms: float
    p99_ms: float


def percentile(ordered: Sequence[float], share: float) -> float:
    """The nearest-rank percentile of an ascending, non-empty sequence: a value that really occurred."""
    rank = math.ceil(share * len(ordered))
    return ordered[min(max(rank, 1), len(ordered)) - 1]


class LatencyWindow:
    """The latest calls of one kind; `record` may be called from any thread, at well under a microsecond.

    At most `keep` calls are remembered, and none that is older than `horizon_s` counts: a quiet store has no
    latency, rather than that of an hour ago.
    """

    __slots__ = ("_calls", "_clock", "_horizon_s")

    def __init__(self, keep: int = 1024, horizon_s: float = 60.0) -> None:
        self._calls: deque[tuple[float, float]] = deque(maxlen=keep)
        self._clock = time.monotonic
        self._horizon_s = horizon_s

    def record(self, seconds: float) -> None:
        """Remember one call that took `seconds`. Lock-free: appending to a bounded deque is atomic."""
        self._calls.append((self._clock(), seconds))

    def summary(self) -> LatencySummary | None:
        """Median and 99th percentile of the calls in the window; None when there was none."""
        oldest = self._clock() - self._horizon_s
        seconds = sorted(took for at, took in self._calls.copy() if at >= oldest)
        if not seconds:
            return None
        return LatencySummary(len(seconds), percentile(seconds, 0.5) * 1000, percentile(seconds, 0.99) * 1000)
