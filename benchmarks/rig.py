"""What is measured: two servers of our own, the cloud one behind a delayed link that runs in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import redis

from hybrid import HybridRedis
from hybrid.stores.ports import LOOPBACK
from hybrid.stores.processes import ServerProcess
from hybrid.stores.remote_link import RemoteLink
from hybrid.types import Health, Store

__all__ = ["LINK_S", "SYNC_S", "Rig"]

LINK_S = 0.06
"""Round trip to the cloud store."""

SYNC_S = 120.0
AGENT_S = 20.0
_NAME = {Store.LOCAL: "local", Store.CLOUD: "cloud"}


class Rig:
    """Two empty servers that keep their data as embedded ones do, and the link. Leaving it ends and removes all."""

    def __init__(self, round_trip_s: float = LINK_S) -> None:
        self.round_trip_s = round_trip_s
        self._exit = ExitStack()

    def __enter__(self) -> Rig:
        with ExitStack() as opened:
            folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="hybrid-bench-")))
            self.servers = {store: opened.enter_context(ServerProcess(folder / name)) for store, name in _NAME.items()}
            self.local, self.cloud = self.servers.values()
            self.link = self.open_link(folder / "link.json", self.round_trip_s, opened)
            self._folder = folder
            self.local_url = self.local.url
            self._exit = opened.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._exit.close()

    def kill(self) -> None:
        """End both servers, paused ones too: there is nothing to keep."""
        for server in self.servers.values():
            server.kill()

    def open_link(self, control: Path, round_trip_s: float, opened: ExitStack) -> RemoteLink:
        return opened.enter_context(RemoteLink.spawn(LOOPBACK, self.cloud.port, control, round_trip_s=round_trip_s))

    def link_to_local(self) -> RemoteLink:
        """From now on clients reach the local store through a link without delay, for faults on the way."""
        control = self._folder / "local-link.json"
        link = self._exit.enter_context(RemoteLink.spawn(LOOPBACK, self.local.port, control, round_trip_s=0.0))
        self.local_url = link.url
        return link

    def nearer_link(self, round_trip_s: float) -> RemoteLink:
        """A second link to the cloud store: the way there of another application server."""
        return self.open_link(self._folder / "nearer-link.json", round_trip_s, self._exit)

    def plain(self, url: str) -> redis.Redis:
        """redis-py as it comes."""
        client = redis.Redis.from_url(url)
        self._exit.callback(client.close)
        return client

    def agent(self) -> None:
        """`python -m hybrid agent` beside the application, shipping for it, as in production."""
        urls = {"REDIS_URL": self.local.url, "UPSTASH_REDIS_URL": self.link.url}
        command = [sys.executable, "-m", "hybrid", "agent", "--env-file", os.devnull]
        agent = subprocess.Popen(command, env={**os.environ, **urls}, stdout=subprocess.DEVNULL)
        self._exit.callback(agent.wait)
        self._exit.callback(agent.terminate)
        local = self.plain(self.local.url)
        deadline_s = time.monotonic() + AGENT_S
        while not local.exists("hybrid:lease"):
            if agent.poll() is not None or time.monotonic() > deadline_s:
                raise RuntimeError("the agent did not begin to ship")
            time.sleep(0.02)

    def hybrid(self, cloud_url: str | None = None, **settings: Any) -> HybridRedis:
        """A client that has found both stores up and equal."""
        client = HybridRedis.from_urls(self.local_url, cloud_url or self.link.url, **settings)
        self._exit.callback(client.close)
        client.ping()
        if not client.wait_in_sync(SYNC_S) or client.status().health is not Health.HEALTHY:
            raise RuntimeError(f"the stores are not in sync: {client.status()}")
        return client
