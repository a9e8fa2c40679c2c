"""What the cloud store costs: counted by day (UTC) and purpose, priced, projected to the month's end."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime
from typing import TypedDict

from hybrid.core.spending import CostSummary, Price, Usage, cost_summary
from hybrid.ops.metrics.reading import Readable, read_days
from hybrid.settings import Settings

__all__ = ["CostRow", "cost_of_month", "cost_rows", "price_of", "today"]


class CostRow(TypedDict):
    """One day (UTC) and purpose on the cloud store. `usd` is the price of the commands."""

    day: str
    purpose: str
    commands: int
    sent_bytes: int
    received_bytes: int
    usd: float


def price_of(settings: Settings) -> Price:
    """The price that the settings name."""
    return Price(per_100k_commands=settings.cloud_price)


def cost_rows(days: dict[tuple[date, str], Usage], price: Price) -> list[CostRow]:
    """Commands and money by day and purpose."""
    return [
        {
            "day": day.isoformat(),
            "purpose": purpose,
            "commands": usage.commands,
            "sent_bytes": usage.sent_bytes,
            "received_bytes": usage.received_bytes,
            "usd": price.commands_usd(usage.commands),
        }
        for (day, purpose), usage in sorted(days.items())
    ]


def today(now_s: float | None = None) -> date:
    """The day that costs are counted on now: UTC, as everywhere in them."""
    return datetime.fromtimestamp(time.time() if now_s is None else now_s, UTC).date()


def cost_of_month(client: Readable, now_s: float | None = None) -> CostSummary:
    """What this month has cost so far, where it is heading, and its share of the budget. Raises redis.RedisError."""
    now = datetime.fromtimestamp(time.time() if now_s is None else now_s, UTC)
    by_day: dict[date, Usage] = {}
    for (day, _), usage in read_days(client).items():
        by_day[day] = by_day.get(day, Usage()) + usage
    day_share = (now.hour * 3600 + now.minute * 60 + now.second) / 86400
    settings = client.settings
    return cost_summary(by_day, now.date(), day_share, price_of(settings), settings.cloud_budget)
