"""A process that alone cannot reach the local store takes the authority to the cloud for everybody, and would again as
soon as it is handed back. Each time that nobody else knows a reason for, it is handed back later."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

__all__ = ["REMEMBERED_S", "return_at_s"]

PAUSES_S: Final = (0.0, 1.0, 5.0, 15.0, 60.0)
REMEMBERED_S: Final = 600.0


def return_at_s(unexplained_s: Sequence[float], now_s: float) -> float:
    """From when on the authority may return to the local store. `unexplained_s`: when it was taken although the local
    store answered, in ascending order."""
    recent = [at_s for at_s in unexplained_s if now_s - at_s < REMEMBERED_S]
    if not recent:
        return 0.0
    return recent[-1] + PAUSES_S[min(len(recent), len(PAUSES_S)) - 1]
