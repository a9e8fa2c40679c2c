"""The latest drills, kept as a bounded stream on the local store, not billed; on the cloud's while that is gone.

hybrid's own keys are not replicated: a local store that is wiped forgets them.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable

import redis

from hybrid.client import HybridRedis
from hybrid.errors import StoreUnavailable
from hybrid.ops.drills.drill_report import DrillReport
from hybrid.types import Store

__all__ = ["KEPT", "drill_history", "record_drill"]

logger = logging.getLogger("hybrid.drills")

KEPT = 200
"""So many reports, of about 5 KB each."""


def record_drill(client: HybridRedis, report: DrillReport) -> None:
    """Add a report to the history. Raises StoreUnavailable when no store takes it."""
    document = json.dumps(report.to_dict(), separators=(",", ":"))
    add = ("XADD", client._engine.names.drills, "MAXLEN", "~", KEPT, "*", "report", document)
    for store in stores_of(client):
        try:
            with client.store(store) as connection:
                connection.execute_command(*add)
            return
        except (redis.RedisError, OSError) as error:
            logger.debug("the %s store does not keep the report of a drill: %s", store, error)
    raise StoreUnavailable("no store keeps the report of the drill: none can be written")


def drill_history(
    client: HybridRedis, limit: int = KEPT, *, on_unasked: Callable[[Store], None] = lambda _: None
) -> list[DrillReport]:
    """The latest reports of all stores, newest first. A store that does not answer is told to `on_unasked`: what it
    keeps is not among them. Raises StoreUnavailable when no store can be asked."""
    found: list[DrillReport] = []
    unasked: list[Store] = []
    for store in stores_of(client):
        try:
            with client.store(store) as connection:
                entries = connection.xrevrange(client._engine.names.drills, count=limit)
        except (redis.RedisError, OSError) as error:
            logger.debug("the %s store does not tell of drills: %s", store, error)
            unasked.append(store)
            continue
        found += [report for _, fields in entries if (report := parsed(fields)) is not None]
    if len(unasked) == len(stores_of(client)):
        raise StoreUnavailable("the history of drills is unknown: no store can be asked")
    for store in unasked:
        on_unasked(store)
    return sorted(found, key=lambda report: report.started_at_s, reverse=True)[:limit]


def stores_of(client: HybridRedis) -> list[Store]:
    return list(client._engine.endpoints)


def parsed(fields: dict[str | bytes, str | bytes]) -> DrillReport | None:
    """A report of this version; None for one of another, which is left alone."""
    [document] = fields.values()
    try:
        return DrillReport.from_dict(json.loads(document))
    except (KeyError, TypeError, ValueError):
        return None
