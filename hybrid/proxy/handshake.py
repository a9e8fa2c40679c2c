"""What concerns a client's connection alone: who it is, which protocol it speaks, what it is called."""

from __future__ import annotations

import hmac
import time
from dataclasses import dataclass, field
from typing import Final

from hybrid.proxy.replies import OK, bulk

__all__ = ["Identity", "described", "hello_reply", "is_password"]

SERVER: Final = "redis"
COMPATIBLE: Final = "7.2.0"
"""What clients are told: the version of Redis whose commands they may expect."""


@dataclass(slots=True)
class Identity:
    """One connection, as CLIENT LIST shows it."""

    number: int
    address: str
    listening: str
    trusted: bool
    protocol: int = 2
    name: bytes = b""
    library: bytes = b""
    library_version: bytes = b""
    command: str = "NULL"
    subscribed: bool = False
    queued: int = -1
    since_s: float = field(default_factory=time.time)
    active_s: float = field(default_factory=time.time)

    def set_name(self, name: bytes) -> bytes:
        if not _is_printable(name):
            return b"-ERR Client names cannot contain spaces, newlines or special characters.\r\n"
        self.name = name
        return OK

    def set_info(self, what: bytes, value: bytes) -> bytes:
        attribute = {b"LIB-NAME": "library", b"LIB-VER": "library_version"}.get(what.upper())
        if attribute is None:
            return b"-ERR Unrecognized option '%b'\r\n" % what
        if not _is_printable(value):
            return b"-ERR %b cannot contain spaces, newlines or special characters.\r\n" % what.lower()
        setattr(self, attribute, value)
        return OK


def _is_printable(text: bytes) -> bool:
    return all(33 <= byte <= 126 for byte in text)


def is_password(given: bytes, password: str | None) -> bool:
    return password is not None and hmac.compare_digest(given, password.encode())


def described(identity: Identity) -> bytes:
    """One line of CLIENT LIST."""
    now_s = time.time()
    flags = "P" if identity.subscribed else "x" if identity.queued >= 0 else "N"
    words = (
        f"id={identity.number} addr={identity.address} laddr={identity.listening} fd=-1",
        f"name={identity.name.decode()} age={int(now_s - identity.since_s)} idle={int(now_s - identity.active_s)}",
        f"flags={flags} db=0 multi={identity.queued} cmd={identity.command.lower().replace(' ', '|')} user=default",
        f"lib-name={identity.library.decode()} lib-ver={identity.library_version.decode()} resp={identity.protocol}",
    )
    return " ".join(words).encode()


def hello_reply(identity: Identity) -> bytes:
    """What HELLO answers."""
    pairs = (
        ("server", bulk(SERVER.encode())),
        ("version", bulk(COMPATIBLE.encode())),
        ("proto", b":%d\r\n" % identity.protocol),
        ("id", b":%d\r\n" % identity.number),
        ("mode", bulk(b"standalone")),
        ("role", bulk(b"master")),
        ("modules", b"*0\r\n"),
    )
    head = b"%%%d\r\n" % len(pairs) if identity.protocol == 3 else b"*%d\r\n" % (2 * len(pairs))
    return head + b"".join(bulk(name.encode()) + value for name, value in pairs)
