"""An operator's command line: to one store, to both for two answers side by side, or through the replicating client.

console = Console(client)
line = console.planned("GET user:1", Target.EACH, operator=True)
if line.judgement.phrase: ...                     # ask the operator to type it
for answer in console.run(line): print("\\n".join(answer.lines))
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import redis
from redis.client import NEVER_DECODE

from hybrid.client import HybridRedis
from hybrid.core.commands import COMMANDS, Command, Policy
from hybrid.core.console import Judgement, OperatorNeeded, Target, completions, judged, size_question, too_long
from hybrid.core.shell import bounded, masked_line, printed, split_line
from hybrid.core.syntax import syntax_of
from hybrid.errors import CommandRefused, HybridError
from hybrid.ops.metrics import raw_store
from hybrid.stores.exchange import exchange
from hybrid.stores.wire import plain_reason
from hybrid.types import Store

__all__ = [
    "COMMANDS",
    "Answer",
    "Command",
    "Console",
    "Judgement",
    "Line",
    "OperatorNeeded",
    "Policy",
    "Target",
    "completions",
]

TIMEOUT_S: Final = 5.0
CONNECT_S: Final = 1.0
MOST_LINES: Final = 5_000
MOST_CHARS: Final = 500_000
_HIDDEN_SETTINGS: Final = (b"pass", b"auth", b"secret")


@dataclass(frozen=True, slots=True)
class Line:
    """A line that may run. `shown` is fit for a log: without passwords."""

    words: tuple[bytes, ...]
    target: Target
    judgement: Judgement
    shown: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What one side said. `store` None: the client. `cut`: the reply has more lines; `failed`: it is an error,
    `silent`: for want of an answer. `missed`: this store is lost, and gets what was changed when it is back."""

    store: Store | None
    lines: tuple[str, ...]
    cut: bool
    failed: bool
    took_ms: float
    missed: Store | None = None
    silent: bool = False


class Console:
    """Runs lines on the stores of a client."""

    def __init__(self, client: HybridRedis) -> None:
        self._client = client

    def planned(self, text: str, target: Target, *, operator: bool, past_hybrid: bool = False) -> Line:
        """What this line would do. Raises ConfigurationError for a malformed one, CommandRefused with the reason for
        one that is not to be run."""
        words = tuple(split_line(text))
        judgement = judged(words, target, operator=operator, past_hybrid=past_hybrid)
        return Line(words, target, judgement, masked_line(words))

    def run(self, line: Line) -> tuple[Answer, ...]:
        """The answers, in the order local, cloud. An unreachable store is an answer too; both are asked at once."""
        if line.target is Target.CLIENT:
            return (self._answered(None, line),)
        stores = list(Store) if line.target is Target.EACH else [Store(line.target.value)]
        if self._client.settings.cloud_url is None and Store.CLOUD in stores:
            stores.remove(Store.CLOUD)
        with ThreadPoolExecutor(max(len(stores), 1), "console") as pool:
            return tuple(pool.map(lambda store: self._answered(store, line), stores))

    def syntax(self, name: str) -> str | None:
        """How a command is written, as the local store tells it; None where it does not. Raises redis.RedisError."""
        asked = (b"COMMAND", b"DOCS", name.replace(" ", "|").encode())
        with raw_store(self._client, Store.LOCAL, socket_timeout=TIMEOUT_S, socket_connect_timeout=CONNECT_S) as raw:
            [reply] = exchange(raw.connection_pool.get_connection(), [asked])
        return None if isinstance(reply, Exception) else syntax_of(name, reply)

    def _answered(self, store: Store | None, line: Line) -> Answer:
        started_s, silent = time.perf_counter(), False
        try:
            reply = self._through_client(line) if store is None else self._asked(store, line)
        except (redis.ConnectionError, redis.TimeoutError, OSError) as error:
            silent = not isinstance(error, HybridError)  # these have words of their own
            reply = redis.ConnectionError(plain_reason(error)) if silent else error
        except redis.RedisError as error:
            reply = error
        took_ms = 1000 * (time.perf_counter() - started_s)
        lines, cut = bounded(printed(without_secrets(line, reply), line.judgement.name), MOST_LINES, MOST_CHARS)
        failed = isinstance(reply, Exception)
        missed = self._missed() if store is None and line.judgement.changes and not failed else None
        return Answer(store, lines, cut, failed, took_ms, missed, silent)

    def _missed(self) -> Store | None:
        """The store that a write through the client has not reached, because it is lost."""
        status = self._client.status()
        other = status.authority.other
        facts = status.cloud if other is Store.CLOUD else status.local
        replicated = self._client.settings.replicated
        return other if replicated and facts is not None and facts.state.is_lost else None

    def _through_client(self, line: Line) -> Any:
        question = size_question(line.words)
        if question is not None:
            _refuse_too_long(line, self._sent(question[0]), question[1])
        return self._sent(line.words)

    def _sent(self, words: Sequence[bytes]) -> Any:
        """Raw, as the store gave it. Errors of the server are returned."""
        self._client.start()
        try:
            return self._client._engine.drive(self._client.called(tuple(words), {NEVER_DECODE: True}))
        except redis.ResponseError as error:
            return error

    def _asked(self, store: Store, line: Line) -> Any:
        with raw_store(self._client, store, socket_timeout=TIMEOUT_S, socket_connect_timeout=CONNECT_S) as raw:
            connection = raw.connection_pool.get_connection()
            try:
                question = size_question(line.words)
                if question is not None:
                    _refuse_too_long(line, exchange(connection, [question[0]])[0], question[1])
                return exchange(connection, [line.words])[0]
            finally:
                with suppress(redis.RedisError, OSError):
                    connection.disconnect()


def _refuse_too_long(line: Line, size: Any, instead: str) -> None:
    if isinstance(size, int) and too_long(line.judgement.name, size):
        what = "bytes" if line.judgement.name in ("GET", "DUMP") else "elements"
        raise CommandRefused(
            line.judgement.name, f"its answer would have {size:,} {what}; read a part of it: {instead}"
        )


def without_secrets(line: Line, reply: Any) -> Any:
    """A reply to CONFIG GET with the values of passwords hidden."""
    if line.judgement.name != "CONFIG GET":
        return reply
    if isinstance(reply, dict):
        return {name: hidden(name, value) for name, value in reply.items()}
    if isinstance(reply, list):
        return [hidden(reply[at - 1], part) if at % 2 else part for at, part in enumerate(reply)]
    return reply


def hidden(name: Any, value: Any) -> Any:
    secret = isinstance(name, bytes) and any(part in name.lower() for part in _HIDDEN_SETTINGS)
    return b"***" if secret and value else value
