"""What the page Insights reads: what each server says, asked beside the page, and the jobs that looked deeper."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from redis.exceptions import ConnectionError, RedisError, TimeoutError

from hybrid.ops.insights import (
    SERVER_COMMANDS,
    Channel,
    ClientRow,
    CommandUse,
    NotOffered,
    ServerInsights,
    SlowCall,
    connected,
    masked_address,
    server_insights,
)
from hybrid.ops.keyspace import TTL_BOUNDS_S, Keyspace, KeyUse, NamespaceUse, ScanCost, ScanLimits, scan_cost
from hybrid.ops.listen import HotKey, ListenLimits, Message, MonitorLine
from hybrid.ops.metrics import price_of
from hybrid.ops.server_info import InfoField, ServerFacts, server_facts
from hybrid.types import Store
from panel import queries
from panel.format import sentence
from panel.jobs import Job
from panel.process import process
from panel.reads import Answer, ReadFailed

__all__ = [
    "CLOUD_FRESH_S",
    "MONITOR_JOB",
    "SCAN_JOBS",
    "SERVER_COMMANDS",
    "SUBSCRIBE_JOB",
    "TTL_BOUNDS_S",
    "Channel",
    "ClientRow",
    "CommandUse",
    "Heard",
    "HotKey",
    "InfoField",
    "KeyUse",
    "Keyspace",
    "ListenLimits",
    "Message",
    "MonitorLine",
    "NamespaceUse",
    "NotOffered",
    "ScanCost",
    "ScanLimits",
    "ServerFacts",
    "ServerInsights",
    "SlowCall",
    "estimate",
    "is_billed",
    "keyspace",
    "latest",
    "masked_address",
    "server",
    "server_facts",
]

SCAN_JOBS: Final = {store: f"scan of the {store} store" for store in Store}
MONITOR_JOB: Final = "monitor"
SUBSCRIBE_JOB: Final = "pub/sub"
LOCAL_FRESH_S: Final = 3.0
CLOUD_FRESH_S: Final = 300.0
"""What the cloud store said stays on the page for so long, unless somebody asks again: each look is billed."""

LINES_KEPT: Final = 300


@dataclass(frozen=True, slots=True)
class Heard:
    """What a job that listens has heard so far: the latest lines, how many in all, and the keys named most."""

    lines: tuple[MonitorLine | Message, ...]
    count: int
    hot: tuple[HotKey, ...] = ()
    ending: str = ""


def server(store: Store) -> Answer[ServerInsights]:
    """What this store says about itself; of the cloud store for up to five minutes the same."""
    agent = process().agent

    def ask() -> ServerInsights:
        if agent is None:
            raise ReadFailed("The panel is still starting.")
        try:
            with connected(agent.client, store) as connection:
                return server_insights(connection, store)
        except (ConnectionError, TimeoutError):
            raise ReadFailed(f"The {store} store does not answer.") from None
        except RedisError as error:
            raise ReadFailed(f"The {store} store refuses: {sentence(error)}") from None

    return process().reads.get(
        ("server", store),
        ask,
        max_age_s=LOCAL_FRESH_S if store is Store.LOCAL else CLOUD_FRESH_S,
        patience_s=queries.patience_s(store, 1.5),
    )


def is_billed(store: Store) -> bool | None:
    """Whether every command to this store costs money; None while its software is not known."""
    snapshot = queries.overview()
    facts = snapshot.cloud if snapshot and store is Store.CLOUD else None
    if store is Store.LOCAL or (snapshot is not None and snapshot.embedded):
        return False
    return None if facts is None or facts.software is None else facts.software.startswith("Upstash")


def estimate(store: Store, limits: ScanLimits) -> ScanCost | None:
    """What a scan would cost at most; None while the number of keys is not known. An unknown store is taken to bill."""
    snapshot, agent = queries.overview(), process().agent
    facts = None if snapshot is None else snapshot.local if store is Store.LOCAL else snapshot.cloud
    if facts is None or facts.keys is None or agent is None:
        return None
    return scan_cost(facts.keys, limits, None if is_billed(store) is False else price_of(agent.client.settings))


def latest(kind: str) -> Job | None:
    """The newest job of this kind, running or not."""
    return next(iter(queries.jobs(kind)), None)


def keyspace(store: Store) -> Keyspace | None:
    """The result of the newest scan of this store that has one, also of one that was cancelled."""
    return next((job.result for job in queries.jobs(SCAN_JOBS[store]) if job.result is not None), None)
