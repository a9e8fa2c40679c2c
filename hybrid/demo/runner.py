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
from hybrid.demo.shop import Customer, Shop
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
        """One line, for most terminals short enough."""
        failed = sum(self.errors.values())
        names = f" ({', '.join(f'{name} {count}' for name, count in self.errors.items())})" if failed else ""
        return (
            f"{self.rate:5.1f}/s  {self.actions} done  errors {failed}{names}  "
            f"{answering(self.status)}: {stores(self.status)}"
        )


def answering(status: Status) -> str:
    if status.health is Health.DOWN:
        return "degraded, the database answers"
    return f"{status.authority} takes writes"


def stores(status: Status) -> str:
    if status.cloud is None:
        return f"local {status.local.state}, no cloud configured"
    waiting = "unknown" if status.lag_entries is None else status.lag_entries
    return f"local {status.local.state}, cloud {status.cloud.state}, to ship {waiting}"


class Demo:
    """A shop with customers, on `client` (a HybridRedis with `decode_responses=True`), which is not closed.

    `rate` is actions per second, shared by `workers` threads: with ack=both a write takes a cloud round trip, so that
    one customer after the other would be slow. `seed` makes what the customers do repeatable.
    """

    def __init__(
        self,
        client: Any,
        *,
        rate: float = 50.0,
        seed: int | None = None,
        workers: int = 16,
        prefix: str = "shop:",
    ) -> None:
        self._client = client
        self._rate = rate
        self._seed = Random().getrandbits(32) if seed is None else seed
        self._workers = workers
        self._catalogue = Catalogue(Random(1))
        self.shop = Shop(client, self._catalogue, prefix)
        self._weights, self._choices = zip(*self.shop.actions(), strict=True)
        self._lock = threading.Lock()
        self._begun = self._done = 0
        self._due_s = 0.0
        self._errors: Counter[str] = Counter()

    def run(
        self,
        seconds: float | None = None,
        *,
        stop: threading.Event | None = None,
        on_progress: Callable[[Progress], None] = lambda progress: None,
        every_s: float = 1.0,
    ) -> Progress:
        """Keep the shop busy for `seconds` (None: until `stop` is set). Outages are counted, never raised."""
        stop, closing = stop or threading.Event(), threading.Event()
        started_s = reported_s = self._due_s = time.monotonic()
        reported, left_s = self._done, seconds
        wanted = 0 if stop.is_set() else self._workers  # else one may act before the loop below looks
        workers = [threading.Thread(target=self._work, args=(closing,), daemon=True) for _ in range(wanted)]
        for worker in workers:
            worker.start()
        try:
            while (left_s is None or left_s > 0) and not stop.wait(every_s if left_s is None else min(every_s, left_s)):
                now_s, done = time.monotonic(), self._done
                on_progress(self._progress(now_s - started_s, (done - reported) / (now_s - reported_s)))
                reported_s, reported = now_s, done
                left_s = None if seconds is None else seconds - (now_s - started_s)
        finally:
            closing.set()
            for worker in workers:
                worker.join(timeout=10.0)
        elapsed_s = time.monotonic() - started_s
        return self._progress(elapsed_s, self._done / max(elapsed_s, 1e-9))

    def act(self, number: int) -> None:
        """The action with this number: what it is depends on the number and the seed alone."""
        random = Random(f"{self._seed}:{number}")
        action = random.choices(self._choices, self._weights)[0]
        error = None
        try:
            action(Customer(f"c{random.randrange(CUSTOMERS)}", random))
        except redis.RedisError as failure:
            error = type(failure).__name__
        with self._lock:
            self._done += 1
            if error:
                self._errors[error] += 1

    def close(self) -> None:
        self._catalogue.close()

    def _work(self, closing: threading.Event) -> None:
        while not closing.is_set():
            number, wait_s = self._next()
            if not closing.wait(wait_s):
                self.act(number)

    def _next(self) -> tuple[int, float]:
        """The next action's number, and how long to wait for its turn."""
        with self._lock:
            now_s = time.monotonic()
            # After a stall the schedule starts anew: catching up would be a burst that no customer made.
            self._due_s = max(self._due_s + 1 / self._rate, now_s - 1.0)
            self._begun += 1
            return self._begun, max(self._due_s - now_s, 0.0)

    def _progress(self, elapsed_s: float, rate: float) -> Progress:
        with self._lock:
            errors = dict(self._errors)
        return Progress(elapsed_s, self._done, rate, errors, self._catalogue.queries, self._client.status())
