"""Looking at live traffic: MONITOR and pub/sub, with hard limits, and the keys that were used most.

MONITOR makes a server slower for as long as it runs, so it is for the local store and always ends by itself.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from threading import Event
from typing import Any, Final

from hybrid.core.commands import keys_of, lookup, written_keys
from hybrid.core.names import RESERVED
from hybrid.errors import CommandRefused
from hybrid.ops.diff.export import shown

__all__ = ["HotKey", "HotKeys", "ListenLimits", "Message", "MonitorLine", "monitor", "monitor_line", "subscribe"]

TURN_S: Final = 0.2
SHOWN_BYTES: Final = 120
_LINE: Final = re.compile(rb"^(\d+\.\d+) \[(\d+) ([^\]]*)\] (.*)$", re.DOTALL)
_WORD: Final = re.compile(rb'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ESCAPE: Final = re.compile(rb"\\(x[0-9a-fA-F]{2}|.)", re.DOTALL)
_ESCAPED: Final = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"a": b"\a", b"b": b"\b"}
_PUBLISHERS: Final = (b"PUBLISH", b"SPUBLISH")
_CALLERS: Final = (b"EVAL", b"EVALSHA", b"EVAL_RO", b"EVALSHA_RO", b"FCALL", b"FCALL_RO")


@dataclass(frozen=True, slots=True)
class ListenLimits:
    """Listening ends after so many seconds, or lines, whichever comes first."""

    seconds: float = 10.0
    lines: int = 5000


@dataclass(frozen=True, slots=True)
class MonitorLine:
    """One command that the server ran. `client` is an address, or `lua` for a command of a script."""

    at_s: float
    database: int
    client: str
    words: tuple[bytes, ...]

    @property
    def text(self) -> str:
        """The command as a line for people; long arguments are cut."""
        return " ".join(shown(word[:SHOWN_BYTES]) or '""' for word in self.words)[: 4 * SHOWN_BYTES]

    @property
    def is_own(self) -> bool:
        """Whether it names hybrid's own keys or channels, and no others."""
        found = self.words[1:2] if self.words[:1] and self.words[0].upper() in _PUBLISHERS else _keys(self.words)
        return bool(found) and all(key.startswith(RESERVED) for key in found)


@dataclass(frozen=True, slots=True)
class Message:
    """One message of pub/sub."""

    at_s: float
    channel: str
    text: str


@dataclass(frozen=True, slots=True)
class HotKey:
    """How often a key was named by a command in the sample."""

    key: str
    calls: int
    writes: int


@dataclass(slots=True)
class HotKeys:
    """Counts the keys of monitored commands. What a script calls counts, the call of the script does not."""

    calls: Counter[bytes] = field(default_factory=Counter)
    writes: Counter[bytes] = field(default_factory=Counter)

    def add(self, line: MonitorLine) -> None:
        if not line.words or line.words[0].upper() in _CALLERS:
            return
        self.calls.update(key for key in _keys(line.words) if not key.startswith(RESERVED))
        self.writes.update(key for key in _written(line.words) if not key.startswith(RESERVED))

    def top(self, most: int = 50) -> tuple[HotKey, ...]:
        return tuple(HotKey(shown(key), calls, self.writes[key]) for key, calls in self.calls.most_common(most))


def monitor(
    connection: Any,
    limits: ListenLimits,
    cancel: Event,
    on_line: Callable[[MonitorLine], None],
    on_turn: Callable[[], None] = lambda: None,
    *,
    with_own: bool = True,
) -> tuple[int, str]:
    """Follow what the server runs; returns the number of lines and why it ended: seconds, lines or cancelled.
    Without `with_own`, what hybrid itself does is neither told nor counted. `on_turn` is called every `TURN_S`,
    whatever came.

    The connection is closed afterwards. Raises redis.ResponseError where MONITOR is refused, redis.RedisError when
    the connection fails.
    """
    lines, ending = 0, "seconds"
    for reply in _heard(connection, ("MONITOR",), limits, cancel, on_turn):
        line = monitor_line(reply) if isinstance(reply, bytes) else None
        if line is None or (line.is_own and not with_own):
            continue
        lines += 1
        on_line(line)
        if lines >= limits.lines:
            ending = "lines"
            break
    return lines, "cancelled" if cancel.is_set() else ending


def subscribe(
    connection: Any,
    pattern: str,
    limits: ListenLimits,
    cancel: Event,
    on_message: Callable[[Message], None],
    on_turn: Callable[[], None] = lambda: None,
) -> tuple[int, str]:
    """Follow the channels that match `pattern` (a glob); as `monitor`. Hybrid's own are heard by their name only."""
    own = pattern.encode().startswith(RESERVED)
    messages, ending = 0, "seconds"
    for reply in _heard(connection, ("PSUBSCRIBE", pattern), limits, cancel, on_turn):
        if not isinstance(reply, list) or len(reply) != 4 or reply[0] != b"pmessage":
            continue
        if reply[2].startswith(RESERVED) and not own:
            continue
        messages += 1
        on_message(Message(time.time(), shown(reply[2]), shown(reply[3][: 4 * SHOWN_BYTES])))
        if messages >= limits.lines:
            ending = "lines"
            break
    return messages, "cancelled" if cancel.is_set() else ending


def _heard(
    connection: Any, command: Sequence[str], limits: ListenLimits, cancel: Event, on_turn: Callable[[], None]
) -> Iterator[Any]:
    """Replies until time is up or `cancel` is set, never later than `TURN_S` after it."""
    turn_s = time.monotonic()
    until_s = turn_s + limits.seconds
    try:
        connection.send_command(*command)
        yield connection.read_response()  # an error reply is raised: the store refuses
        while not cancel.is_set() and time.monotonic() < until_s:
            if connection.can_read(timeout=TURN_S):
                yield connection.read_response()
            if time.monotonic() - turn_s >= TURN_S:
                turn_s = time.monotonic()
                on_turn()
    finally:
        connection.disconnect()


def monitor_line(line: bytes) -> MonitorLine | None:
    """A line of MONITOR taken apart; None for what is no such line."""
    found = _LINE.match(line)
    if found is None:
        return None
    at_s, database, client, rest = found.groups()
    words = tuple(_ESCAPE.sub(_unescaped, word) for word in _WORD.findall(rest))
    return MonitorLine(float(at_s), int(database), shown(client), words)


def _unescaped(found: re.Match[bytes]) -> bytes:
    sign = found.group(1)
    return bytes.fromhex(sign[1:].decode()) if len(sign) == 3 else _ESCAPED.get(sign, sign)


def _keys(words: Sequence[bytes]) -> list[bytes]:
    try:
        return keys_of(lookup(words), words)
    except CommandRefused:
        return []


def _written(words: Sequence[bytes]) -> list[bytes]:
    try:
        return written_keys(lookup(words), words)
    except CommandRefused:
        return []
