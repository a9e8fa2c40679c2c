"""What the cloud store costs by the month: a price per command, free bandwidth up to a limit, a projection."""

from __future__ import annotations

import calendar
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

__all__ = ["CostSummary", "Price", "Usage", "cost_summary"]

RECENT_DAYS: Final = 7


@dataclass(frozen=True, slots=True)
class Price:
    """In US dollars. The defaults are Upstash's pay-as-you-go plan of 2026."""

    per_100k_commands: float = 0.20
    per_gb: float = 0.03
    free_gb: float = 200.0

    def commands_usd(self, commands: int) -> float:
        return commands * self.per_100k_commands / 100_000

    def bandwidth_usd(self, month_bytes: int) -> float:
        """Of a whole month: what exceeds the free volume."""
        return max(month_bytes / 1e9 - self.free_gb, 0.0) * self.per_gb


@dataclass(frozen=True, slots=True)
class Usage:
    """What went to the cloud store, and came from it."""

    commands: int = 0
    sent_bytes: int = 0
    received_bytes: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.commands + other.commands,
            self.sent_bytes + other.sent_bytes,
            self.received_bytes + other.received_bytes,
        )

    @property
    def size_bytes(self) -> int:
        return self.sent_bytes + self.received_bytes


@dataclass(frozen=True, slots=True)
class CostSummary:
    """One month in US dollars. `projected_*` hold for its end; `budget_share` is projected cost over budget, None
    without a budget."""

    month: str
    commands: int
    usd: float
    projected_commands: int
    projected_usd: float
    budget_usd: float | None
    budget_share: float | None


def cost_summary(
    days: Mapping[date, Usage], today: date, day_share: float, price: Price, budget_usd: float | None = None
) -> CostSummary:
    """The month of `today`, of which `day_share` (0 to 1) is over.

    The rest of the month is taken to go on as the last seven days went, or as many of them as were counted at all.
    """
    used = sum((usage for day, usage in days.items() if day.replace(day=1) == today.replace(day=1)), Usage())
    first_of_month, length = today.replace(day=1), calendar.monthrange(today.year, today.month)[1]
    left_days = length - (today - first_of_month).days - day_share
    rate = _daily_rate(days, today, day_share)
    commands = used.commands + round(rate[0] * left_days)
    size_bytes = used.size_bytes + round(rate[1] * left_days)
    usd = price.commands_usd(used.commands) + price.bandwidth_usd(used.size_bytes)
    projected_usd = price.commands_usd(commands) + price.bandwidth_usd(size_bytes)
    share = projected_usd / budget_usd if budget_usd else None
    return CostSummary(f"{today:%Y-%m}", used.commands, usd, commands, projected_usd, budget_usd, share)


def _daily_rate(days: Mapping[date, Usage], today: date, day_share: float) -> tuple[float, float]:
    """Commands and bytes a day, lately."""
    recent = {day: usage for day, usage in days.items() if 0 <= (today - day).days < RECENT_DAYS}
    if not recent:
        return 0.0, 0.0
    spent = sum(recent.values(), Usage())
    length_days = max((today - min(recent)).days + day_share, 1 / 24)
    return spent.commands / length_days, spent.size_bytes / length_days
