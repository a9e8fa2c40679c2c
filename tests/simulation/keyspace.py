"""The data of a simulated server, and the commands that the library and the workload use on it.

Replies are Python values: int, bytes, None, list, `Status`, and `Error` for what a server would refuse.
`test_keyspace.py` compares them with a real server's.
"""

from __future__ import annotations

import copy
import pickle
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from math import inf
from typing import Any, Final

__all__ = ["COMMANDS", "Error", "Keyspace", "Status", "Stream", "Value", "name_of"]

Id = tuple[int, int]


class Status(bytes):
    """A simple string."""


class Error(Exception):
    """An error reply."""


OK: Final = Status(b"OK")
WRONG: Final = "WRONGTYPE Operation against a key holding the wrong kind of value"
EMPTY: Final[dict[str, Callable[[], Any]]] = {
    "string": bytes, "list": list, "set": dict, "hash": dict, "zset": dict, "stream": lambda: Stream(),
}  # fmt: skip


@dataclass
class Stream:
    entries: list[tuple[Id, list[bytes]]] = field(default_factory=list)
    last: Id = (0, 0)
    added: int = 0
    deleted: Id = (0, 0)


@dataclass
class Value:
    """What a key holds: bytes, list, dict (of a set: with None) or Stream."""

    kind: str
    body: Any
    expires_at_ms: int | None = None


class Keyspace:
    """`clock_ms` is the server's clock; `touched` is called with each key that changes."""

    def __init__(
        self,
        clock_ms: Callable[[], int],
        touched: Callable[[bytes], None] = lambda _: None,
        values: dict[bytes, Value] | None = None,
    ) -> None:
        self.values = values if values is not None else {}
        self.now_ms = 0
        self._expires_ms: float = 0  # the soonest; a key may be gone since
        self._clock_ms = clock_ms
        self.touched = touched

    def run(self, args: list[bytes]) -> Any:
        """One data command. Raises Error."""
        self.look()
        name = name_of(args[0])
        command = COMMANDS.get(name)
        if command is None:
            raise Error(f"ERR unknown command '{name}'")
        try:
            return command(self, *args[1:])
        except TypeError as error:
            if "positional argument" not in str(error):
                raise
            raise Error(f"ERR wrong number of arguments for '{name.lower()}' command") from None

    def look(self) -> None:
        """Look at the clock; keys expire."""
        now_ms = self._clock_ms()
        if now_ms != self.now_ms:
            self.now_ms = now_ms
            self.expire()

    def expire(self) -> None:
        if self.now_ms < self._expires_ms:
            return
        self._expires_ms = inf
        for key, value in list(self.values.items()):
            if value.expires_at_ms is None:
                continue
            if value.expires_at_ms <= self.now_ms:
                self.delete(key)
            else:
                self.expires(value.expires_at_ms)

    def snapshot(self) -> dict[bytes, Value]:
        return copy.deepcopy(self.values)

    # -- helpers of the commands

    def expires(self, at_ms: int | None) -> None:
        """Some key does then."""
        if at_ms is not None and at_ms < self._expires_ms:
            self._expires_ms = at_ms

    def of(self, key: bytes, kind: str) -> Any:
        """The body, an empty one without the key. Raises Error for another type."""
        value = self.values.get(key)
        if value is None:
            return EMPTY[kind]()
        if value.kind != kind:
            raise Error(WRONG)
        return value.body

    def keep(self, key: bytes, kind: str, body: Any) -> None:
        """Store a changed body, keeping the expiry; an empty collection is no key."""
        if not body and kind not in ("string", "stream"):
            self.values.pop(key, None)
        elif key in self.values:
            self.values[key].body = body
        else:
            self.values[key] = Value(kind, body)
        self.touched(key)

    def delete(self, key: bytes) -> bool:
        if self.values.pop(key, None) is None:
            return False
        self.touched(key)
        return True


COMMANDS: dict[str, Callable[..., Any]] = {}


@cache
def name_of(word: bytes) -> str:
    return word.upper().decode(errors="replace")


def command(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def add(function: Callable[..., Any]) -> Callable[..., Any]:
        for name in names:
            COMMANDS[name] = function
        return function

    return add


def integer(value: bytes) -> int:
    if not re.fullmatch(rb"0|-?[1-9]\d{0,18}", value):
        raise Error("ERR value is not an integer or out of range")
    return int(value)


def number_text(value: float) -> bytes:
    return b"%d" % value if value == int(value) else b"%.17g" % value


# -- keys


@command("TYPE")
def type_(db: Keyspace, key: bytes) -> Any:
    value = db.values.get(key)
    return Status(value.kind.encode() if value else b"none")


@command("EXISTS")
def exists(db: Keyspace, *keys: bytes) -> Any:
    return sum(key in db.values for key in keys)


@command("DEL", "UNLINK")
def del_(db: Keyspace, *keys: bytes) -> Any:
    return sum(db.delete(key) for key in keys)


@command("DBSIZE")
def dbsize(db: Keyspace) -> Any:
    return len(db.values)


@command("RENAME")
def rename(db: Keyspace, key: bytes, other: bytes) -> Any:
    if key not in db.values:
        raise Error("ERR no such key")
    db.values[other] = db.values.pop(key)
    db.touched(key)
    db.touched(other)
    return OK


@command("COPY")
def copy_(db: Keyspace, key: bytes, other: bytes, *options: bytes) -> Any:
    replaces = b"REPLACE" in (option.upper() for option in options)
    if key == other:
        raise Error("ERR source and destination objects are the same")
    if key not in db.values or (other in db.values and not replaces):
        return 0
    db.values[other] = copy.deepcopy(db.values[key])
    db.touched(other)
    return 1


@command("DUMP")
def dump(db: Keyspace, key: bytes) -> Any:
    value = db.values.get(key)
    return None if value is None else pickle.dumps((value.kind, value.body))


@command("RESTORE")
def restore(db: Keyspace, key: bytes, moment: bytes, dumped: bytes, *options: bytes) -> Any:
    if key in db.values and b"REPLACE" not in options:
        raise Error("BUSYKEY Target key name already exists.")
    at_ms = integer(moment) + (0 if b"ABSTTL" in options else db.now_ms) if integer(moment) else None
    db.delete(key)
    if at_ms is None or at_ms > db.now_ms:
        db.values[key] = Value(*pickle.loads(dumped), at_ms)
        db.expires(at_ms)
        db.touched(key)
    return OK


@command("SCAN")
def scan(db: Keyspace, cursor: bytes, *options: bytes) -> Any:
    # In the order of a checksum, so that a cursor means the same however keys come and go.
    count = int(options[1]) if options else 10
    places = sorted((zlib.crc32(key), key) for key in db.values)
    page = [(place, key) for place, key in places if place >= int(cursor)]
    following = b"%d" % page[count][0] if len(page) > count else b"0"
    return [following, [key for _, key in page[:count]]]


@command("MEMORY")
def memory(db: Keyspace, _: bytes, key: bytes, *samples: bytes) -> Any:
    return 100 if key in db.values else None


@command("PEXPIRETIME")
def pexpiretime(db: Keyspace, key: bytes) -> Any:
    value = db.values.get(key)
    return -2 if value is None else -1 if value.expires_at_ms is None else value.expires_at_ms


@command("PTTL")
def pttl(db: Keyspace, key: bytes) -> Any:
    moment = pexpiretime(db, key)
    return moment if moment < 0 else moment - db.now_ms


def _expires(scale: int, relative: bool) -> Callable[..., Any]:
    def expires(db: Keyspace, key: bytes, moment: bytes) -> Any:
        if key not in db.values:
            return 0
        at_ms = integer(moment) * scale + (db.now_ms if relative else 0)
        if at_ms <= db.now_ms:
            return int(db.delete(key))
        db.values[key].expires_at_ms = at_ms
        db.expires(at_ms)
        db.touched(key)
        return 1

    return expires


COMMANDS |= {
    "EXPIRE": _expires(1000, True), "PEXPIRE": _expires(1, True),
    "EXPIREAT": _expires(1000, False), "PEXPIREAT": _expires(1, False),
}  # fmt: skip


@command("PERSIST")
def persist(db: Keyspace, key: bytes) -> Any:
    value = db.values.get(key)
    if value is None or value.expires_at_ms is None:
        return 0
    value.expires_at_ms = None
    db.touched(key)
    return 1


@command("FLUSHALL", "FLUSHDB")
def flushall(db: Keyspace, *_: bytes) -> Any:
    for key in list(db.values):
        db.delete(key)
    return OK
