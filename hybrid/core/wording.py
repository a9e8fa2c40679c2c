"""Numbers with what they count."""

from __future__ import annotations

__all__ = ["counted"]


def counted(number: int, one: str, many: str) -> str:
    """`number` (grouped by thousands) and what it counts: 1 key waits, 2,000 keys wait, no keys wait."""
    return f"{number:,} {one}" if number == 1 else f"{f'{number:,}' if number else 'no'} {many}"
