"""Which suites there are, and how each is started."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

__all__ = ["SUITES", "Suite"]


@dataclass(frozen=True)
class Suite:
    """`plugin` is the pytest plugin that puts HybridRedis in the place of redis.Redis; `paths` are the tests whose
    subject is what a client says to one server; `needs` are packages for the suite alone, installed without theirs;
    `expected` names the lists of tests that cannot pass."""

    package: str
    version: str
    paths: list[str]
    expected: tuple[str, ...]
    plugin: str = "scripts.public_suites.in_place"
    arguments: tuple[str, ...] = ()
    server: str = "valkey"
    server_options: dict[str, str] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """As files of the source distribution are named."""
        return f"{re.sub('[-.]', '_', self.package).lower()}-{self.version}"


REDIS_PY_FILES: Final = (
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

REDIS_PY_ASYNCIO_FILES: Final = (
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

REDIS_PY_ARGUMENTS: Final = (
    "--redis-url={url}",
    "--redis-mod-url={url}",
    "--protocol={protocol}",
    "-m=not onlycluster and not redismod and not ssl",
)

SUITES: Final = {
    "redis-py": Suite(
        package="redis",
        version="8.1.0",
        plugin="scripts.public_suites.redis_py",
        paths=[f"tests/test_{name}.py" for name in REDIS_PY_FILES],
        expected=("redis-py",),
        arguments=REDIS_PY_ARGUMENTS,
        server_options={"enable-debug-command": "local"},
    ),
    "redis-py-asyncio": Suite(
        package="redis",
        version="8.1.0",
        plugin="scripts.public_suites.redis_py_asyncio",
        paths=[f"tests/test_asyncio/test_{name}.py" for name in REDIS_PY_ASYNCIO_FILES],
        expected=("redis-py", "redis-py-asyncio"),
        arguments=REDIS_PY_ARGUMENTS,
        server_options={"enable-debug-command": "local"},
        needs=("pytest-asyncio==1.5.0",),
    ),
    "fakeredis": Suite(
        package="fakeredis",
        version="2.41.0",
        plugin="scripts.public_suites.fakeredis_real",
        paths=["test/test_mixins", "test/test_async", "test/test_hypothesis"],
        expected=("fakeredis",),
        arguments=("-m=real and not load_lua_modules and not tcp_server",),
        server="redis",
        needs=("fakeredis==2.41.0", "pytest-asyncio==1.5.0", "pytest-mock==3.15.1"),
    ),
    "rq": Suite(package="rq", version="3.0.0", paths=["tests"], expected=("rq",), needs=("psutil==7.1.3",)),
    "huey": Suite(
        package="huey",
        version="3.5.4",
        paths=["huey/tests/test_storage.py", "huey/tests/test_api.py"],
        expected=("huey",),
    ),
    "django-redis": Suite(  # a process can have one of its settings only: the plain ones
        package="django-redis",
        version="7.0.0",
        paths=["tests"],
        expected=("django-redis",),
        arguments=("-k=not (gzip or herd or json or lz4 or msgpack or sentinel or sharding or usock or zlib or zstd)",),
        needs=("pytest-mock==3.15.1", "msgpack==1.2.4"),
    ),
    "dogpile.cache": Suite(
        package="dogpile.cache",
        version="1.5.0",
        paths=["tests/cache/test_redis_backend.py"],
        expected=("dogpile.cache",),
    ),
    "cachelib": Suite(
        package="cachelib",
        version="0.17.0",
        paths=["tests/test_redis_cache.py"],
        expected=("cachelib",),
        needs=("cachelib==0.17.0", "pytest-xprocess==1.0.2"),
        arguments=("-p", "cacheprovider"),
        environ={"CI": "true"},
    ),
    "aiocache": Suite(
        package="aiocache",
        version="0.12.3",
        plugin="scripts.public_suites.in_place_early",
        paths=["tests/acceptance"],
        expected=("aiocache",),
        arguments=("-k=redis",),
        needs=("aiocache==0.12.3", "marshmallow==3.26.1", "packaging", "pytest-asyncio==1.5.0", "pytest-mock==3.15.1"),
    ),
    "flask-caching": Suite(
        package="Flask-Caching",
        version="2.5.1",
        paths=["tests"],
        expected=("flask-caching",),
        needs=("pytest-xprocess==1.0.2",),
        arguments=("-p", "cacheprovider", "-k=redis or Redis"),
    ),
    "limits": Suite(
        package="limits",
        version="5.8.0",
        plugin="scripts.public_suites.limits",
        paths=["tests/test_storage.py", "tests/test_strategy.py", "tests/aio/test_strategy.py", "tests/integration"],
        expected=("limits",),
        needs=(
            "pytest-asyncio==1.5.0",
            "pytest-mock==3.15.1",
            "pytest-lazy-fixtures==1.4.0",
            "pymemcache",
            "pymongo",
            "valkey",
        ),
        arguments=("-k=(basic or redis) and not (cluster or sentinel or uds or auth or ssl or valkey)",),
        environ={"ASYNC_REDIS_IMPLEMENTATION": "redispy"},
    ),
    "walrus": Suite(
        package="walrus",
        version="0.9.8",
        paths=["walrus/tests/__init__.py"],
        expected=("walrus",),
        needs=("walrus==0.9.8",),
    ),
    "arq": Suite(
        package="arq",
        version="0.28.0",
        plugin="scripts.public_suites.arq",
        paths=["tests/test_jobs.py", "tests/test_main.py", "tests/test_worker.py", "tests/test_cron.py"],
        expected=("arq",),
        needs=(
            "arq==0.28.0",
            "pytest-asyncio==1.5.0",
            "pytest-mock==3.15.1",
            "msgpack==1.2.4",
            "dirty-equals==0.11",
        ),
    ),
    "python-redis-lock": Suite(
        package="python-redis-lock",
        version="4.0.1",
        paths=["tests/test_redis_lock.py"],
        expected=("python-redis-lock",),
        needs=("python-redis-lock==4.0.1", "process-tests"),
    ),
    "kombu": Suite(
        package="kombu",
        version="5.7.0",
        plugin="scripts.public_suites.through_proxy",
        paths=["t/integration/test_redis.py", "t/integration/test_redis_brpop_qos.py"],
        expected=("kombu",),
    ),
    "channels-redis": Suite(
        package="channels-redis",
        version="4.3.0",
        paths=["tests/test_core.py", "tests/test_pubsub.py"],
        expected=("channels-redis",),
        needs=(
            "channels-redis==4.3.0",
            "channels==4.3.2",
            "async-timeout",
            "msgpack==1.2.4",
            "pytest-asyncio==1.5.0",
        ),
        arguments=("-o", "asyncio_mode=auto"),
    ),
    "pyrate-limiter": Suite(
        package="pyrate-limiter",
        version="4.5.1",
        plugin="scripts.public_suites.in_place_early",
        paths=["tests"],
        expected=("pyrate-limiter",),
        needs=("pyrate-limiter==4.5.1", "pytest-asyncio==1.5.0"),
        arguments=("-k=redis or Redis", "--ignore=tests/test_aiohttp_limiter.py"),
    ),
    "throttled-py": Suite(
        package="throttled-py",
        version="3.5.0",
        plugin="scripts.public_suites.real_fakeredis",
        paths=["tests"],
        expected=("throttled-py",),
        needs=("throttled-py==3.5.0", "pytest-asyncio==1.5.0"),
        arguments=("-k=redis or Redis", "--ignore=tests/contrib", "--ignore=tests/asyncio/contrib"),
    ),
    "celery-redbeat": Suite(
        package="celery-redbeat",
        version="2.4.2",
        plugin="scripts.public_suites.real_fakeredis",
        paths=["tests/test_entry.py", "tests/test_scheduler.py", "tests/test_utils.py"],
        expected=("celery-redbeat",),
        needs=("celery-redbeat==2.4.2", "pytz", "tenacity"),
    ),
}
