"""One client of the proxy: its requests are run in order, and answered in order."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, Protocol

from hybrid.core.commands import COMMANDS
from hybrid.proxy.batches import Batch
from hybrid.proxy.execution import Execution
from hybrid.proxy.handshake import Identity, described, hello_reply, is_password
from hybrid.proxy.lanes import Lane
from hybrid.proxy.replies import NULL, OK, bulk, status_line
from hybrid.proxy.requests import Request, RequestParser
from hybrid.proxy.subscriptions import SUBSCRIBING, Subscriptions
from hybrid.proxy.transactions import Queue
from hybrid.proxy.wires import ClientGone

__all__ = ["House", "Session"]

logger = logging.getLogger("hybrid")

READ_BYTES: Final = 64 * 1024
LARGE_BYTES: Final = 1024 * 1024
ANSWER_BYTES: Final = 256 * 1024
"""Replies are collected up to this size before they are sent."""

NOAUTH: Final = b"-NOAUTH Authentication required.\r\n"
WRONGPASS: Final = b"-WRONGPASS invalid username-password pair or user is disabled.\r\n"
NO_PASSWORD: Final = (
    b"-ERR AUTH <password> called without any password configured for the default user. "
    b"Are you sure your configuration is correct?\r\n"
)
NO_DATABASE: Final = b"-ERR DB index is out of range: hybrid keeps one database equal on both stores, number 0 here\r\n"
_OPEN: Final = frozenset((b"AUTH", b"HELLO", b"QUIT", b"RESET", b"POST", b"HOST:"))
_HTTP: Final = (b"POST", b"HOST:")
"""What a browser sends, made to by a hostile page: nothing of it shall be run, whether a password was given or not."""

_QUEUE_WORDS: Final = frozenset((b"EXEC", b"DISCARD", b"MULTI", b"WATCH", b"QUIT", b"RESET", b"POST", b"HOST:"))
_IN_RESP2_SUBSCRIPTION: Final = frozenset((*SUBSCRIBING, b"PING", b"QUIT", b"RESET"))


class House(Protocol):
    """What a session knows of the server."""

    password: str | None

    def lane(self, protocol: int) -> Lane: ...
    def identities(self) -> list[Identity]: ...
    def end(self, chosen: Callable[[Identity], bool]) -> int: ...


class _Leave(Exception):
    """The client said goodbye."""


class Session:
    """`run` serves one client until it leaves; `finish` has it end after what it is doing now."""

    def __init__(self, client: socket.socket, house: House, identity: Identity) -> None:
        self.identity = identity
        self._socket = client
        self._house = house
        self._sending = threading.Lock()
        self._out: list[bytes] = []
        self._out_size = 0
        self._parser = RequestParser(stranger=not identity.trusted)
        self._speak(2)

    def _speak(self, protocol: int) -> None:
        """Go on in this version of the protocol."""
        self.identity.protocol = protocol
        lane = self._house.lane(protocol)
        self._batch = Batch(Execution(lane, self._socket), self._answer, self._deliver_all)
        self._queue = Queue(lane)
        self._channels = Subscriptions(lane, self._deliver, self.end)

    # -- life

    def run(self) -> None:
        try:
            while data := self._socket.recv(min(max(self._parser.missing, READ_BYTES), LARGE_BYTES)):
                self._serve(self._parser.feed(data))
                if self._parser.error is not None:
                    self._deliver(b"-ERR Protocol error: %b\r\n" % str(self._parser.error).encode())
                    break
        except (_Leave, ClientGone, OSError):
            pass  # the client has gone
        finally:
            self._close()

    def finish(self) -> None:
        """Read no more requests; what waits for a store gives up."""
        self._shut(socket.SHUT_RD)

    def end(self) -> None:
        """Cut the connection."""
        self._shut(socket.SHUT_RDWR)

    def _shut(self, how: int) -> None:
        try:
            self._socket.shutdown(how)
        except OSError:
            return  # it is closed already

    def _close(self) -> None:
        self._channels.close()
        try:
            self._queue.reset()
        finally:
            self._shut(socket.SHUT_RDWR)
            self._socket.close()

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
        with self._sending:
            self._socket.sendall(data)

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

    # -- the connection

    def _attack(self, args: tuple[bytes, ...]) -> bytes | None:
        logger.warning("a client sent HTTP to the proxy and was cut off")
        raise _Leave

    def _ping(self, args: tuple[bytes, ...]) -> bytes:
        if len(args) > 2:
            return _wrong_number(args)
        if self.identity.subscribed and self.identity.protocol == 2:
            return b"*2\r\n$4\r\npong\r\n" + bulk(args[1] if len(args) > 1 else b"")
        return bulk(args[1]) if len(args) > 1 else b"+PONG\r\n"

    def _echo(self, args: tuple[bytes, ...]) -> bytes:
        return bulk(args[1]) if len(args) == 2 else _wrong_number(args)

    def _quit(self, args: tuple[bytes, ...]) -> bytes | None:
        self._answer(OK)
        self._deliver_all()
        raise _Leave

    def _select(self, args: tuple[bytes, ...]) -> bytes:
        if len(args) != 2:
            return _wrong_number(args)
        return OK if args[1] == b"0" else NO_DATABASE

    def _auth(self, args: tuple[bytes, ...]) -> bytes:
        if len(args) not in (2, 3):
            return _wrong_number(args)
        if self._house.password is None:
            return NO_PASSWORD if len(args) == 2 else OK if args[1] == b"default" else WRONGPASS
        user = args[1] if len(args) == 3 else b"default"
        if user != b"default" or not is_password(args[-1], self._house.password):
            return WRONGPASS
        self.identity.trusted = True
        self._parser.stranger = False
        return OK

    def _hello(self, args: tuple[bytes, ...]) -> bytes:
        protocol = self.identity.protocol
        if len(args) > 1:
            if args[1] not in (b"2", b"3"):
                number = args[1].removeprefix(b"-").isdigit()
                return (
                    b"-NOPROTO unsupported protocol version\r\n"
                    if number
                    else b"-ERR Protocol version is not an integer or out of range\r\n"
                )
            protocol = int(args[1])
        at, name = 2, None
        while at < len(args):
            word, left = args[at].upper(), len(args) - at - 1
            if word == b"AUTH" and left >= 2:
                reply = self._auth((b"AUTH", *args[at + 1 : at + 3]))
                if reply != OK:
                    return reply
                at += 3
            elif word == b"SETNAME" and left >= 1:
                name = args[at + 1]
                at += 2
            else:
                return b"-ERR Syntax error in HELLO option '%b'\r\n" % _shown(args[at])
        if not self.identity.trusted:
            return (
                b"-NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH "
                b"<user> <pass> option can be used to authenticate the client and select the RESP protocol version at "
                b"the same time\r\n"
            )
        if name is not None and (reply := self.identity.set_name(name)) != OK:
            return reply
        if protocol != self.identity.protocol:
            if self.identity.subscribed:
                return b"-ERR the protocol cannot change while channels are subscribed\r\n"
            self._deliver_all()
            self._queue.reset()
            self._channels.close()
            self._speak(protocol)
        return hello_reply(self.identity)

    def _reset(self, args: tuple[bytes, ...]) -> bytes:
        self._deliver_all()
        self._queue.reset()
        self._channels.close()
        self.identity.queued, self.identity.subscribed, self.identity.name = -1, False, b""
        self.identity.trusted = self._house.password is None
        self._parser.stranger = not self.identity.trusted
        self._speak(2)
        return status_line(b"RESET")

    def _client(self, args: tuple[bytes, ...]) -> bytes | None:
        """CLIENT and its subcommands are about connections, and the client's is to the proxy."""
        word, operands = args[1].upper() if len(args) > 1 else b"", args[2:]
        identity, protocol = self.identity, self.identity.protocol
        match word, len(operands):
            case b"ID", 0:
                return b":%d\r\n" % identity.number
            case b"GETNAME", 0:
                return bulk(identity.name) if identity.name else NULL[protocol]
            case b"SETNAME", 1:
                return identity.set_name(operands[0])
            case b"SETINFO", 2:
                return identity.set_info(*operands)
            case b"INFO", 0:
                return _text(described(identity) + b"\n", protocol)
            case b"LIST", _:
                return self._listed(operands)
            case b"KILL", _:
                return self._kill(operands)
            case ((b"NO-EVICT" | b"NO-TOUCH"), 1):
                return OK
            case b"GETREDIR", 0:
                return b":-1\r\n"
        if f"CLIENT {word.decode(errors='replace')}" in COMMANDS or not word:
            self._batch.add((args, b""))  # the table says why it is refused
            return None
        return b"-ERR unknown subcommand or wrong number of arguments for '%b'. Try CLIENT HELP.\r\n" % _shown(word)

    def _listed(self, operands: tuple[bytes, ...]) -> bytes:
        wanted = {int(number) for number in operands[1:] if number.isdigit()}
        everyone = [each for each in self._house.identities() if not wanted or each.number in wanted]
        return _text(b"".join(described(each) + b"\n" for each in everyone), self.identity.protocol)

    def _kill(self, operands: tuple[bytes, ...]) -> bytes:
        if len(operands) == 1:
            address = operands[0].decode(errors="replace")
            ended = self._house.end(lambda each: each.address == address)
            return OK if ended else b"-ERR No such client\r\n"
        if len(operands) == 2 and operands[0].upper() == b"ID" and operands[1].isdigit():
            number = int(operands[1])
            return b":%d\r\n" % self._house.end(lambda each: each.number == number)
        return b"-ERR syntax error\r\n"


def _wrong_number(args: tuple[bytes, ...]) -> bytes:
    return b"-ERR wrong number of arguments for '%b' command\r\n" % args[0].lower()


def _shown(word: bytes) -> bytes:
    return b" ".join(word[:128].split())


def _text(text: bytes, protocol: int) -> bytes:
    return bulk(text) if protocol == 2 else b"=%d\r\ntxt:%b\r\n" % (len(text) + 4, text)


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
