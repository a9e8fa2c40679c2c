"""Latency histograms with log-linear buckets: eight to each power of two, so a value is known to within an eighth.

The buckets are the same everywhere, so histograms of threads, processes and hours add up exactly.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

__all__ = ["BUCKETS", "Histogram", "bucket_of", "upper_us"]

_LINEAR: Final = 16
_LONGEST_US: Final = 2**27 - 1
BUCKETS: Final = 16 + 8 * (27 - 4)
"""Whole microseconds up to 16, then eight buckets to each power of two; the last holds all that took over 126 s."""


def bucket_of(micros: int) -> int:
    """The bucket that holds `micros`."""
    if micros < _LINEAR:
        return micros if micros > 0 else 0
    if micros > _LONGEST_US:
        return BUCKETS - 1
    shift = micros.bit_length() - 4
    return (shift << 3) + (micros >> shift)


def upper_us(bucket: int) -> int:
    """The first microsecond above `bucket`."""
    if bucket < _LINEAR:
        return bucket + 1
    shift = (bucket >> 3) - 1
    return ((bucket & 7) + 9) << shift


class Histogram:
    """How often each bucket was met, and the sum of what was recorded, in microseconds. Not thread-safe."""

    __slots__ = ("counts", "sum_us")

    def __init__(self, counts: dict[int, int] | None = None, sum_us: int = 0) -> None:
        self.counts = counts or {}
        self.sum_us = sum_us

    @property
    def count(self) -> int:
        return sum(self.counts.values())

    def add(self, other: Histogram) -> None:
        """Take in everything that `other` holds."""
        for bucket, count in other.counts.items():
            self.counts[bucket] = self.counts.get(bucket, 0) + count
        self.sum_us += other.sum_us

    def quantile_ms(self, share: float) -> float | None:
        """An upper bound of the nearest-rank quantile, at most an eighth too high; None when nothing was recorded."""
        count = self.count
        rank, seen = max(share * count, 1), 0
        for bucket in sorted(self.counts):
            seen += self.counts[bucket]
            if seen >= rank:
                return upper_us(bucket) / 1000
        return None

    def at_most(self, micros: int) -> int:
        """How many took at most `micros` for sure."""
        return sum(count for bucket, count in self.counts.items() if upper_us(bucket) <= micros)

    def packed(self) -> list[int]:
        """Numbers that `unpacked` understands: the sum, then buckets and their counts."""
        return [self.sum_us, *(number for item in sorted(self.counts.items()) for number in item)]

    @classmethod
    def unpacked(cls, numbers: Sequence[int]) -> Histogram:
        return cls(dict(zip(numbers[1::2], numbers[2::2], strict=True)), numbers[0])

    @classmethod
    def merged(cls, histograms: Iterable[Histogram]) -> Histogram:
        whole = cls()
        for histogram in histograms:
            whole.add(histogram)
        return whole
