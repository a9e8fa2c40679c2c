"""A stand-in for the client: what it reports is set by the test, the stores behind it are real."""

from __future__ import annotations

import time
from typing import Any

import redis

from hybrid.events import EventLog
from hybrid.observe.latency import LatencySummary
from hybrid.settings import Settings
from hybrid.types import Status, Store, StoreState, StoreStatus


def store_status(store: Store, state: StoreState = StoreState.UP) -> StoreStatus:
    return StoreStatus(store, state, 1.0, "", "127.0.0.1:1")


def status(
    local: StoreState = StoreState.UP, cloud: StoreState | None = StoreState.UP, authority: Store = Store.LOCAL
) -> Status:
    return Status(
        local=store_status(Store.LOCAL, local),
        cloud=None if cloud is None else store_status(Store.CLOUD, cloud),
        authority=authority,
        epoch=1,
        lag_entries=0,
        lag_s=0.0,
        conflicts=0,
        shipper="here",
        shipping_here=True,
        unconfirmed_writes=0,
        config_version=3,
        taken_at_s=time.time(),
    )


class FakeClient:
    def __init__(self, settings: Settings, reported: Status) -> None:
        self.settings = settings
        self.reported = reported
        self.events = EventLog()

    def status(self) -> Status:
        return self.reported

    def latency(self, store: Store) -> LatencySummary | None:
        return None

    def store(self, store: Store) -> redis.Redis:
        url = self.settings.local_url if store is Store.LOCAL else self.settings.cloud_url
        return redis.Redis.from_url(str(url), socket_timeout=2.0)

    def change_settings(self, **changes: Any) -> Settings:
        self.settings = self.settings.with_changes(**changes)
        return self.settings
