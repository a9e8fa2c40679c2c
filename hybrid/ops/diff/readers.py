"""Facts about keys of one store: digested there by a script, or read and digested here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

import redis

from hybrid.core.cost import DIGESTED_STRING_BYTES, MGET_KEYS, REPLY_BYTES, SLICE_KEYS
from hybrid.core.drift import Facts
from hybrid.core.fingerprint import Fingerprint, facts_of
from hybrid.core.state import KeyState, String
from hybrid.core.state_replies import JSON_KINDS, expiry_ms
from hybrid.ops.diff.line import Line
from hybrid.ops.diff.pieces import Found, PieceReader
from hybrid.ops.diff.scripts import FACTS_SCRIPT, PIECE_SCRIPT, QUICK_SCRIPT, sha_of
from hybrid.replication.copy import Shape, read_shapes, read_state, state_from, whole_read
from hybrid.stores.capabilities import MISSING_KEY, Capabilities, capabilities_of
from hybrid.stores.exchange import exchange

__all__ = ["FactsReader", "Found", "PlainReader", "ScriptReader", "can_run_scripts", "has_digest", "slices"]

FACTS_SHA = sha_of(FACTS_SCRIPT)
BIG = b" big"
ROUND_BYTES = 4 * REPLY_BYTES
ROUND_KEYS = 20_000

T = TypeVar("T")


class FactsReader(Protocol):
    """Reads facts. `counted` says whether stream counters are compared: both servers must keep them."""

    line: Line

    def facts(self, keys: Sequence[bytes], hints: Mapping[bytes, Facts | None] | None = None) -> Found:
        """The facts of every key, None where it is absent. `hints` are the other side's: they only make it cheaper.

        Raises `redis.ResponseError` when the server refuses, and as connections do.
        """
        ...


def slices(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def can_run_scripts(line: Line) -> bool:
    """Whether the store takes the scripts; loads them."""
    capabilities = capabilities_of(line)
    loads = [(b"SCRIPT", b"LOAD", script) for script in (QUICK_SCRIPT, FACTS_SCRIPT, PIECE_SCRIPT)]
    loaded = not any(isinstance(reply, redis.ResponseError) for reply in exchange(line, loads))
    return loaded and capabilities.has_memory_usage and not capabilities.is_cluster


def has_digest(line: Line) -> bool:
    """Whether the store has the command DIGEST: Redis 8.4 and newer."""
    return not isinstance(exchange(line, [(b"DIGEST", MISSING_KEY)])[0], redis.ResponseError)


class ScriptReader:
    """Digests on the server: free commands only. Values do not travel."""

    def __init__(self, line: Line, *, counted: bool) -> None:
        self.line = line
        can = capabilities_of(line)
        flags = (can.has_field_ttl, counted, can.has_pexpiretime)
        self.flags: tuple[bytes, ...] = tuple(b"1" if flag else b"0" for flag in flags)
        expiry = b"PEXPIRETIME" if can.has_pexpiretime else b"PTTL"
        self.pieces = PieceReader(line, self.flags, expiry, counted=counted)
        self._sent: list[Sequence[bytes]] = []

    def ask(self, keys: Sequence[bytes]) -> None:
        """Have the server begin: `facts` of these keys must be what this reader is asked for next."""
        self._sent = list(slices(keys, SLICE_KEYS))
        self.line.send([(b"EVALSHA", FACTS_SHA, b"%d" % len(s), *s, *self.flags) for s in self._sent])

    def facts(self, keys: Sequence[bytes], hints: Mapping[bytes, Facts | None] | None = None) -> Found:
        found: Found = {}
        big: dict[bytes, str] = {}
        waiting = keys
        while waiting:
            if not self._sent:
                self.ask(waiting)
            replies = [(part, self.line.read_response()) for part in self._sent]
            self._sent = []
            for part, texts in replies:
                if isinstance(texts, redis.ResponseError):
                    raise texts
                for key, text in zip(part, texts, strict=False):
                    if text.endswith(BIG):
                        big[key] = kind_name(text.removesuffix(BIG))
                    else:
                        found[key] = parsed(text)
            waiting = [key for key in waiting if key not in found and key not in big]
        return found | self.pieces.facts(big) if big else found


def parsed(text: bytes) -> Facts | None:
    """What the script says of a key that is not big."""
    if text == b"none":
        return None
    kind, lanes, groups, moment, size = text.split(b" ")
    expires_at_ms = int(moment) if int(moment) >= 0 else None
    return Facts(kind_name(kind), Fingerprint.of_lanes(lanes), expires_at_ms, int(size), Fingerprint.of_lanes(groups))


@dataclass(slots=True)
class PlainReader:
    """Reads values and digests them here: for stores where every command is billed, or that take no scripts.

    Strings are read many at a time. The expiry is read of keys for which `wants_ttl` is true, also those of hash
    fields; of the others, what the hint says is taken for true. With a `twin`, the line that the hints come from, long
    strings that both servers say to be equal (`DIGEST`) are not read.
    """

    line: Line
    counted: bool
    wants_ttl: Callable[[bytes], bool] = lambda _: True
    twin: Line | None = None

    def facts(self, keys: Sequence[bytes], hints: Mapping[bytes, Facts | None] | None = None) -> Found:
        can = capabilities_of(self.line)
        hints = self.shapes(keys, can) if hints is None else hints
        found = self.unhinted([key for key in keys if hints.get(key) is None])
        hinted = {key: hint for key in keys if (hint := hints.get(key)) is not None}
        found |= self.equal_strings(hinted)
        small = {key: h for key, h in hinted.items() if h.size_bytes <= REPLY_BYTES and key not in found}
        found |= self.strings({key: hint for key, hint in small.items() if hint.kind == "string"})
        found |= self.others({key: hint for key, hint in small.items() if hint.kind != "string"}, can)
        for key in hinted.keys() - found.keys():  # big, or not of the type that the hint said
            state, _ = read_state(self.line, key)
            found[key] = facts_of(state, counted=self.counted) if isinstance(state, KeyState) else None
        return self.with_ttls(found, hinted, can)

    def shapes(self, keys: Sequence[bytes], can: Capabilities) -> Found:
        """Hints of the keys' own: type, and the size as the server estimates it."""
        shapes = read_shapes(self.line, keys, can)
        return {s.key: Facts(s.kind.decode(), b"", None, s.size_bytes) if s.kind != b"none" else None for s in shapes}

    def unhinted(self, keys: Sequence[bytes]) -> Found:
        """Keys that are absent on the other side: there is no content to compare, so none is read."""
        if not keys or not self.count_existing(keys):
            return dict.fromkeys(keys)
        kinds = self.line.ask(*((b"TYPE", key) for key in keys))
        return {
            key: None if kind == b"none" else Facts(kind_name(kind), b"", None, 0)
            for key, kind in zip(keys, kinds, strict=True)
        }

    def count_existing(self, keys: Sequence[bytes]) -> int:
        return sum(self.line.ask(*((b"EXISTS", *group) for group in slices(keys, MGET_KEYS))))

    def equal_strings(self, hints: Mapping[bytes, Facts]) -> Found:
        """The long strings that are as their hints say."""
        if self.twin is None:
            return {}
        long = {k: h for k, h in hints.items() if h.kind == "string" and h.size_bytes > DIGESTED_STRING_BYTES}
        asked = [(b"DIGEST", key) for key in long]
        here, there = exchange(self.twin, asked), exchange(self.line, asked)
        both = zip(long.items(), here, there, strict=True)
        return {key: hint for (key, hint), one, other in both if isinstance(one, bytes) and one == other}

    def strings(self, hints: Mapping[bytes, Facts]) -> Found:
        found: Found = {}
        for together in batches(hints, ROUND_BYTES, ROUND_KEYS):
            groups = list(batches({key: hints[key] for key in together}, REPLY_BYTES, MGET_KEYS))
            replies = self.line.ask(*((b"MGET", *group) for group in groups))
            for group, values in zip(groups, replies, strict=True):
                for key, value in zip(group, values, strict=True):
                    if value is not None:
                        found[key] = facts_of(KeyState("string", None, String(value)))
        missing = [key for key in hints if key not in found]
        if missing and not self.count_existing(missing):
            found |= dict.fromkeys(missing)
        return found

    def others(self, hints: Mapping[bytes, Facts], can: Capabilities) -> Found:
        found: Found = {}
        bare = replace(can, has_field_ttl=False)
        for group in batches(hints, REPLY_BYTES, MGET_KEYS):
            kinds = [hints[key].kind.encode() for key in group]
            reads = [
                whole_read(Shape(key, kind, 0), can if self.wants_ttl(key) else bare)
                for key, kind in zip(group, kinds, strict=True)
            ]
            replies = exchange(self.line, reads)
            for key, kind, read, reply in zip(group, kinds, reads, replies, strict=True):
                state = state_from(kind, read[0], reply, None)
                if state is not None:
                    found[key] = facts_of(state, counted=self.counted) if isinstance(state, KeyState) else None
        return found

    def with_ttls(self, found: Found, hints: Mapping[bytes, Facts], can: Capabilities) -> Found:
        existing = {key: facts for key, facts in found.items() if facts is not None}
        asked = [key for key in existing if self.wants_ttl(key)]
        moments: dict[bytes, int | None] = {key: h.expires_at_ms for key, h in hints.items() if key in existing}
        if asked:
            name = b"PEXPIRETIME" if can.has_pexpiretime else b"PTTL"
            *replies, clock = self.line.ask(*((name, key) for key in asked), (b"TIME",))
            now = None if can.has_pexpiretime else clock
            moments |= {key: expiry_ms(reply, now) for key, reply in zip(asked, replies, strict=True)}
        return found | {key: replace(facts, expires_at_ms=moments.get(key)) for key, facts in existing.items()}


def kind_name(kind: bytes) -> str:
    return "json" if kind in JSON_KINDS else kind.decode()


def batches(hints: Mapping[bytes, Facts], most_bytes: int, most_keys: int) -> Iterator[list[bytes]]:
    """The keys in groups whose values, as hinted, are bounded together."""
    group: list[bytes] = []
    size = 0
    for key, hint in hints.items():
        if group and (size + hint.size_bytes > most_bytes or len(group) == most_keys):
            yield group
            group, size = [], 0
        group.append(key)
        size += hint.size_bytes
    if group:
        yield group
