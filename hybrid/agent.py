"""What runs around the clock, in the panel or as `python -m hybrid agent`: stores, a client that ships, an observer."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from hybrid.client import HybridRedis
from hybrid.observe.alerts import Alerts
from hybrid.observe.divergence import DivergenceWatch
from hybrid.observe.health import observed_health
from hybrid.ops.drills.duty import DrillDuty
from hybrid.ops.metrics_tail import MetricsTail
from hybrid.ops.overview import BILLED_INTERVAL_S, INTERVALS_S, Observer
from hybrid.replication.election import Election
from hybrid.settings import Settings
from hybrid.stores.embedded import EmbeddedStores
from hybrid.types import Store

__all__ = ["Agent", "Duty", "open_client"]

FOLDER = Path(".hybrid")


class Duty(Protocol):
    """Something an agent does around the clock. What only one of several agents is to do, it does while
    `agent.is_active`, which it asks each time."""

    def start(self) -> None:
        """Begin, on threads of its own; returns soon, also when a store is down."""

    def close(self) -> None:
        """End, within seconds."""

    def health(self) -> Mapping[str, Any]:
        """Its parts of the health document by name, from memory: no store is asked for them."""


class Agent:
    """The stores of this machine's configuration, a client on them and an observer. `open` makes one.

    `embedded` are the servers that run because none were configured, else None; `embedded.link` is then the link to
    the store that plays the cloud. A `standing` agent works around the clock: it ships rather than applications do,
    stands for what one of several agents does, and has duties.
    """

    def __init__(
        self,
        client: HybridRedis,
        embedded: EmbeddedStores | None,
        *,
        standing: bool = False,
        cloud_interval_s: float = BILLED_INTERVAL_S,
    ) -> None:
        self.client = client
        self.embedded = embedded
        free = client.settings.cloud_price == 0 or (embedded is not None and embedded.cloud_url is not None)
        intervals_s = INTERVALS_S if free else {**INTERVALS_S, Store.CLOUD: cloud_interval_s}
        self.observer = Observer(client, embedded=embedded is not None, intervals_s=intervals_s)
        self.election: Election | None = None
        self.metrics: MetricsTail | None = None
        self.divergence: DivergenceWatch | None = None
        self.alerts: Alerts | None = None
        self.duties: list[Duty] = []
        if standing:
            client.prefer_shipping()
            engine = client._engine
            self.election = Election(engine.endpoints, engine.board, engine.names)
            self.metrics = MetricsTail(client, self.observer)
            self.divergence = DivergenceWatch(client)
            self.alerts = Alerts(self)
            self.duties += standing_duties(self)

    @classmethod
    def open(
        cls,
        env_file: str | os.PathLike[str] | None = ".env",
        folder: Path = FOLDER,
        *,
        standing: bool = False,
        cloud_interval_s: float = BILLED_INTERVAL_S,
        **settings: Any,
    ) -> Agent:
        """An agent that is not started yet. Settings come from arguments, the environment and `env_file`; the own facts
        (keys, memory) of a cloud store that has its price are read every `cloud_interval_s`, for a command each.

        Without any URL two embedded servers are used, with their data in `folder`; without a local URL beside a cloud
        one, an embedded local server is. Raises ConfigurationError or EmbeddedServerError.
        """
        effective = Settings.from_env(env_file, **settings)
        embedded = embedded_stores(effective, folder)
        try:
            client = HybridRedis.from_env(env_file, decode_responses=True, **{**settings, **urls(embedded)})
        except BaseException:
            if embedded:
                embedded.close()
            raise
        return cls(client, embedded, standing=standing, cloud_interval_s=cloud_interval_s)

    @property
    def is_active(self) -> bool:
        """Whether this agent, of all that stand by, does the shared duties now."""
        return self.election is not None and self.election.is_active

    def start(self) -> None:
        """Begin to ship and to watch. Returns soon, also when a store is down."""
        self.client.start()
        self.observer.start()
        if self.election is not None:
            self.election.start()
        for duty in self.duties:
            duty.start()

    def health(self) -> tuple[int, dict[str, Any]]:
        """HTTP status and body of `/api/health`, at once: no store is asked."""
        parts: dict[str, Any] = {"agent": {"active": self.is_active}} if self.election is not None else {}
        for duty in self.duties:
            parts.update(duty.health())
        return observed_health(self.observer, parts)

    def inquire(self) -> None:
        """Somebody wants to know how the stores are, a monitor or who opens a page: have a cloud store that nobody uses
        asked whether it is there, within the allowance for that. Returns at once."""
        self.client._engine.reach.inquire()

    def close(self) -> None:
        """Stop watching and shipping; embedded servers stop too, unless another process uses them."""
        for duty in reversed(self.duties):
            duty.close()
        if self.election is not None:
            self.election.close()
        self.observer.close()
        self.client.close()
        self.client._engine.abandon()  # a thread that was kept waiting shall not open it again
        if self.embedded:
            self.embedded.close()

    def __enter__(self) -> Agent:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def standing_duties(agent: Agent) -> list[Duty]:
    """What an agent does beside shipping, in the order in which it begins."""
    assert agent.metrics is not None and agent.divergence is not None and agent.alerts is not None
    return [agent.metrics, agent.divergence, agent.alerts, DrillDuty(agent)]


def embedded_stores(settings: Settings, folder: Path) -> EmbeddedStores | None:
    if settings.local_url:
        return None
    return EmbeddedStores.start(folder, with_cloud=settings.cloud_url is None)


def urls(embedded: EmbeddedStores | None) -> dict[str, str]:
    if embedded is None:
        return {}
    known = {"local_url": embedded.local_url, "cloud_url": embedded.cloud_url}
    return {name: url for name, url in known.items() if url is not None}


@contextmanager
def open_client(
    env_file: str | os.PathLike[str] | None = ".env", folder: Path = FOLDER, **settings: Any
) -> Iterator[HybridRedis]:
    """A client with embedded servers where none are configured, as `Agent.open`; closed with the block."""
    with Agent.open(env_file, folder, **settings) as agent:
        yield agent.client
