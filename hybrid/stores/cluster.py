"""A wire to a whole cluster: one connection to each master, requests spread over them, replies in their order.

Whoever uses it sees one server; where that cannot be kept up is said in `hybrid.core.spread`. The store is there when
all its masters are. Per key, order is kept: a slot's requests go over one connection, and when a slot has moved
(MOVED, ASK), everything on its way is answered before what went to the wrong node goes to the right one, in order.
"""

from __future__ import annotations

import selectors
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NoReturn

from redis import ResponseError
from redis.connection import AbstractConnection
from redis.exceptions import AskError, ClusterDownError, MovedError

from hybrid.core.outcomes import NotSent, ReplyLost
from hybrid.core.resp import pack
from hybrid.core.slots import HOME
from hybrid.core.spread import Part, Request, requests
from hybrid.stores.master import Tcp
from hybrid.stores.meter import Meter
from hybrid.stores.topology import Node, SlotMap, Topology
from hybrid.stores.wire import SILENT, SocketWire, TlsWire, Wire
from hybrid.types import Purpose

__all__ = ["ClusterWire"]

REDIRECTIONS: Final = 20
PAUSE_S: Final = 0.01
"""A slot that is about to move may be sent to and fro for a moment."""

NOT_WHOLE: Final = "it does not serve all its slots"
_ASKING: Final = pack((b"ASKING",))
_CLUSTER_INFO: Final = pack((b"CLUSTER", b"INFO"))


class _Pending:
    """A request on its way, and what has come back of it."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.replies: list[list[Any]] = [[] for _ in request.parts]
        self.missing = len(request.parts)


class _Due:
    """A part of a request, the `number`th of all, to which replies are due. `redirection` says where it is to go
    instead; on a node where its slot is only arriving, ASKING precedes it. `guarded`: a transaction that keys which are
    watched on this very node may stop."""

    def __init__(self, number: int, pending: _Pending, at: int, *, guarded: bool) -> None:
        self.number = number
        self.guarded = guarded
        self.part: Part = pending.request.parts[at]
        self.redirection: AskError | None = None
        self._pending = pending
        self._at = at

    @property
    def asking(self) -> bool:
        return self.redirection is not None and not isinstance(self.redirection, MovedError)

    def fill(self, replies: list[Any]) -> None:
        self._pending.replies[self._at] = replies
        self._pending.missing -= 1


class _Lane:
    """The connection to one node, and what is due over it."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.due: deque[_Due] = deque()
        self._outgoing: list[bytes] = []
        self._commands = 0
        self._replies: list[Any] = []

    def add(self, due: _Due) -> None:
        self.due.append(due)
        self._outgoing += (_ASKING, due.part.packed) if due.asking else (due.part.packed,)
        self._commands += due.part.replies + due.asking

    def flush(self) -> None:
        if self._outgoing:
            payload, commands = b"".join(self._outgoing), self._commands
            self._outgoing, self._commands = [], 0
            self.wire.send(payload, commands)

    def read(self, *, decode: bool) -> Iterator[tuple[_Due | None, list[Any]]]:
        """What has arrived: due parts with their replies, and messages that nobody asked for."""
        self._replies += self.wire.arrived(readable=True, decode=decode)
        while self._replies:
            first = self.due[0] if self.due else None
            count = first.part.replies + first.asking if first else 1
            if len(self._replies) < count:
                return
            replies, self._replies = self._replies[:count], self._replies[count:]
            if first:
                self.due.popleft()
            yield first, replies[1:] if first and first.asking else replies

    @property
    def holds_more(self) -> bool:
        """Whether TLS has read more from the socket than it gave out, which no poll tells."""
        return isinstance(self.wire, TlsWire) and self.wire.has_replies()


class ClusterWire(Wire, Tcp):
    """Connections to all masters that `topology` knows; `options` are redis-py's for each of them."""

    def __init__(
        self,
        *,
        topology: Topology,
        lane_class: type[SocketWire] | type[TlsWire],
        meter: Meter | None = None,
        purpose: Purpose = Purpose.APPLICATION,
        **options: Any,
    ) -> None:
        plain = {name: value for name, value in options.items() if not name.startswith("ssl_")}
        super().__init__(meter=meter, purpose=purpose, **plain)
        self._topology = topology
        self._lane_class = lane_class
        self._options = options
        self._map: SlotMap
        self._lanes: dict[Node, _Lane] = {}
        self._selector: selectors.BaseSelector | None = None
        self._order: deque[_Pending] = deque()
        self._ready: list[Any] = []
        self._redirected: list[_Due] = []
        self._asked = 0
        self._listens = False
        self._watches = False

    # -- opening and closing

    def open(self) -> None:
        """Connect to every master. Raises NotSent when one of them cannot be reached, or a slot has none."""
        try:
            self._open_lanes(self._topology.known())
        except NotSent:
            # A node may have left since, or another one taken its place.
            self._open_lanes(self._topology.learned())

    def connect(self) -> None:
        """As redis-py calls it."""
        if not self.is_connected:
            self.open()

    def _open_lanes(self, slots: SlotMap) -> None:
        self._map, self._selector = slots, selectors.DefaultSelector()
        try:
            for node in slots.nodes:
                self._require_whole(self._lane(node).wire)
        except NotSent:
            self.disconnect()
            raise
        except ReplyLost as error:
            self.disconnect()
            raise NotSent(str(error), silent=error.silent) from None

    def _require_whole(self, wire: Wire) -> None:
        """A node that has just started, or has lost sight of the others, refuses requests for a while."""
        info = wire.exchange(_CLUSTER_INFO, 1, decode=False)[0]
        if isinstance(info, Exception) or b"cluster_state:ok" not in info:
            raise NotSent(NOT_WHOLE)

    def _lane(self, node: Node) -> _Lane:
        lane = self._lanes.get(node)
        if lane is None:
            assert self._selector is not None
            wire = self._lane_class(**{**self._options, "host": node[0], "port": node[1]})
            wire.tally = self.tally
            wire.open()
            lane = self._lanes[node] = _Lane(wire)
            self._selector.register(wire.fileno(), selectors.EVENT_READ, lane)
        return lane

    def abort(self) -> None:
        for lane in self._lanes.values():
            lane.wire.abort()
        self.disconnect()

    def disconnect(self, *_: Any, **__: Any) -> None:
        lanes, self._lanes = self._lanes, {}
        for lane in lanes.values():
            lane.wire.disconnect()
        if self._selector is not None:
            self._selector.close()
            self._selector = None
        self._order.clear()
        self._ready, self._redirected = [], []
        self._listens = self._watches = False

    @property
    def is_connected(self) -> bool:
        return bool(self._lanes)

    def is_quiet(self) -> bool:
        return self._selector is not None and not self._selector.select(0)

    def has_replies(self) -> bool:
        return bool(self._ready)

    def fileno(self) -> int:
        """Readable when one of the connections is."""
        if self._selector is None:
            raise ReplyLost("connection closed", silent=False)
        return int(self._selector.fileno())  # type: ignore[attr-defined]

    # -- sending

    def send(self, payload: bytes, commands: int = 1) -> None:
        if self._selector is None:
            raise NotSent("connection closed")
        if self._listens:
            self._check_all(payload)
        else:
            self._ask_all(payload)
        self._flush()
        self._settle()

    def _ask_all(self, payload: bytes) -> None:
        try:
            for request in requests(payload, len(self._map.nodes)):
                self._ask(request)
        except NotSent:
            self.disconnect()  # parts of it must not go out later
            raise

    def _ask(self, request: Request) -> None:
        pending = _Pending(request)
        self._order.append(pending)
        self._listens = request.listens
        for at, part in enumerate(request.parts):
            self._asked += 1
            node = self._map.owners[part.slot] if part.node is None else self._map.nodes[part.node]
            self._lane(node).add(_Due(self._asked, pending, at, guarded=self._watches and request.watches is False))
        if request.watches is not None:
            self._watches = request.watches

    def _check_all(self, ping: bytes) -> None:
        """While messages are awaited, only the node that they come from is heard; the others are to answer as well."""
        home = self._lane(self._map.owners[HOME])
        home.wire.send(ping)
        for lane in self._lanes.values():
            if lane is not home:
                lane.add(_Due(0, _Pending(Request((Part(ping),), lambda replies: replies[0])), 0, guarded=False))

    def _flush(self) -> None:
        try:
            for lane in self._lanes.values():
                lane.flush()
        except (NotSent, ReplyLost) as error:
            self._lose(str(error), silent=error.silent)  # another node may have got its part

    # -- receiving

    def receive(self, count: int, *, decode: bool = True, timeout_s: float | None = None) -> list[Any]:
        patience_s = self.socket_timeout if timeout_s is None else timeout_s
        while len(self._ready) < count:
            self._take(self._readable(patience_s) or self._lose(SILENT, silent=True), decode=decode)
            self._follow_redirections(decode=decode)
            self._settle()
        replies, self._ready = self._ready[:count], self._ready[count:]
        return replies

    def arrived(self, *, readable: bool, decode: bool = True) -> list[Any]:
        if readable:
            self._take(self._readable(0), decode=decode)
            self._follow_redirections(decode=decode)
            self._settle()
        replies, self._ready = self._ready, []
        return replies

    def _readable(self, timeout_s: float | None) -> Sequence[_Lane]:
        if self._selector is None:
            raise ReplyLost("connection closed", silent=False)
        if waiting := [lane for lane in self._lanes.values() if lane.holds_more]:
            return waiting
        return [key.data for key, _ in self._selector.select(timeout_s)]

    def _take(self, lanes: Sequence[_Lane], *, decode: bool) -> None:
        try:
            for lane in lanes:
                for due, replies in lane.read(decode=decode):
                    self._answer(due, replies)
        except (NotSent, ReplyLost) as error:
            self._lose(str(error), silent=error.silent)
        except UnicodeDecodeError:
            self.disconnect()  # the rest of the replies would be taken for those to other requests
            raise

    def _answer(self, due: _Due | None, replies: list[Any]) -> None:
        if due is None:
            self._ready += replies
            return
        for reply in replies:
            if isinstance(reply, ClusterDownError):
                self._lose(NOT_WHOLE, silent=False)
            if isinstance(reply, AskError) and due.guarded and len(replies) > 1:
                # Elsewhere nothing would stop it: it did nothing, as if a watched key had moved.
                due.fill([*replies[:-1], None])
                return
            if isinstance(reply, AskError):  # MovedError too
                due.redirection = reply
                self._redirected.append(due)
                return
        due.fill(replies)

    def _follow_redirections(self, *, decode: bool) -> None:
        """Send what went to the wrong node to the right one, once nothing else is on its way."""
        for attempt in range(REDIRECTIONS):
            if not self._redirected:
                return
            if attempt:
                time.sleep(PAUSE_S)
            self._drain(decode=decode)
            self._redirect()
            self._flush()
            self._drain(decode=decode)
        if self._redirected:
            self._lose("its slots keep moving", silent=False)

    def _drain(self, *, decode: bool) -> None:
        while any(lane.due for lane in self._lanes.values()):
            lanes = self._readable(self.socket_timeout) or self._lose(SILENT, silent=True)
            self._take(lanes, decode=decode)

    def _redirect(self) -> None:
        redirected, self._redirected = sorted(self._redirected, key=lambda due: due.number), []
        try:
            if any(isinstance(due.redirection, MovedError) for due in redirected):
                self._map = self._topology.learned()
            for due in redirected:
                assert due.redirection is not None
                self._lane((due.redirection.host, due.redirection.port)).add(due)
        except NotSent as error:
            self._lose(str(error), silent=error.silent)

    def _settle(self) -> None:
        """What is complete becomes replies, in the order of the requests."""
        while self._order and not self._order[0].missing:
            pending = self._order.popleft()
            self._ready += pending.request.join(pending.replies)

    def _lose(self, reason: str, *, silent: bool) -> NoReturn:
        self.disconnect()
        raise ReplyLost(reason, silent=silent)

    # -- as redis-py's clients use a connection

    def pack_commands(self, commands: Iterable[Any]) -> Any:
        return AbstractConnection.pack_commands(self, commands)

    def send_command(self, *args: Any, **options: Any) -> Any:
        return AbstractConnection.send_command(self, *args, **options)

    def send_packed_command(self, command: Any, check_health: bool = True) -> Any:
        self.connect()
        self.send(command if isinstance(command, bytes) else b"".join(command))

    def read_response(self, disable_decoding: bool = False, **_: Any) -> Any:
        reply = self.receive(1, decode=not disable_decoding)[0]
        if isinstance(reply, ResponseError):
            raise reply
        return reply

    def can_read(self, timeout: float = 0) -> bool:
        return self.has_replies() or (self._selector is not None and bool(self._selector.select(timeout)))
