"""pytest plugin for suites that open their clients themselves: what they import as redis.Redis is HybridRedis.

Whatever address they name, they get the two stores of this run; a database of another number is one on both of them.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any, Final

import redis.asyncio
from redis.connection import parse_url

import hybrid.aio
from hybrid import HybridRedis
from scripts.public_suites.stores import PATIENT, PLAIN, Client, opened, stores_of, urls

pytest_plugins = ["scripts.public_suites.stores"]

KEPT: Final = ("decode_responses", "encoding", "encoding_errors", "protocol")
"""What of the options of a suite's clients matters to its tests, besides the database."""

_asyncio: dict[str, hybrid.aio.HybridRedis] = {}


class Either(type(HybridRedis)):  # type: ignore[misc]
    """A class whose instances are redis-py's clients, whoever made them."""

    def __instancecheck__(cls, client: object) -> bool:
        return isinstance(client, redis.Redis | redis.asyncio.Redis)


class AnyAddress(metaclass=Either):
    """The other ways to open a client."""

    @classmethod
    def from_url(cls, url: str, **options: Any) -> Any:
        return cls(**{**parse_url(url), **options})

    @classmethod
    def from_pool(cls, connection_pool: Any) -> Any:
        return cls(connection_pool=connection_pool)  # type: ignore[call-arg]


class InPlace(AnyAddress, Client):
    """Takes the arguments of redis.Redis, and is an open client; one of a class derived from it opens its own."""

    def __new__(cls, host: str = "", port: int = 0, db: int = 0, *_: Any, **options: Any) -> Any:
        return object.__new__(cls) if cls is not InPlace else opened(*chosen(db, options))

    def __init__(self, host: str = "", port: int = 0, db: int = 0, *_: Any, **options: Any) -> None:
        kept, db = chosen(db, options)
        opened({}, db)  # who compares and empties this database
        super().__init__(stores_of(db), **kept)


class AsyncioInPlace(AnyAddress, hybrid.aio.HybridRedis):  # type: ignore[misc]
    """The same for asyncio. It belongs to no loop, so one serves the tests of all."""

    def __new__(cls, host: str = "", port: int = 0, db: int = 0, *_: Any, **options: Any) -> Any:
        kept, db = chosen(db, options)
        if PLAIN:
            return redis.asyncio.Redis.from_url(urls(db)[0], **kept)
        opened({}, db)  # who compares and empties this database
        if cls is not AsyncioInPlace:
            return object.__new__(cls)
        name = repr((db, sorted(kept.items())))
        if name not in _asyncio:
            _asyncio[name] = hybrid.aio.HybridRedis.from_urls(*urls(db), **{**PATIENT, **kept})
        return _asyncio[name].client()

    def __init__(self, host: str = "", port: int = 0, db: int = 0, *_: Any, **options: Any) -> None:
        kept, db = chosen(db, options)
        super().__init__(stores_of(db), **kept)


def chosen(db: int, options: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """Of the arguments of redis.Redis: the options that count, and the database."""
    pool = options.get("connection_pool")
    given = options if pool is None else pool.connection_kwargs
    return {name: given[name] for name in KEPT if name in given}, int(given.get("db") or db)


def in_the_place_of(module: ModuleType, **names: Any) -> None:
    """From now on whoever imports `module` finds these names changed; who has imported it already does not."""
    changed = ModuleType(module.__name__)
    vars(changed).update(vars(module), **names)
    sys.modules[module.__name__] = changed


def pytest_configure() -> None:
    take_the_place()


def take_the_place() -> None:
    """Whoever imports redis.Redis from now on finds HybridRedis."""
    ours = {"Redis": InPlace, "StrictRedis": InPlace, "from_url": InPlace.from_url}
    ours_of_asyncio = {"Redis": AsyncioInPlace, "StrictRedis": AsyncioInPlace, "from_url": AsyncioInPlace.from_url}
    in_the_place_of(redis.client, Redis=InPlace, StrictRedis=InPlace)
    in_the_place_of(redis.asyncio, **ours_of_asyncio)
    in_the_place_of(redis, asyncio=sys.modules["redis.asyncio"], client=sys.modules["redis.client"], **ours)
