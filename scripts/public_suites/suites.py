"""Which suites there are, and how each is started."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["SUITES", "Suite"]


@dataclass(frozen=True)
class Suite:
    """`plugin` is the pytest plugin that puts HybridRedis in the place of redis.Redis; `paths` are the test files whose
    subject is what a client says to one server (the rest of redis-py's are about clusters, sentinels and its own
    inner workings)."""

    package: str
    version: str
    plugin: str
    paths: list[str]
    server_options: dict[str, str] = field(default_factory=dict)
    needs: list[str] = field(default_factory=list)

    def arguments(self, local_url: str, protocol: str) -> list[str]:
        where = [f"--redis-url={local_url}", f"--redis-mod-url={local_url}", f"--protocol={protocol}"]
        return [*where, "-m", "not onlycluster and not redismod and not ssl"]


REDIS_PY_FILES = (
    "commands",
    "data_structure",
    "encoding",
    "function",
    "hash",
    "himport_integration",
    "keyspace_notifications",
    "legacy_responses_arg",
    "lock",
    "monitor",
    "pipeline",
    "pubsub",
    "scripting",
    "vsets",
)

REDIS_PY_ASYNCIO_FILES = (
    "commands",
    "encoding",
    "hash",
    "lock",
    "monitor",
    "pipeline",
    "pubsub",
    "scripting",
    "vsets",
)

SUITES = {
    "redis-py": Suite(
        package="redis",
        version="8.1.0",
        plugin="scripts.public_suites.redis_py",
        paths=[f"tests/test_{name}.py" for name in REDIS_PY_FILES],
        server_options={"enable-debug-command": "local"},
    ),
    "redis-py-asyncio": Suite(
        package="redis",
        version="8.1.0",
        plugin="scripts.public_suites.redis_py_asyncio",
        paths=[f"tests/test_asyncio/test_{name}.py" for name in REDIS_PY_ASYNCIO_FILES],
        server_options={"enable-debug-command": "local"},
        needs=["pytest-asyncio==1.5.0"],
    ),
}
