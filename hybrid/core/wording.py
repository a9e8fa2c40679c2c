"""Numbers with what they count."""

from __future__ import annotations

__all__ = ["counted", "length"]


def counted(number: int, one: str, many: str) -> str:
    """`number` (grouped by thousands) and what it counts: 1 key waits, 2,000 keys wait, no keys wait."""
    return f"{number:,} {one}" if number == 1 else f"{f'{number:,}' if number else 'no'} {many}"


def length(span_s: float) -> str:
    """40 s, 12 min, 3.5 h, 2.1 d."""
    for unit, unit_s in (("d", 86400.0), ("h", 3600.0)):
        if span_s >= unit_s:
            return f"{span_s / unit_s:.1f} {unit}"
    return f"{span_s / 60:.0f} min" if span_s >= 120 else f"{max(span_s, 0):.0f} s"
