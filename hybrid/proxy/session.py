"""One client of the proxy: its requests are run in order, and answered in order."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from hybrid.proxy.batches import Batch
from hybrid.proxy.connection import ConnectionCommands, House, Leave
from hybrid.proxy.execution import Execution
from hybrid.proxy.handshake import Identity
from hybrid.proxy.peer import Peer
from hybrid.proxy.requests import Request, RequestParser
from hybrid.proxy.subscriptions import SUBSCRIBING, Subscriptions
from hybrid.proxy.transactions import Queue
from hybrid.proxy.wires import ClientGone

__all__ = ["Session"]

READ_BYTES: Final = 64 * 1024
LARGE_BYTES: Final = 1024 * 1024
ANSWER_BYTES: Final = 256 * 1024
"""Replies are collected up to this size before they are sent."""

NOAUTH: Final = b"-NOAUTH Authentication required.\r\n"
_OPEN: Final = frozenset((b"AUTH", b"HELLO", b"QUIT", b"RESET", b"POST", b"HOST:"))
_HTTP: Final = (b"POST", b"HOST:")
"""What a browser sends, made to by a hostile page: nothing of it shall be run, whether a password was given or not."""

_QUEUE_WORDS: Final = frozenset((b"EXEC", b"DISCARD", b"MULTI", b"WATCH", b"QUIT", b"RESET", b"POST", b"HOST:"))
_IN_RESP2_SUBSCRIPTION: Final = frozenset((*SUBSCRIBING, b"PING", b"QUIT", b"RESET"))


class Session(ConnectionCommands):
    """`run` serves one client until it leaves; `finish` has it end after what it is doing now."""

    def __init__(self, client: socket.socket, house: House, identity: Identity) -> None:
        self.identity = identity
        self._peer = Peer(client)
        self._house = house
        self._out: list[bytes] = []
        self._out_size = 0
        self._parser = RequestParser(stranger=not identity.trusted)
        self._speak(2)

    def _speak(self, protocol: int) -> None:
        """Go on in this version of the protocol."""
        self.identity.protocol = protocol
        lane = self._house.lane(protocol)
        self._batch = Batch(Execution(lane, self._peer.socket), self._answer, self._deliver_all)
        self._queue = Queue(lane)
        self._channels = Subscriptions(lane, self._peer.push, self.end)

    # -- life

    def run(self) -> None:
        try:
            while data := self._peer.receive(min(max(self._parser.missing, READ_BYTES), LARGE_BYTES)):
                self._serve(self._parser.feed(data))
                if self._parser.error is not None:
                    self._deliver(b"-ERR Protocol error: %b\r\n" % str(self._parser.error).encode())
                    break
        except (Leave, ClientGone, OSError):
            pass  # the client has gone
        finally:
            self._close()

    def finish(self) -> None:
        """Read no more requests; what waits for a store gives up."""
        self._peer.shut(socket.SHUT_RD)

    def end(self) -> None:
        """Cut the connection."""
        self._peer.shut(socket.SHUT_RDWR)

    def _close(self) -> None:
        self._channels.close()
        try:
            self._queue.reset()
        finally:
            self._peer.close()

    # -- answering

    def _answer(self, reply: bytes) -> None:
        self._out.append(reply)
        self._out_size += len(reply)
        if self._out_size >= ANSWER_BYTES:
            self._deliver_all()

    def _deliver_all(self) -> None:
        if self._out:
            out, self._out, self._out_size = self._out, [], 0
            self._deliver(out[0] if len(out) == 1 else b"".join(out))

    def _deliver(self, data: bytes) -> None:
        self._peer.answer(data, listens=self.identity.trusted)  # a stranger shall not fill the memory

    # -- serving

    def _serve(self, requests: list[Request]) -> None:
        self.identity.active_s = time.time()
        batch, own = self._batch, _OWN.get
        try:
            for request in requests:
                name = request[0][0]
                handler = own(name) or (own(name.upper()) if len(name) < 16 else None)
                if handler is None and self._is_plain:
                    batch.add(request)
                else:
                    batch.flush()
                    self._one(request, handler)
                    batch = self._batch
            batch.flush()
        finally:
            self._deliver_all()
        if requests:
            self.identity.command = requests[-1][0][0][:40].decode(errors="replace")

    @property
    def _is_plain(self) -> bool:
        """Whether a usual command needs no second look."""
        identity = self.identity
        return identity.trusted and not (self._queue.open or self._queue.watching or identity.subscribed)

    def _one(self, request: Request, handler: Callable[[Session, tuple[bytes, ...]], bytes | None] | None) -> None:
        args = request[0]
        name = args[0].upper()
        if not self.identity.trusted and name not in _OPEN:
            self._answer(NOAUTH)
        elif self._queue.open and name not in _QUEUE_WORDS:
            self._answer(self._queue.add(request))
            self.identity.queued += 1
        elif self.identity.subscribed and self.identity.protocol == 2 and name not in _IN_RESP2_SUBSCRIPTION:
            self._answer(
                b"-ERR Can't execute '%b': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in "
                b"this context\r\n" % name.lower()
            )
        elif handler is not None:
            reply = handler(self, args)
            if reply is not None:
                self._answer(reply)
        else:
            reply = self._queue.read(request)
            if reply is None:
                self._batch.add(request)
                self._batch.flush()
            else:
                self._answer(reply)

    # -- transactions

    def _multi(self, args: tuple[bytes, ...]) -> bytes:
        self.identity.queued = 0
        return self._queue.multi()

    def _exec(self, args: tuple[bytes, ...]) -> bytes:
        self.identity.queued = -1
        return self._queue.exec()

    def _discard(self, args: tuple[bytes, ...]) -> bytes:
        self.identity.queued = -1
        return self._queue.discard()

    def _watch(self, args: tuple[bytes, ...]) -> bytes:
        return self._queue.watch(args)

    def _unwatch(self, args: tuple[bytes, ...]) -> bytes:
        return self._queue.unwatch()

    # -- publish and subscribe

    def _subscribe(self, args: tuple[bytes, ...]) -> bytes | None:
        self._deliver_all()
        error = self._channels.run(args[0].upper(), args[1:])
        self.identity.subscribed = self._channels.active
        return error


_OWN: Final[Mapping[bytes, Callable[[Session, tuple[bytes, ...]], bytes | None]]] = MappingProxyType(
    {
        b"PING": Session._ping,
        b"ECHO": Session._echo,
        b"QUIT": Session._quit,
        b"SELECT": Session._select,
        b"AUTH": Session._auth,
        b"HELLO": Session._hello,
        b"RESET": Session._reset,
        b"CLIENT": Session._client,
        b"MULTI": Session._multi,
        b"EXEC": Session._exec,
        b"DISCARD": Session._discard,
        b"WATCH": Session._watch,
        b"UNWATCH": Session._unwatch,
        **dict.fromkeys(SUBSCRIBING, Session._subscribe),
        **dict.fromkeys(_HTTP, Session._attack),
    }
)
