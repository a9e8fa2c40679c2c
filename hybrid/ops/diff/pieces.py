"""Facts about big keys, digested on the server piece by piece."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeAlias

import redis

from hybrid.core.cost import PIECES_TOGETHER
from hybrid.core.drift import Facts
from hybrid.core.fingerprint import Fingerprint, elements_of, facts_of
from hybrid.core.state import KeyState
from hybrid.core.state_replies import expiry_ms
from hybrid.ops.diff.line import Line
from hybrid.ops.diff.scripts import PIECE_SCRIPT, sha_of
from hybrid.replication.big_read import read_in_chunks
from hybrid.replication.copy import LOG_KEY, read_state
from hybrid.stores.capabilities import capabilities_of
from hybrid.stores.exchange import Command, exchange

__all__ = ["Found", "PieceReader"]

PIECE_SHA: Final = sha_of(PIECE_SCRIPT)
PIECED: Final = frozenset({"string", "hash", "list", "set", "zset", "stream"})
TRIES: Final = 3
START: Final = b"0"

Found: TypeAlias = dict[bytes, Facts | None]


@dataclass(slots=True)
class Pieces:
    """What is known so far of a key."""

    kind: str
    total: Fingerprint = field(default_factory=Fingerprint)
    size_bytes: int = 0
    length: int = 0
    cursor: bytes = START

    def add(self, reply: Sequence[Any]) -> None:
        self.cursor, lanes, count, size_bytes, self.length = reply
        if lanes != b"-":
            self.total.add_lanes(lanes, count)
        self.size_bytes += size_bytes

    @property
    def is_whole(self) -> bool:
        """Not when elements came twice or not at all, as happens while a table grows or shrinks."""
        return not self.cursor and 0 < self.length == self.total.count


class PieceReader:
    """Reads over `line`; `flags` are the scripts' first arguments, `expiry` is the command that tells an expiry."""

    def __init__(self, line: Line, flags: Sequence[bytes], expiry: bytes, *, counted: bool) -> None:
        self._line = line
        self._flags = flags
        self._expiry = expiry
        self._counted = counted

    def facts(self, kinds: Mapping[bytes, str]) -> Found:
        """The facts of keys of these types, None of those that are gone. One whose type has no pieces, or that never
        stands still, is read as a whole."""
        found: Found = {}
        waiting = {key: kind for key, kind in kinds.items() if kind in PIECED}
        for _ in range(TRIES):
            names = list(waiting)
            for start in range(0, len(names), PIECES_TOGETHER):
                some = names[start : start + PIECES_TOGETHER]
                found |= self._framed(self._digested({key: waiting[key] for key in some}))
            waiting = {key: kind for key, kind in waiting.items() if key not in found}
        for key in kinds.keys() - found.keys():
            state, _ = read_state(self._line, key)
            found[key] = facts_of(state, counted=self._counted) if isinstance(state, KeyState) else None
        return found

    def size(self, key: bytes, kind: str) -> tuple[int, int]:
        """About how many bytes and how many elements a key has, by its first piece; (0, 0) if it has no pieces."""
        if kind not in PIECED:
            return 0, 0
        [reply] = exchange(self._line, [self._piece(key, kind, START)])
        if isinstance(reply, redis.ResponseError) or not reply[2]:
            return 0, 0
        _, _, count, size_bytes, length = reply
        return size_bytes * length // count, length

    def _piece(self, key: bytes, kind: str, cursor: bytes) -> Command:
        return (b"EVALSHA", PIECE_SHA, b"1", key, *self._flags, kind.encode(), cursor)

    def _digested(self, kinds: Mapping[bytes, str]) -> dict[bytes, Pieces]:
        """Those of the keys that stood still."""
        begun = {key: Pieces(kind) for key, kind in kinds.items()}
        open_ = list(begun)
        while open_:
            replies = exchange(self._line, [self._piece(key, begun[key].kind, begun[key].cursor) for key in open_])
            for key, reply in zip(open_, replies, strict=True):
                if not isinstance(reply, redis.ResponseError):
                    begun[key].add(reply)
                elif "WRONGTYPE" in str(reply):
                    del begun[key]
                else:
                    raise reply
            open_ = [key for key in open_ if key in begun and begun[key].cursor]
        return {key: pieces for key, pieces in begun.items() if pieces.is_whole}

    def _framed(self, digested: Mapping[bytes, Pieces]) -> Found:
        """With what is not in the pieces: expiries, a stream's own facts and groups."""
        plain = [key for key, pieces in digested.items() if pieces.kind != "stream"]
        found: Found = {}
        if plain:
            *moments, clock = self._line.ask(*((self._expiry, key) for key in plain), (b"TIME",))
            now = None if self._expiry == b"PEXPIRETIME" else clock
            for key, moment in zip(plain, moments, strict=True):
                it = digested[key]
                found[key] = Facts(it.kind, it.total.value, expiry_ms(moment, now), it.size_bytes)
        for key in digested.keys() - found.keys():
            if (facts := self._framed_stream(key, digested[key])) is not None:
                found[key] = facts
        return found

    def _framed_stream(self, key: bytes, entries: Pieces) -> Facts | None:
        """None when the stream does not stand still."""
        snapshot = read_in_chunks(self._line, key, b"stream", 0, LOG_KEY, capabilities_of(self._line), entries=False)
        if snapshot is None:
            return None
        state, _ = snapshot
        total = entries.total.add(elements_of(state.body, self._counted))
        facts = facts_of(state, counted=self._counted)
        return replace(facts, fingerprint=total.value, size_bytes=entries.size_bytes)
