"""Keys of every type, and how a test of the copy reaches a store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from redis.connection import Connection
from servers import client

from hybrid.core.state import KeyState
from hybrid.stores.processes import ServerProcess

__all__ = ["DELIVERED", "ENTRIES", "SAMPLES", "Watched", "connected", "known", "run"]


class Watched(Connection):
    """A connection that shows every command it is about to send to `on_send`."""

    on_send: Callable[[bytes], object] = staticmethod(lambda packed: None)

    def send_packed_command(self, command: list[bytes], check_health: bool = True) -> None:
        self.on_send(b"".join(command))
        super().send_packed_command(command, check_health)  # type: ignore[no-untyped-call]


@contextmanager
def connected(server: ServerProcess, protocol: int = 3) -> Iterator[Watched]:
    connection = Watched(host="127.0.0.1", port=server.port, protocol=protocol, socket_timeout=20)  # type: ignore[no-untyped-call]
    try:
        yield connection
    finally:
        connection.disconnect()  # type: ignore[no-untyped-call]


def known(state: object) -> KeyState:
    assert isinstance(state, KeyState)
    return state


def run(server: ServerProcess, *lines: str) -> None:
    with client(server.url) as commands:
        commands.response_callbacks.clear()  # redis-py cannot read XCLAIM JUSTID
        for line in lines:
            arguments = [part.encode().decode("unicode_escape").encode("latin-1") for part in line.split()]
            commands.execute_command(*arguments)


DELIVERED: Final = (
    "XGROUP CREATE k g 0",
    "XREADGROUP GROUP g ann COUNT 3 STREAMS k >",
    "XGROUP CREATECONSUMER k g idle",
)
ENTRIES: Final = tuple(f"XADD k {i}-{i} f v{i} f again" for i in range(1, 6))
SAMPLES: Final[dict[str, tuple[str, ...]]] = {
    "string": ("SET k v",),
    "string with expiry": ("SET k v PXAT 4102444800123",),
    "binary": (r"SET k \x00\xff\r\n",),
    "bitmap": ("SETBIT k 1000 1",),
    "hyperloglog": ("PFADD k a b c",),
    "hash": (r"HSET k a 1 \x00 \xff",),
    "list": ("RPUSH k a b a c",),
    "set": ("SADD k a b 7",),
    "integer set": ("SADD k 1 2 3",),
    "scores": ("ZADD k inf a -inf b 0.1 c 1e300 d 9007199254740993 e -0.0 f 3 g 5e-324 h",),
    "geo": ("GEOADD k 13.361389 38.115556 Palermo",),
    "collection with expiry": ("RPUSH k a", "PEXPIREAT k 4102444800123"),
    "stream": ENTRIES,
    "stream with a hole": (*ENTRIES, "XDEL k 3-3 5-5"),
    "trimmed stream": (*ENTRIES, "XTRIM k MAXLEN 2"),
    "stream with deliveries": (*ENTRIES, *DELIVERED),
    "deliveries of deleted entries": (*ENTRIES, *DELIVERED, "XDEL k 1-1 2-2"),
    "deliveries of entries deleted inside": (*ENTRIES, *DELIVERED, "XDEL k 2-2 3-3"),
    "counters set back behind a deletion": (
        *ENTRIES,
        *DELIVERED,
        "XDEL k 2-2 3-3",
        "XSETID k 9-9 ENTRIESADDED 7 MAXDELETEDID 1-1",
    ),
    "counters of a snapshot of Redis 6.2": (
        *ENTRIES,
        *DELIVERED,
        "XDEL k 1-1 3-3",
        "XSETID k 5-5 ENTRIESADDED 3 MAXDELETEDID 0-0",
    ),
    "counters of such a snapshot, and a deletion since": (
        *ENTRIES,
        *DELIVERED,
        "XDEL k 1-1 3-3",
        "XSETID k 5-5 ENTRIESADDED 3 MAXDELETEDID 3-3",
    ),
    "deliveries of trimmed entries": (*ENTRIES, *DELIVERED, "XTRIM k MAXLEN 3"),
    "emptied stream with deliveries": (*ENTRIES, *DELIVERED, "XTRIM k MAXLEN 0"),
    "group set back behind its deliveries": (*ENTRIES, *DELIVERED, "XGROUP SETID k g 1-1"),
    "delivery counts": (
        *ENTRIES,
        *DELIVERED,
        "XCLAIM k g bob 0 2-2 RETRYCOUNT 7 FORCE JUSTID",
        "XCLAIM k g bob 0 1-1 TIME 1700000000000 RETRYCOUNT 0 FORCE JUSTID",
        "XACK k g 3-3",
        "XGROUP CREATE k other $",
    ),
    "stream that never had an entry": ("XGROUP CREATE k g 5-1 MKSTREAM",),
    "emptied stream": (*ENTRIES, "XTRIM k MAXLEN 0", "XSETID k 9-9"),
    "stream without entries and groups": ("XGROUP CREATE k g 0 MKSTREAM", "XGROUP DESTROY k g"),
    "stream with expiry": (*ENTRIES, "PEXPIREAT k 4102444800123"),
}
"""Each makes the key `k`."""
