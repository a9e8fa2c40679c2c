"""One connection to one store that counts what goes over it: the actual cost, in the units of the estimate."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import redis
from redis.connection import Connection

from hybrid.stores.exchange import Command, exchange

__all__ = ["Account", "BudgetUsedUp", "Line", "open_line"]

LEAST_TIMEOUT_S = 10.0  # a batch takes longer than the single command for which the client's timeout was chosen


class BudgetUsedUp(Exception):
    """What was about to be sent would take more commands than are left; it was not sent."""


@dataclass(slots=True)
class Account:
    """What one store was asked: commands, those of transactions and the transaction's own words too, and bytes of both
    directions before TLS. With `most_commands` no more are sent."""

    most_commands: int | None = None
    commands: int = 0
    size_bytes: int = 0

    def charge(self, commands: int) -> None:
        """Raises BudgetUsedUp when there are not as many left."""
        if self.most_commands is not None and self.commands + commands > self.most_commands:
            raise BudgetUsedUp
        self.commands += commands


class Line:
    """Usable wherever a redis-py connection is (`hybrid.stores.exchange.RedisConnection`), by one thread at a time."""

    def __init__(self, connection: Connection, account: Account) -> None:
        self._connection = connection
        self.account = account

    def pack_commands(self, commands: Iterable[Command]) -> Any:
        waiting = list(commands)
        self.account.charge(len(waiting))
        return self._connection.pack_commands(waiting)

    def send_packed_command(self, command: Any) -> None:
        pieces = (command,) if isinstance(command, str | bytes) else command
        self.account.size_bytes += sum(map(len, pieces))
        self._connection.send_packed_command(command)

    def read_response(self) -> Any:
        reply = self._connection.read_response()
        self.account.size_bytes += wire_bytes(reply)
        return reply

    def send(self, commands: Sequence[Command]) -> None:
        """Send without waiting; read one response for each later, in order."""
        self.send_packed_command(self.pack_commands(commands))

    def ask(self, *commands: Command) -> list[Any]:
        """The replies to all of them. Raises the first `redis.ResponseError` among them."""
        replies = exchange(self, commands)
        for reply in replies:
            if isinstance(reply, redis.ResponseError):
                raise reply
        return replies


def wire_bytes(reply: Any) -> int:
    """About what a reply took on the wire."""
    if isinstance(reply, bytes):
        return len(reply) + 8
    if isinstance(reply, list):
        return 5 + sum(map(wire_bytes, reply))
    return 8


@contextmanager
def open_line(
    client: redis.Redis, account: Account | None = None, *, least_timeout_s: float = LEAST_TIMEOUT_S
) -> Iterator[Line]:
    """A connection of its own with the client's settings: RESP2, replies as bytes, time enough for a batch."""
    pool = client.connection_pool
    settings = pool.connection_kwargs
    timeout_s = max(settings.get("socket_timeout") or 0.0, least_timeout_s)
    own = {"decode_responses": False, "encoding": "utf-8", "protocol": 2, "socket_timeout": timeout_s}
    connection = pool.connection_class(**{**settings, **own})
    try:
        yield Line(connection, account or Account())
    finally:
        connection.disconnect()
