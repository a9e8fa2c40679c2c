"""What the two clients have in common besides the commands: opening, settings, and what this process knows."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, Final, NoReturn, Self
from urllib.parse import quote

import redis

from hybrid import events
from hybrid.calls import Calls
from hybrid.core.names import RESERVED, Names
from hybrid.errors import AllStoresDown, CommandRefused, ConfigurationError, StoreUnavailable
from hybrid.observe.latency import LatencySummary
from hybrid.observe.metrics import Recorder
from hybrid.replication.engine import Engine
from hybrid.replication.live_settings import LiveSettings
from hybrid.replication.registry import Registry
from hybrid.settings import Settings
from hybrid.stores.endpoint import Endpoint
from hybrid.stores.pools import NO_CACHE
from hybrid.types import Source, Store

__all__ = ["CLOSE_S", "Base", "pooled"]

CLOSE_S: Final = 2.0
"""How long closing a client waits for the last writes to reach the other store."""


_POOLED: Final = frozenset(
    (
        "client_name",
        "decode_responses",
        "encoding",
        "encoding_errors",
        "legacy_responses",
        "protocol",
        "socket_keepalive",
    )
)
"""What of a pool's connection settings is the application's, besides TLS. Timeouts and retries are hybrid's."""


_PLACES: Final = frozenset(("host", "port", "unix_socket_path"))
_WHERE: Final = (
    "say where the stores are: HybridRedis.from_env(), HybridRedis.from_urls(local, cloud), or host=, port=, cloud_url="
)

_WITHOUT_MEANING: Final = frozenset(("single_connection_client", "auto_close_connection_pool"))
"""redis-py's words about whose a connection is: here they are hybrid's."""


class Base(Calls):
    """Owns the engine of one client; see `HybridRedis` for the arguments. Mixed in before redis-py's client, which
    it opens on a pool of the kind that client takes."""

    _pool_of: ClassVar[Callable[..., Any]]

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        connection_pool: Any = None,
        hooks: Sequence[events.Hook] = (),
        namespace: str = RESERVED.decode(),
        **options: Any,
    ) -> None:
        options = {name: value for name, value in options.items() if name not in _WITHOUT_MEANING}
        explicit: dict[str, Any] = {}
        if settings is None:
            explicit, options = _split(options)
            settings, options = pooled(connection_pool, options, explicit)
        elif not isinstance(settings, Settings):
            raise ConfigurationError(_WHERE)
        self._options = options
        self.events = events.EventLog(tuple(hooks))
        self._open(settings, Names(namespace.encode()))
        self._engine.live.state(dict.fromkeys(explicit, Source.ARGUMENT))
        self._prepare_calls(self._engine.names, options)
        pool = self._pool_of(settings.local_url or "", **options)
        pool.get_connection, pool.hybrid_settings = _no_connection, settings
        self._database = str(pool.connection_kwargs.get("db") or 0)
        self._resp3 = pool.get_protocol() not in (2, "2")
        super().__init__(connection_pool=pool)  # type: ignore[call-arg] # redis-py's
        self._original: Base | None = None

    def _open(self, settings: Settings, names: Names) -> None:
        """Have an engine that starts with the first command."""
        self._engine = Engine(settings, self.events, names, self._options)
        self._board = self._engine.board
        self._prepare_driving()
        # The threads know nothing of the client, so that one that is dropped unclosed does not leave them behind.
        self._abandon = weakref.finalize(self, self._engine.abandon)
        self._abandon.atexit = False

    def _ended(self, engine: Engine) -> None:
        """This engine was closed; the next command opens another, as with redis-py."""
        if self._engine is not engine:
            return
        self._abandon.detach()
        self.events.remove_hook(engine.metrics.event)
        settings, sources = engine.live.opened_with
        self._open(settings, engine.names)
        self._engine.live.state(sources)

    @classmethod
    def from_pool(cls, connection_pool: Any) -> Self:
        """redis-py: a client on a pool's connection settings. They name the local store; the cloud one's URL and all
        other settings come from the environment and `.env`, or, of a HybridRedis' pool, from there. The pool itself
        stays unused."""
        settings, options = pooled(connection_pool, {})
        return cls(settings, **options)

    @classmethod
    def from_env(cls, env_file: str | os.PathLike[str] | None = ".env", **options: Any) -> Self:
        """A client configured by arguments, the environment and a `.env` file, in this order of precedence."""
        explicit, rest = _split(options)
        settings, sources = Settings.from_env_with_sources(env_file, **explicit)
        client = cls(settings, **rest)
        client._engine.live.state(sources)
        return client

    @classmethod
    def from_urls(cls, local: str | None, cloud: str | None = None, **options: Any) -> Self:
        """A client on these two stores; further settings and redis-py options by name."""
        settings, rest = _split(options)
        client = cls(Settings(local_url=local, cloud_url=cloud, **settings), **rest)
        client._engine.live.state(dict.fromkeys(settings, Source.ARGUMENT))
        return client

    @classmethod
    def from_url(cls, url: str, **options: Any) -> Self:
        """As redis-py's: one URL, so only a local store, unless `cloud_url` is given."""
        return cls.from_urls(url, options.pop("cloud_url", None), **options)

    def _prepare_driving(self) -> None:
        """Get ready what performs the flows, where that is not the engine itself."""

    def __del__(self) -> None:
        """Threads and sockets are daemons of the process; nothing is to be waited for here."""

    def __repr__(self) -> str:
        return f"<HybridRedis {self.settings!r}>"

    @property
    def settings(self) -> Settings:
        """The settings in effect."""
        return self._board.settings

    def latency(self, store: Store) -> LatencySummary | None:
        """How this process's own calls to `store` did lately; None without any."""
        return self._engine.latency[store].summary()

    def _endpoint(self, store: Store) -> Endpoint:
        endpoint = self._engine.endpoints.get(store)
        if endpoint is None:
            raise StoreUnavailable(f"no {store} store is configured")
        return endpoint

    def _writer(self) -> Store:
        """The store that takes writes, where `publish` goes too. Raises AllStoresDown."""
        writer = self._board.routes.writer
        if writer is None:
            raise AllStoresDown("no store takes writes now")
        return writer

    @property
    def recorder(self) -> Recorder:
        """What this process measures of its own traffic; `hybrid.ops.metrics` reads what all processes did."""
        return self._engine.metrics

    def prefer_shipping(self) -> None:
        """Before the start: ship rather than application processes do, which give way in order."""
        self._board.preferred = True

    @property
    def live(self) -> LiveSettings:
        """The live configuration, common to all processes; `hybrid.ops.control` edits it."""
        return self._engine.live

    @property
    def registry(self) -> Registry:
        """The register of the processes that use these stores."""
        return self._engine.registry


def _no_connection(*_: Any, **__: Any) -> NoReturn:
    """Whoever takes a connection from a client's pool would talk to one store alone."""
    raise CommandRefused(
        "connection_pool.get_connection", "hybrid decides which store a command goes to; see store() for a look at one"
    )


def pooled(
    connection_pool: Any, options: dict[str, Any], explicit: Mapping[str, Any] = MappingProxyType({})
) -> tuple[Settings, dict[str, Any]]:
    """Settings and redis-py's options for `HybridRedis(connection_pool=...)`, as frameworks construct clients, and
    `HybridRedis(host=..., port=...)`, as redis-py's users do. `explicit`: settings by name.

    Raises ConfigurationError.
    """
    if connection_pool is None:
        if _PLACES.isdisjoint(options):
            raise ConfigurationError(_WHERE)
        try:
            connection_pool, options = redis.Redis(**options).connection_pool, {}
        except TypeError as error:
            raise ConfigurationError(str(error)) from None
    if getattr(connection_pool, "cache", None) is not None:
        raise ConfigurationError(NO_CACHE)
    known = connection_pool.connection_kwargs
    kept = {name: value for name, value in known.items() if name in _POOLED or name.startswith("ssl_")}
    own: Settings | None = getattr(connection_pool, "hybrid_settings", None)
    if own is not None:
        return own.with_changes(**explicit), {**kept, **options}
    named = {"local_url": _url(connection_pool.connection_class, known), **explicit}
    return Settings.from_env(**named), {**kept, **options}


def _url(connection_class: type, known: Mapping[str, Any]) -> str:
    name, password = (quote(str(known.get(it) or ""), safe="") for it in ("username", "password"))
    login = f"{name}:{password}@" if name or password else ""
    db = known.get("db") or 0
    if "path" in known:
        return f"unix://{login}{known['path']}?db={db}"
    is_tls = any(base.__name__ == "SSLConnection" for base in connection_class.__mro__)
    host = str(known.get("host") or "localhost")
    place = f"[{host}]" if ":" in host else host
    return f"{'rediss' if is_tls else 'redis'}://{login}{place}:{known.get('port') or 6379}/{db}"


def _split(options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    names = Settings.__dataclass_fields__
    settings = {name: value for name, value in options.items() if name in names}
    return settings, {name: value for name, value in options.items() if name not in names}
