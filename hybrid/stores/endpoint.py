"""One store as this process reaches it: how it is connected to, greeted and fenced."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from redis import RedisError
from redis.backoff import NoBackoff
from redis.connection import SSLConnection, UnixDomainSocketConnection
from redis.retry import Retry

from hybrid.core.authority import FIRST, Authority, Position
from hybrid.core.checkpoint import OUTDATED
from hybrid.core.connections import FLUSHES, WHO
from hybrid.core.marks import UNMET, Marks
from hybrid.core.names import Names
from hybrid.core.outcomes import NotSent, ReplyLost
from hybrid.core.pace import Pace
from hybrid.core.refusals import Refusal, refusal_of
from hybrid.core.resp import pack
from hybrid.core.scripts import LOAD_EFFECTS
from hybrid.core.state_replies import place_in
from hybrid.errors import ConfigurationError
from hybrid.settings import masked_url
from hybrid.stores.capabilities import Capabilities, probe_capabilities, remember_capabilities
from hybrid.stores.cluster import ClusterWire
from hybrid.stores.exchange import RedisConnection
from hybrid.stores.fence import StandingFence
from hybrid.stores.idle import IdleWires, Kept, Kind
from hybrid.stores.lost import LostConnections
from hybrid.stores.meter import Meter
from hybrid.stores.pools import pool_of
from hybrid.stores.wire import SocketWire, TlsWire, UnixWire, Wire, plain_reason
from hybrid.types import Purpose, Store

__all__ = ["LAST_STORE_S", "Endpoint"]

LAST_STORE_S: Final = 1.0

CONNECT_TIMES: Final = 3
"""TCP, TLS and the greeting take a round trip each, so connecting is given so many times a reply's timeout."""

_UNWATCH = pack(("UNWATCH",))


class Endpoint:
    """Connections to one store. What is opened here and not needed is kept in `IdleWires`, by kind."""

    def __init__(
        self, store: Store, url: str, names: Names, *, timeout_s: float, options: Mapping[str, Any] | None = None
    ) -> None:
        self.store = store
        self.url = url
        self.names = names
        self.timeout_s = timeout_s
        self.is_last: Callable[[], bool] = lambda: False
        """Whether there is no other store to go to that has everything."""
        self.pace = Pace(timeout_s)
        self.mark: bytes | None = None
        """The store's mark (`hybrid.replication.pairing`), as it was last greeted."""
        self.ask_marks = pack(names.ask_marks)
        self._class, self._kwargs = _connection(url, timeout_s, self.connect_timeout_s, dict(options or {}))
        self.hears_flushes = self._class is not ClusterWire
        """Whether a connection is told that the store was emptied. A cluster's nodes would say it one by one."""
        self.meter = Meter()
        self.lost = LostConnections()
        self._idle = IdleWires(self._is_good)
        self._capabilities: Capabilities | None = None
        self.refuses_dumps = False
        self.ends_connections = True
        """Whether the store has one connection end another. Where it does not, what was sent may still arrive when its
        sender has given it up."""
        self.late: dict[bytes, float] = {}
        """Keys of which that may be so, each with the moment when they are copied once more (monotonic clock)."""
        self.known_place: Callable[[], Position] = lambda: (0, 0)
        """Up to where the store's log has gone, as this process knows."""
        self._watch = pack(("WATCH", names.authority)) + pack(("GET", names.authority))
        self.fence_payload = _UNWATCH + self._watch
        about_log = self.ask_marks + pack(("XINFO", "STREAM", names.log))
        self._introductions = (WHO + about_log, 3) if store is Store.LOCAL else (WHO, 1)

    @property
    def applied(self) -> bytes:
        """The channel on which progress is told. Channels span the databases of a server, pairs do not."""
        return self._channel(self.names.applied)

    @property
    def moved(self) -> bytes:
        """The channel on which a new authority record is told."""
        return self._channel(self.names.moved)

    @property
    def config(self) -> bytes:
        """The channel on which a new live configuration is pushed."""
        return self._channel(self.names.config)

    @property
    def relay(self) -> bytes:
        """The channel on which a process that alone cannot reach the local store has others write there."""
        return self._channel(self.names.relay)

    def _channel(self, name: bytes) -> bytes:
        return b"%b@%d" % (name, int(self._kwargs.get("db") or 0))

    @property
    def generation(self) -> int:
        """The current generation of wires."""
        return self._idle.generation

    @property
    def patience_s(self) -> float:
        """How long the store may stay silent now: for its timeout, and longer where it has been slow lately
        (`hybrid.core.pace`), or where giving it up would fail every command, because the other one does not answer, or
        show older values, because that one lacks something."""
        usual_s = self.usual_patience_s
        return max(LAST_STORE_S, usual_s) if self.is_last() else usual_s

    @property
    def usual_patience_s(self) -> float:
        """The same where the other store has everything."""
        return self.pace.patience_s(time.monotonic())

    @property
    def connect_timeout_s(self) -> float:
        """How long connecting may take now."""
        return CONNECT_TIMES * self.patience_s

    @property
    def address(self) -> str:
        """Where the store is, without credentials."""
        return masked_url(self.url) or ""

    def set_timeout(self, timeout_s: float) -> None:
        """Wait this long for replies from now on. Wires that are open keep their timeout, so idle ones are closed."""
        self.timeout_s = self.pace.timeout_s = timeout_s
        self.retire()

    def connect(self, *, patience_s: Callable[[], float] | None = None, **overrides: Any) -> Wire:
        """A new wire outside the pool. Connecting, and then a reply, may take as long as `patience_s` says, or as the
        endpoint does. Raises NotSent."""
        patience_s = patience_s or (lambda: self.patience_s)
        patient = {"socket_timeout": patience_s(), "socket_connect_timeout": CONNECT_TIMES * patience_s()}
        wire = self._class(meter=self.meter, **{**self._kwargs, **patient, **overrides})
        if "socket_timeout" not in overrides:
            wire.patience_s = patience_s
        wire.pace = self.pace
        wire.open()
        return wire

    def connect_raw(
        self,
        *,
        timeout_s: float | None = None,
        patience_s: Callable[[], float] | None = None,
        purpose: Purpose = Purpose.SHIPPING,
    ) -> Wire:
        """A new wire for hybrid's own work: RESP2, bytes as they are, whatever the application chose."""
        overrides: dict[str, Any] = {
            "protocol": 2,
            "decode_responses": False,
            "encoding": "utf-8",
            "purpose": purpose,
        }
        if timeout_s is not None:
            overrides["socket_timeout"] = timeout_s
        return self.connect(patience_s=patience_s, **overrides)

    def take_raw(self, patience_s: Callable[[], float] | None = None) -> Wire:
        """As `connect_raw`, sooner if a wire was given back. It waits for a reply as long as `patience_s` says, or as
        the endpoint does. Raises NotSent."""
        generation = self.generation
        generation, wire = self._kept(self._idle.raw) or (generation, self.connect_raw())
        wire.generation = generation
        wire.patience_s = patience_s or (lambda: self.patience_s)
        if self._capabilities is not None:
            remember_capabilities(wire, self._capabilities)
        return wire

    def give_raw(self, wire: Wire) -> None:
        """Keep a wire of `take_raw` on which nothing is due for whoever needs one next."""
        self._idle.give(self._idle.raw, wire.generation, wire)

    def probe(self) -> None:
        """Whether the store answers over a new connection. Raises NotSent or ReplyLost when it does not."""
        wire = self.connect_raw(purpose=Purpose.HEALTH)
        try:
            wire.exchange(pack(("PING",)), 1)
        except ReplyLost as error:
            if error.silent:
                raise
            # A server that is ending still accepts connections for a moment: the next attempt tells.
            self.connect_raw(purpose=Purpose.HEALTH).exchange(pack(("PING",)), 1)
        finally:
            wire.disconnect()

    def known_capabilities(self, wire: RedisConnection) -> Capabilities:
        """What the store can do, asked over `wire` the first time, and again after the store had failed. From now on
        `capabilities_of(wire)` is the same."""
        known, generation = self._capabilities, self.generation
        if known is None:
            known = probe_capabilities(wire)
            if generation == self.generation:
                self._capabilities = known
        remember_capabilities(wire, known)
        return known

    def take(self) -> tuple[int, Wire]:
        """A plain wire and the generation to give it back with. Raises NotSent."""
        return self._kept(self._idle.plain) or (self.generation, self._connect_plain())

    def _connect_plain(self) -> Wire:
        wire = self.connect()
        try:
            self.introduced(wire, wire.exchange(*self.introduction(wire.protocol), decode=False))
        except ReplyLost as error:
            raise NotSent(str(error), silent=error.silent) from None
        except NotSent:
            wire.disconnect()
            raise
        return wire

    def introduction(self, protocol: object) -> tuple[bytes, int]:
        """The first request on a connection for reads that speaks this RESP version, and how many replies it gets; feed
        them to `introduced`."""
        hears = self.hears_flushes and str(protocol) == "3"
        return (FLUSHES + self.ask_marks, 2) if hears else (self.ask_marks, 1)

    def introduced(self, wire: StandingFence, replies: Sequence[Any]) -> None:
        """Raises NotSent where the store takes connections and cannot be read, because it loads its data."""
        *told, marks = replies
        if isinstance(marks, Exception) and refusal_of(marks) is Refusal.OUTAGE:
            raise NotSent(plain_reason(marks))
        if told:
            self.hears_flushes = not isinstance(told[0], Exception)
        wire.flushes += self.is_lost(marks)

    def marks(self, reply: Sequence[bytes | None]) -> Marks:
        """Of the store, which gave this reply to `ask_marks`. One that is known by another mark, and names nobody, was
        begun anew when it was not quite empty: what was on its way from a shipper had come there already."""
        marks = Marks(*reply)
        is_known = self.mark in (None, OUTDATED, marks.own)
        return marks if is_known or marks.is_gone or marks.partner is not None else marks._replace(partner=UNMET)

    def is_lost(self, marks: Any) -> bool:
        """Whether the store, which gave this reply to `ask_marks`, has lost its data since it was greeted. One that
        refuses to tell has not."""
        if self.mark is None or isinstance(marks, Exception):
            return False
        return self.marks(marks).is_lost_since(self.mark)

    def has_lost(self, wire: Wire) -> bool:
        """The same, asked over `wire`, on which the store has said that it was emptied. Raises NotSent or ReplyLost."""
        flushes = wire.flushes  # it may say so again, ahead of the answer
        is_lost = self.is_lost(wire.exchange(self.ask_marks, 1, decode=False)[0])
        wire.looked = wire.looked if is_lost else flushes
        return is_lost

    def has_another_mark(self) -> bool:
        """Whether the store has not the mark that it was greeted with: since it was emptied it may have been begun
        anew. Raises NotSent or ReplyLost."""
        wire = self.take_raw()
        marks = wire.exchange(self.ask_marks, 1, decode=False)[0]
        self.give_raw(wire)
        return self.mark is not None and (isinstance(marks, Exception) or Marks(*marks).own != self.mark)

    def take_fenced(self, epoch: int = FIRST.epoch) -> tuple[int, Wire]:
        """A wire with a standing WATCH on the authority record. Raises NotSent or ReplyLost.

        A wire that last saw a record older than `epoch` looks again: idle wires miss what happens.
        """
        generation, wire = self._kept(self._idle.fenced) or (self.generation, self.connect())
        if wire.epoch < epoch:
            self.fence(wire)
        return generation, wire

    def renew_fences(self, epoch: int) -> None:
        """Give idle wires that last saw a record older than `epoch` a fresh fence, so that the writers who come here
        next need not. Half of them at a time: the others are there for who comes meanwhile. Raises NotSent or
        ReplyLost."""
        for _ in range(2):
            taken = list(self._idle.take_half(self._idle.stale(epoch)))
            for _, wire in taken:
                wire.send(self.fence_payload, 3)
            for generation, wire in taken:
                wire.see(wire.receive(3, decode=False)[2])
                self.give_fenced(generation, wire)

    def has_stale_fences(self, epoch: int) -> bool:
        """Whether there is an idle wire that last saw a record older than `epoch`."""
        return bool(self._idle.stale(epoch))

    def _kept(self, kind: Kind) -> Kept | None:
        return self._idle.take(kind)

    def _is_good(self, wire: Wire) -> bool:
        return wire.is_quiet() or (self.hears_flushes and wire.has_only_news())

    def give(self, generation: int, wire: Wire) -> None:
        """Keep a wire of `take`."""
        self._idle.give(self._idle.plain, generation, wire)

    def give_fenced(self, generation: int, wire: Wire) -> None:
        """Keep a wire of `take_fenced` with its standing WATCH."""
        self._idle.give(self._idle.fenced, generation, wire)

    def fence(self, wire: Wire) -> Wire:
        """Give `wire` a standing WATCH on the authority record, and no other. Raises NotSent or ReplyLost."""
        replies = wire.exchange(*self.fence_request(wire), decode=False)
        try:
            self.fenced(wire, replies)
        except NotSent:
            wire.disconnect()
            raise
        return wire

    def fence_request(self, wire: StandingFence) -> tuple[bytes, int]:
        """What gives `wire` that WATCH, and how many replies it gets; feed them to `fenced`."""
        if wire.ending is not None:
            return self.fence_payload, 3
        wire.known = self.known_place()  # what is logged after the question is not in the answer
        payload, count = self._introductions
        return self.fence_payload + payload, 3 + count

    def fenced(self, wire: StandingFence, replies: Sequence[Any]) -> None:
        """Raises NotSent where the store takes connections and cannot be asked, or has come back with older data: what
        is written there would hide that from the greeting."""
        record, *told = replies[2:]
        if isinstance(record, Exception):
            raise NotSent(plain_reason(record))
        if told:
            who, *about_log = told
            wire.named(who)
            if about_log and self.is_older(about_log[0], about_log[1], wire.known):
                raise NotSent("it came back with older data")
        wire.authority = Authority.parse(record)

    def is_older(self, marks: Any, described: Any, known: Position) -> bool:
        """Whether the store, which gave these replies to `ask_marks` and to XINFO of its log, has its mark, and a log
        that ends before `known`."""
        if isinstance(marks, Exception) or self.mark is None or Marks(*marks).own != self.mark:
            return False
        try:
            return place_in(described) < known
        except RedisError:
            return False  # the user may not ask

    def move(
        self,
        wire: Wire,
        authority: Authority,
        *,
        first: bytes = b"",
        also: Sequence[tuple[Any, ...]] = (),
        then: bytes = b"",
    ) -> Any:
        """Replace the authority record that a fenced wire guards, `also` run these commands in the same transaction,
        and send the commands `first` and `then` in the same breath; the result is the reply to the latter.
        `wire.authority` is the record that stands afterwards, another one when somebody else was faster. Raises NotSent
        or ReplyLost."""
        names, record = self.names, authority.record
        told = ("PUBLISH", self.moved, record)
        commands = (("MULTI",), ("SET", names.authority, record), *also, told, ("EXEC",))
        payload = first + b"".join(map(pack, commands)) + then + self._watch
        replies = wire.exchange(payload, bool(first) + len(commands) + bool(then) + 2, decode=False)
        wire.see(replies[-1])
        return replies[bool(first) + len(commands)]

    def record(self) -> Authority | None:
        """The authority record as it stands now. Raises NotSent or ReplyLost."""
        generation, wire = self.take()
        reply = wire.exchange(pack(("GET", self.names.authority)), 1, decode=False)[0]
        self.give(generation, wire)
        return Authority.parse(reply)

    def renew_record(self, authority: Authority) -> None:
        """Replace an older authority record of this store, if nobody else does at this moment. Raises NotSent or
        ReplyLost."""
        generation, wire = self.take_fenced(authority.epoch)
        if wire.authority is not None and wire.authority.epoch < authority.epoch:
            self.move(wire, authority)
        self.give_fenced(generation, wire)

    def load_effects(self, wire: Wire) -> None:
        """Make the effect scripts known to the server, once per wire (a restart breaks every wire)."""
        wire.exchange(LOAD_EFFECTS, 2)
        wire.effects_loaded = True

    def to_warm(self, count: int) -> list[Callable[[], None]]:
        """What is to be done, in any thread, for at least `count` idle wires of each kind: then a failover does not
        begin with connecting. Each step raises NotSent or ReplyLost."""
        fenced = [self._open_fenced] * (count - len(self._idle.fenced))
        return fenced + [self._open_plain] * (count - len(self._idle.plain))

    def _open_plain(self) -> None:
        generation, wire = self.generation, self._connect_plain()
        wire.is_spare = True
        self.give(generation, wire)

    def _open_fenced(self) -> None:
        generation, wire = self.generation, self.fence(self.connect())
        self.load_effects(wire)
        wire.is_spare = True
        self.give_fenced(generation, wire)

    @property
    def least_idle(self) -> int:
        """Idle wires of the kind of which there are fewer."""
        return min(len(self._idle.plain), len(self._idle.fenced))

    @property
    def idle(self) -> int:
        """Idle wires of the kind of which there are more."""
        return max(len(self._idle.plain), len(self._idle.fenced))

    @property
    def needed(self) -> int:
        """The same, without those that are spare."""
        kinds = tuple(self._idle.plain), tuple(self._idle.fenced)
        return max(sum(not wire.is_spare for _, wire in kind) for kind in kinds)

    def retire(self) -> None:
        """Close every idle wire, and have those in use closed when they come back."""
        self._idle.retire()
        self._capabilities = None
        self.refuses_dumps = False

    def close(self) -> None:
        """Close every idle wire, and any other as soon as it comes back."""
        self._idle.close()

    def forget_after_fork(self) -> None:
        """In a forked child: drop the parent's connections without touching their sockets' peers."""
        self.meter.forget_after_fork()
        self.lost = LostConnections()
        self._idle.forget_after_fork()


def _connection(
    url: str, timeout_s: float, connect_timeout_s: float, options: dict[str, Any]
) -> tuple[Callable[..., Wire], dict[str, Any]]:
    """The kind of wire that `url` needs, and its arguments. Raises ConfigurationError for a URL or option unknown."""
    pool = pool_of(url, **options)
    kwargs = {"driver_info": None, **pool.connection_kwargs}
    kwargs.update(socket_timeout=timeout_s, socket_connect_timeout=connect_timeout_s, retry=Retry(NoBackoff(), 0))
    wire: Callable[..., Wire] = SocketWire
    if issubclass(pool.connection_class, ClusterWire):
        wire = ClusterWire
    elif issubclass(pool.connection_class, SSLConnection):
        wire = TlsWire
    elif issubclass(pool.connection_class, UnixDomainSocketConnection):
        wire = UnixWire
    try:
        wire(**kwargs)
    except (ValueError, TypeError, RedisError) as error:
        raise ConfigurationError(f"{masked_url(url)}: {error}") from None
    return wire, kwargs
