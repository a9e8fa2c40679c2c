"""Runs the shop at a steady rate, through every outage, and says each second how it goes."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

import redis

from hybrid.demo.catalogue import Catalogue
from hybrid.demo.shop import Shop
from hybrid.types import Health, Status

__all__ = ["Demo", "Progress"]

CUSTOMERS = 300


@dataclass(frozen=True, slots=True)
class Progress:
    """The demo so far. `rate` is actions per second lately; `errors` counts failed actions by error name."""

    elapsed_s: float
    actions: int
    rate: float
    errors: dict[str, int]
    database_queries: int
    status: Status

    @property
    def line(self) -> str:
        """One line for a terminal."""
        failed = sum(self.errors.values())
        names = f" ({', '.join(f'{name} {count}' for name, count in self.errors.items())})" if failed else ""
        return (
            f"{self.rate:6.1f} actions/s  {self.actions} done  errors {failed}{names}  "
            f"{answering(self.status)}  {stores(self.status)}"
        )


def answering(status: Status) -> str:
    if status.health is Health.DOWN:
        return "degraded: the database answers"
    return f"{status.authority} takes writes"


def stores(status: Status) -> str:
    if status.cloud is None:
        return f"local {status.local.state}, no cloud configured"
    waiting = "unknown" if status.lag_entries is None else status.lag_entries
    return f"local {status.local.state}, cloud {status.cloud.state}, to ship {waiting}"


class Demo:
    """A shop with customers, on `client` (a HybridRedis with `decode_responses=True`).

    `rate` is actions per second; `seed` makes the customers' behaviour repeatable. The client is not closed.
    """

    def __init__(self, client: Any, *, rate: float = 50.0, seed: int | None = None, prefix: str = "shop:") -> None:
        self._client = client
        self._rate = rate
        self._random = Random(seed)
        self._catalogue = Catalogue(Random(1))
        self.shop = Shop(client, self._catalogue, self._random, prefix)
        self._weights, self._choices = zip(*self.shop.actions(), strict=True)
        self._errors: Counter[str] = Counter()
        self._actions = 0

    def run(
        self,
        seconds: float | None = None,
        *,
        stop: threading.Event | None = None,
        on_progress: Callable[[Progress], None] = lambda progress: None,
        every_s: float = 1.0,
    ) -> Progress:
        """Keep the shop busy for `seconds` (None: until `stop` is set). Outages are counted, never raised."""
        stop = stop or threading.Event()
        started = reported = due = time.monotonic()
        before = 0
        while not stop.is_set() and (seconds is None or due - started < seconds):
            self.act()
            now = time.monotonic()
            if now - reported >= every_s:
                on_progress(self._progress(now - started, (self._actions - before) / (now - reported)))
                reported, before = now, self._actions
            # After a stall the schedule starts anew: catching up would be a burst that no customer made.
            due = max(due + 1 / self._rate, now - 1.0)
            stop.wait(max(due - now, 0.0))
        elapsed_s = max(time.monotonic() - started, 1e-9)
        return self._progress(elapsed_s, self._actions / elapsed_s)

    def act(self) -> None:
        """One action of one customer."""
        action = self._random.choices(self._choices, self._weights)[0]
        try:
            action(f"c{self._random.randrange(CUSTOMERS)}")
        except redis.RedisError as error:
            self._errors[type(error).__name__] += 1
        self._actions += 1

    def close(self) -> None:
        self._catalogue.close()

    def _progress(self, elapsed_s: float, rate: float) -> Progress:
        return Progress(
            elapsed_s, self._actions, rate, dict(self._errors), self._catalogue.queries, self._client.status()
        )
