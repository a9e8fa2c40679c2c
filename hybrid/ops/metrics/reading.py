"""Reads what all processes measured. It asks the local store only."""

from __future__ import annotations

import time
from datetime import date
from typing import Any, Final, Protocol

import redis

from hybrid.core.metrics import Record, by_slot
from hybrid.core.names import Names
from hybrid.core.spending import Usage
from hybrid.observe.folding import KEPT_S, day_of, keys_by_span, records_of
from hybrid.settings import Settings
from hybrid.types import Store

__all__ = ["Readable", "raw_local", "raw_store", "read_days", "read_records"]

MOST_POINTS: Final = 1440
NAMES: Final = Names()


class Readable(Protocol):
    """The part of `HybridRedis` that reading needs."""

    @property
    def settings(self) -> Settings: ...
    def store(self, store: Store) -> redis.Redis: ...


def read_records(client: Readable, since_s: float, until_s: float | None = None) -> list[Record]:
    """What was measured from `since_s` to `until_s` (now), in spans of 10, 60 or 600 s: the finest that is still kept
    and gives at most 1,440 points.

    Raises redis.RedisError when the local store cannot be asked.
    """
    now_s = time.time()
    until_s = now_s if until_s is None else until_s
    span_s = _span_s(now_s - since_s, until_s - since_s)
    spans = [each for each in sorted(KEPT_S, reverse=True) if each <= span_s]
    found: list[Record] = []
    with raw_local(client) as local:
        place = f"{int(since_s * 1000)}"
        for span in spans:
            # What is not folded yet is only in the finer records, behind the last place that was folded.
            entries: Any = local.execute_command("XRANGE", keys_by_span(NAMES)[span], place, "+")
            found += records_of(entries)
            if entries:
                place = f"{entries[-1][0].partition(b'-')[0].decode()}"
    return by_slot((record for record in found if since_s - span_s < record.at_s <= until_s), span_s)


def read_days(client: Readable) -> dict[tuple[date, str], Usage]:
    """Traffic with the cloud store by day (UTC) and purpose, up to now. Raises redis.RedisError."""
    with raw_local(client) as local:
        counted = local.execute_command("HGETALL", NAMES.metrics_days)
        last = local.execute_command("XREVRANGE", NAMES.metrics_60, "+", "-", "COUNT", 1)
        place = last[0][0].partition(b"-")[0] if last else b"-"
        unfolded = records_of(local.execute_command("XRANGE", NAMES.metrics_10, place, "+"))
    numbers: dict[tuple[str, str], dict[str, int]] = {}
    for name, number in counted.items() if isinstance(counted, dict) else zip(counted[::2], counted[1::2], strict=True):
        day, _, purpose, what = name.decode().split("|")
        numbers.setdefault((day, purpose), {})[what] = int(number)
    days = {
        (date.fromisoformat(day), purpose): Usage(each.get("commands", 0), each.get("sent", 0), each.get("received", 0))
        for (day, purpose), each in numbers.items()
    }
    for record in unfolded:
        for (store, purpose), traffic in record.traffic.items():
            if store == Store.CLOUD.value:
                key = date.fromisoformat(day_of(record.at_s)), purpose
                days[key] = days.get(key, Usage()) + Usage(*traffic)
    return days


def _span_s(age_s: float, length_s: float) -> int:
    for span_s, kept_s in sorted(KEPT_S.items()):
        if age_s <= kept_s and length_s / span_s <= MOST_POINTS:
            return span_s
    return max(KEPT_S)


def raw_local(client: Readable) -> redis.Redis:
    """The local store, with replies as bytes: records are hybrid's own, whatever the application decodes."""
    return raw_store(client, Store.LOCAL)


def raw_store(client: Readable, store: Store, **connection_options: Any) -> redis.Redis:
    """One store with replies as the server gives them: bytes and lists, whatever the application decodes."""
    connection = client.store(store)
    connection.connection_pool.connection_kwargs.update(decode_responses=False, protocol=2, **connection_options)
    connection.response_callbacks.clear()
    return connection
