"""Several commands and all their replies over one connection, in one round trip."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import redis

__all__ = ["Command", "RedisConnection", "exchange", "transact", "transact_all"]

Command = Sequence[bytes]


class RedisConnection(Protocol):
    """What is used of `redis.connection.Connection`."""

    def pack_commands(self, commands: Iterable[Command], /) -> Any: ...
    def send_packed_command(self, command: Any, /) -> Any: ...
    def read_response(self) -> Any: ...


def exchange(connection: RedisConnection, commands: Sequence[Command]) -> list[Any]:
    """Send all, then read one reply for each. An error reply is returned in its place, as a `redis.ResponseError`.

    Raises `redis.ConnectionError` or `redis.TimeoutError` when the connection fails; it is then disconnected.
    """
    connection.send_packed_command(connection.pack_commands(commands))
    return [read_reply(connection) for _ in commands]


def transact(connection: RedisConnection, commands: Sequence[Command]) -> list[Any] | None:
    """Run the commands as one MULTI/EXEC and return their replies; None when a watched key had moved.

    Errors of single commands are returned in place. Raises the `redis.ResponseError` of a command that the server
    refused to queue: then nothing was run.
    """
    return transact_all(connection, [commands])[0]


def transact_all(connection: RedisConnection, groups: Sequence[Sequence[Command]]) -> list[list[Any] | None]:
    """As `transact`, a transaction for each group, in one round trip."""
    replies = iter(exchange(connection, [part for group in groups for part in ((b"MULTI",), *group, (b"EXEC",))]))
    return [results_of([next(replies) for _ in range(len(group) + 2)]) for group in groups]


def results_of(replies: Sequence[Any]) -> list[Any] | None:
    """What the commands of a transaction replied, out of all that came for it."""
    *queued, results = replies
    for reply in queued:
        if isinstance(reply, redis.ResponseError):
            raise reply
    if isinstance(results, redis.ResponseError):
        raise results
    return None if results is None else list(results)


def read_reply(connection: RedisConnection) -> Any:
    try:
        return connection.read_response()
    except redis.ResponseError as error:
        return error
