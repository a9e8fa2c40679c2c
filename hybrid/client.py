"""`HybridRedis`: a `redis.Redis` whose data lives in two stores."""

from __future__ import annotations

import copy
import os
import time
import weakref
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import redis
from redis.client import EMPTY_RESPONSE, NEVER_DECODE
from redis.maint_notifications import MaintNotificationsConfig

from hybrid import events, loading
from hybrid.core import flows
from hybrid.core.commands import Command, Policy, lookup, policy_of, written_keys
from hybrid.core.effects import blocking_twin
from hybrid.core.flows import Ask, Flow
from hybrid.core.health import Evidence
from hybrid.core.names import RESERVED, Names
from hybrid.core.resp import pack
from hybrid.core.transaction import Transaction, Write, encoded_keys, hint, refill, transaction
from hybrid.core.visible import CURSOR_AT, cursor_of, sent_cursor, shown
from hybrid.errors import CommandRefused, QueueRefused, StoreUnavailable
from hybrid.observe.latency import LatencySummary
from hybrid.pipeline import HybridPipeline
from hybrid.replication.engine import Engine
from hybrid.replication.inspection import in_sync, taken_status
from hybrid.settings import Settings
from hybrid.stores.meter import metered_pool
from hybrid.types import Ack, Purpose, Status, Store, StoreState

__all__ = ["HybridRedis"]

T = TypeVar("T")
CLOSE_S: Final = 2.0
"""How long `close` waits for the last writes to reach the other store."""

RANDOM_TRIES: Final = 16
"""RANDOMKEY is asked this often at once: of a store that holds any user's key, one is found but for freak chance."""


class HybridRedis(redis.Redis):
    """A drop-in `redis.Redis` over a local and a cloud store.

    Open one per process with `from_env` or `from_urls` and share it: it is thread-safe and survives `fork`. Options
    that are not settings (decode_responses, protocol, ssl_ca_certs, ...) go to redis-py's connections.

    Args:
        settings: see `hybrid.settings.Settings`.
        hooks: called with each `hybrid.events.Event`.
        namespace: prefix of hybrid's own keys; clients with different ones replicate independently (drills do).

    Raises:
        ConfigurationError: no local store is configured, or a URL is malformed.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        hooks: Sequence[events.Hook] = (),
        namespace: str = RESERVED.decode(),
        **options: Any,
    ) -> None:
        self.events = events.EventLog(tuple(hooks))
        self._engine = Engine(settings, self.events, Names(namespace.encode()), options)
        options = {"maint_notifications_config": MaintNotificationsConfig(enabled=False), **options}
        pool = redis.ConnectionPool.from_url(settings.local_url or "", **options)
        super().__init__(connection_pool=pool)
        self._options = options
        self._names = self._engine.names
        self._board = self._engine.board
        self._resp3 = pool.get_protocol() not in (2, "2")
        self._hint: Callable[[tuple[bytes, ...]], Transaction] = lambda keys: hint(self._names, keys)
        self._closed = False
        # The threads know nothing of the client, so that one that is dropped unclosed does not leave them behind.
        weakref.finalize(self, self._engine.abandon).atexit = False
        self._encoding = options.get("encoding", "utf-8")
        self._errors = options.get("encoding_errors", "strict")
        self._is_utf8 = self._encoding.lower().replace("_", "-") in ("utf-8", "utf8") and self._errors == "strict"

    # -- opening and closing

    @classmethod
    def from_env(cls, env_file: str | os.PathLike[str] | None = ".env", **options: Any) -> HybridRedis:
        """A client configured by arguments, the environment and a `.env` file, in this order of precedence."""
        settings, rest = _split(options)
        return cls(Settings.from_env(env_file, **settings), **rest)

    @classmethod
    def from_urls(cls, local: str | None, cloud: str | None = None, **options: Any) -> HybridRedis:
        """A client on these two stores; further settings and redis-py options by name."""
        settings, rest = _split(options)
        return cls(Settings(local_url=local, cloud_url=cloud, **settings), **rest)

    @classmethod
    def from_url(cls, url: str, **options: Any) -> HybridRedis:
        """As redis-py's: one URL, so only a local store, unless `cloud_url` is given."""
        return cls.from_urls(url, options.pop("cloud_url", None), **options)

    def start(self) -> None:
        """Connect and begin to ship now, rather than at the first command."""
        self._engine.start()

    def close(self) -> None:
        """Flush (wait up to 2 s for the other store to have everything), then end threads and connections."""
        if self._closed:
            return
        self._closed = True
        if self._engine.started:
            cloud_is_lost = self._board.state(Store.CLOUD) in (StoreState.DOWN, StoreState.WIPED)
            flushed = not cloud_is_lost and self.settings.replicated and self.wait_in_sync(CLOSE_S)
            lag = 0 if flushed else self.status().lag_entries
            self._engine.close()
            self.events.emit(events.Stopped(unshipped=lag))
        super().close()

    def __enter__(self) -> HybridRedis:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        """Threads and sockets are daemons of the process; nothing is to be waited for here."""

    def __repr__(self) -> str:
        return f"<HybridRedis {self.settings!r}>"

    # -- what is going on

    @property
    def settings(self) -> Settings:
        """The settings in effect."""
        return self._board.settings

    def status(self) -> Status:
        """What this process knows of both stores now. Asks only a store that is up, and never waits for a dead one."""
        self._engine.start()
        return taken_status(self._engine)

    def wait_in_sync(self, timeout_s: float) -> bool:
        """Whether, within `timeout_s`, both stores have everything that was written before this call."""
        self._engine.start()
        return in_sync(self._engine, timeout_s)

    def change_settings(self, **changes: Any) -> Settings:
        """Change settings of this process, effective at once. Switching dual write on again makes the stores equal.

        Raises ConfigurationError, and AllStoresDown when dual write is switched on and no store takes writes.
        """
        settings = self.settings.with_changes(**changes)
        shown_changes = ", ".join(f"{name}={settings.masked()[name]}" for name in changes)
        begins = settings.replicated and not self.settings.replicated
        self._board.configure(settings, shown_changes)
        if begins:
            # Until it is greeted and caught up again, the cloud store counts as behind.
            self._board.observe(Store.CLOUD, Evidence.BEHIND)
        self._engine.renew()
        if begins:
            # What was written meanwhile is on the local store only.
            self._engine.drive(flows.write(self._board, refill(self._names), self._hint, confirm=False))
        return settings

    def store(self, store: Store, purpose: Purpose = Purpose.PANEL) -> redis.Redis:
        """A plain client of one store, for looking at it. What is written through it is not replicated; what it costs
        is counted under `purpose`."""
        endpoint = self._engine.endpoints.get(store)
        if endpoint is None:
            raise StoreUnavailable(f"no {store} store is configured")
        timeouts = {"socket_timeout": endpoint.timeout_s, "socket_connect_timeout": endpoint.connect_timeout_s}
        options = {**self._options, **timeouts}
        return redis.Redis.from_pool(metered_pool(endpoint.url, endpoint.meter, purpose, retry=None, **options))

    def latency(self, store: Store) -> LatencySummary | None:
        """How this process's own calls to `store` did lately; None without any."""
        return self._engine.latency[store].summary()

    # -- commands

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """Run one command by the policy that the command table gives it.

        Raises:
            CommandRefused: it cannot be kept equal on two stores; the error says why.
            AllStoresDown, OutcomeUnknown: see `hybrid.errors`.
            redis.RedisError: whatever the server answers.
        """
        if not self._is_utf8:
            args = tuple(self._encoded(args))
        command = lookup(args)
        policy = policy_of(command, args)
        decode = NEVER_DECODE not in options
        if policy is Policy.READ:
            reply = self._read(command, args, decode)
        elif policy is Policy.REFUSED:
            raise _refusal(command)
        elif policy is Policy.BLOCKING:
            reply = self._block(args, decode)
        elif policy is Policy.ONE_STORE or not self._board.settings.replicated:
            reply = self._on_authority(command, args, decode)
        else:
            reply = self._engine.drive(self._written(Write(args, self._packed(args), command, policy), decode))
        return self._parsed(args[0], reply, options)

    def client(self) -> HybridRedis:
        """redis-py: a client of one connection. Which connection serves a command is hybrid's to decide, so this is
        the same client under another name; closing it closes nothing."""
        alias = copy.copy(self)
        alias._closed = True
        return alias

    def pipeline(self, transaction: bool = True, shard_hint: Any = None) -> HybridPipeline:
        """A pipeline or transaction; on the other store it arrives as one."""
        return HybridPipeline(self, transaction, shard_hint)

    def _read(self, command: Command, args: tuple[Any, ...], decode: bool) -> Any:
        board, name = self._board, command.name
        at = CURSOR_AT.get(name)
        if name in ("DBSIZE", "RANDOMKEY"):
            return self._read_without_reserved(name)
        if at is None:
            payload, timeout_s = self._packed(args), _block_timeout_s(name, args)
            flow = flows.read(board, board.readers, lambda store: Ask(store, payload, 1, decode, timeout_s))
            reply = self._engine.drive(flow)[0]
            return shown(name, reply, Store.LOCAL) if name == "KEYS" else reply
        asked: list[Store] = []

        def action(store: Store) -> Ask:
            asked.append(store)
            return Ask(store, self._packed(sent_cursor(args, at, store)), 1, decode)

        origin = cursor_of(args, at)[1]

        def readers() -> tuple[Store, ...]:
            stores = board.readers()
            return tuple(sorted(stores, key=lambda store: store is not origin)) if origin else stores

        reply = self._engine.drive(flows.read(board, readers, action))[0]
        return shown(name, reply, asked[-1])

    def _read_without_reserved(self, name: str) -> Any:
        """DBSIZE and RANDOMKEY as if hybrid had no keys of its own."""
        board, names = self._board, self._names
        if name == "DBSIZE":
            payload = pack(("DBSIZE",)) + pack(("EXISTS", *names.keys))
            size, reserved = self._engine.drive(flows.read(board, board.readers, lambda store: Ask(store, payload, 2)))
            return size if isinstance(size, Exception) else size - reserved
        payload = pack(("RANDOMKEY",)) * RANDOM_TRIES
        flow = flows.read(board, board.readers, lambda store: Ask(store, payload, RANDOM_TRIES))
        visible = shown("KEYS", [key for key in self._engine.drive(flow) if key is not None], Store.LOCAL)
        return visible[0] if visible else None

    def _on_authority(self, command: Command, args: tuple[Any, ...], decode: bool) -> Any:
        payload = self._packed(args)
        return self._engine.drive(
            flows.ask_authority(
                self._board, lambda store: Ask(store, payload, 1, decode), command.name, idempotent=command.idempotent
            )
        )[0]

    def _written(self, write: Write, decode: bool = True) -> Flow:
        self._refuse_reserved(write)
        try:
            verdict = yield from self.written((write,), decode)
        except QueueRefused as refused:
            return next(iter(refused.errors.values()))
        return verdict.replies[0]

    def written(self, writes: Sequence[Write], decode: bool = True, *, atomic: bool = True) -> Flow:
        """The flow that runs `writes` as one logged transaction; its result is a Verdict."""
        prepared = transaction(self._names, writes, resp3=self._resp3, atomic=atomic)
        confirm = self._board.settings.ack is Ack.BOTH
        verdict = yield from flows.write(self._board, prepared, self._hint, confirm=confirm, decode=decode)
        if verdict.position is not None:
            self._board.wrote(verdict.position)
        return verdict

    def _block(self, args: tuple[Any, ...], decode: bool) -> Any:
        blocking = blocking_twin(args)
        if blocking is None:
            raise CommandRefused(str(args[0]), "it has no form that does not block")
        for twin in blocking.attempts:
            self.prepared(twin)
        until_s = time.monotonic() + blocking.timeout_s if blocking.timeout_s else float("inf")

        def attempt(twin: Sequence[Any]) -> Flow:
            command = lookup(twin)
            policy = policy_of(command, twin)
            if self._board.settings.replicated:
                reply = yield from self._written(Write(tuple(twin), self._packed(twin), command, policy), decode)
            else:
                payload = self._packed(twin)
                ask = flows.ask_authority(
                    self._board, lambda store: Ask(store, payload, 1, decode), command.name, idempotent=False
                )
                reply = (yield from ask)[0]
            if isinstance(reply, Exception):
                raise reply
            return reply

        return self._engine.drive(flows.block(self._board, blocking, attempt, lambda: until_s - time.monotonic()))

    def prepared(self, args: tuple[Any, ...]) -> Write:
        """A queued command with its policy. Raises CommandRefused."""
        if not self._is_utf8:
            args = tuple(self._encoded(args))
        command = lookup(args)
        policy = policy_of(command, args)
        if policy is Policy.REFUSED:
            raise _refusal(command)
        write = Write(args, self._packed(args), command, policy)
        self._refuse_reserved(write)
        return write

    def _refuse_reserved(self, write: Write) -> None:
        # A key can only be reserved if the prefix is somewhere in the request: that is quick to see.
        if RESERVED in write.packed and write.is_logged:
            for key in encoded_keys(written_keys(write.command, write.args)):
                if key.startswith(RESERVED):
                    raise CommandRefused(
                        write.command.name, f"keys that begin with {RESERVED.decode()!r} are hybrid's own"
                    )

    def _packed(self, args: Sequence[Any]) -> bytes:
        try:
            return pack(args)
        except TypeError as error:
            raise redis.DataError(str(error)) from None

    def _encoded(self, args: Sequence[Any]) -> list[Any]:
        """The operands in the encoding that the application chose; everything behind this is bytes."""
        name, *operands = args
        return [name, *(arg.encode(self._encoding, self._errors) if isinstance(arg, str) else arg for arg in operands)]

    def _parsed(self, name: Any, reply: Any, options: dict[str, Any]) -> Any:
        """As redis-py's parse_response."""
        if isinstance(reply, Exception):
            if EMPTY_RESPONSE in options and isinstance(reply, redis.ResponseError):
                return options[EMPTY_RESPONSE]
            raise reply
        callback = self.response_callbacks.get(name)
        if callback is None:
            return reply
        for mark in (NEVER_DECODE, EMPTY_RESPONSE, "keys"):
            options.pop(mark, None)
        return callback(reply, **options)

    # -- loading through the cache

    def get_or_load(self, key: str | bytes, loader: Callable[[], T], ex: int | None = None) -> T:
        """The value at `key`, or what `loader` returns, stored as JSON for `ex` seconds (None: for ever).

        With both stores down it goes straight to the loader (degraded mode).
        """
        return loading.get_or_load(self, key, loader, ex)

    def cached(
        self, ex: int | None = None, key: Callable[..., str] | None = None
    ) -> Callable[[Callable[..., T]], Callable[..., T]]:
        """A decorator: `get_or_load` around a function. `key` makes the key from the call's arguments; by default it
        is the function's name and its arguments as JSON."""
        return loading.cached(self, ex, key)


def _refusal(command: Command) -> CommandRefused:
    return CommandRefused(command.name, command.note or "see docs/commands.md")


def _split(options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    names = Settings.__dataclass_fields__
    settings = {name: value for name, value in options.items() if name in names}
    return settings, {name: value for name, value in options.items() if name not in names}


def _block_timeout_s(name: str, args: Sequence[Any]) -> float | None:
    """How long a reply may take: XREAD waits by itself; None stands for the store's usual timeout."""
    if name != "XREAD":
        return None
    words = [str(arg.decode(errors="replace") if isinstance(arg, bytes) else arg).upper() for arg in args[:6]]
    if "BLOCK" not in words:
        return None
    wait_ms = float(args[words.index("BLOCK") + 1])
    return wait_ms / 1000 + 1.0 if wait_ms else 365 * 86400.0
