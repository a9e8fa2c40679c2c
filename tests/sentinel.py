"""A master, its replica, and a Sentinel that promotes the replica when the master dies."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import redis
from servers import binary, client, new_server, wait_until

from hybrid.stores.ports import LOOPBACK, free_port

__all__ = ["Watched"]

SERVICE = "mine"


class Watched:
    """Started; `close` it. `url` is what a client is given."""

    def __init__(self, folder: Path) -> None:
        self.master = new_server("redis", folder / "master", repl_diskless_sync_delay="0").start()
        self.replica = new_server("redis", folder / "replica", replicaof=f"{LOOPBACK} {self.master.port}").start()
        with client(self.replica.url) as replica:
            wait_until(lambda: replica.info("replication")["master_link_status"] == "up", "the replica's link")
        self._port = free_port()
        config = folder / "sentinel.conf"
        config.write_text(
            f"port {self._port}\nbind {LOOPBACK}\ndir {folder}\n"
            f"sentinel monitor {SERVICE} {LOOPBACK} {self.master.port} 1\n"
            f"sentinel down-after-milliseconds {SERVICE} 200\n"
            f"sentinel failover-timeout {SERVICE} 2000\n"
        )
        self._sentinel = subprocess.Popen(
            [binary("redis", folder).path, config, "--sentinel"], stdout=subprocess.DEVNULL, start_new_session=True
        )
        self._ask = client(f"redis://{LOOPBACK}:{self._port}", decode_responses=True)
        # It learns of the replica from the master, and can promote only one that it knows.
        wait_until(lambda: self._says(lambda it: it.sentinel_slaves(SERVICE)), "the Sentinel's view")

    @property
    def url(self) -> str:
        return f"redis+sentinel://{LOOPBACK}:{self._port}/{SERVICE}"

    @property
    def master_port(self) -> int:
        """As the Sentinel sees it."""
        return int(self._ask.sentinel_get_master_addr_by_name(SERVICE)[1])

    def _says(self, question: Callable[[redis.Redis], object]) -> object:
        try:
            return question(self._ask)
        except redis.RedisError:
            return None  # not started yet

    def close(self) -> None:
        self._ask.close()
        self._sentinel.kill()
        self._sentinel.wait()
        for server in (self.master, self.replica):
            server.kill()
