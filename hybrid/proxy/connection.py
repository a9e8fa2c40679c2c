"""Commands that are about the connection itself: they are answered here, and no store hears of them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final, Protocol

from hybrid.core.commands import COMMANDS
from hybrid.core.resp import pack
from hybrid.proxy.batches import Batch
from hybrid.proxy.handshake import Identity, described, hello_reply, is_password
from hybrid.proxy.lanes import Lane
from hybrid.proxy.replies import NULL, OK, bulk, status_line
from hybrid.proxy.requests import RequestParser
from hybrid.proxy.subscriptions import Subscriptions
from hybrid.proxy.transactions import Queue

__all__ = ["ConnectionCommands", "House", "Leave"]

logger = logging.getLogger("hybrid")

WRONGPASS: Final = b"-WRONGPASS invalid username-password pair or user is disabled.\r\n"
NO_PASSWORD: Final = (
    b"-ERR AUTH <password> called without any password configured for the default user. "
    b"Are you sure your configuration is correct?\r\n"
)
NO_DATABASE: Final = b"-ERR DB index is out of range: hybrid keeps one database equal on both stores, number 0 here\r\n"


class House(Protocol):
    """What a session knows of the server."""

    password: str | None

    def lane(self, protocol: int) -> Lane: ...
    def identities(self) -> list[Identity]: ...
    def end(self, chosen: Callable[[Identity], bool]) -> int: ...


class Leave(Exception):
    """The client said goodbye."""


class ConnectionCommands:
    """Mixed into `Session`, whose state it changes. Each method returns its command's reply."""

    identity: Identity
    _house: House
    _parser: RequestParser
    _batch: Batch
    _queue: Queue
    _channels: Subscriptions
    _answer: Callable[[bytes], None]
    _deliver_all: Callable[[], None]
    _speak: Callable[[int], None]

    def _attack(self, args: tuple[bytes, ...]) -> bytes | None:
        logger.warning("a client sent HTTP to the proxy and was cut off")
        raise Leave

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
        raise Leave

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
            case b"UNBLOCK", _:
                return b"-ERR CLIENT UNBLOCK is refused: who waits behind the proxy does not wait inside one store\r\n"
        if f"CLIENT {word.decode(errors='replace')}" in COMMANDS or not word:
            self._batch.add((args, pack(args)))  # the table or the store says what is wrong with it
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
