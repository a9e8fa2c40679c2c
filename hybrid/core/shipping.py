"""From log entries to what goes to the other store: replay in order, or copy the state of the keys.

One rule decides. An entry is replayed when it follows, in order and promptly, entries known to have arrived. Whenever
that is not certain (the stream to the other store was broken, a new shipper takes over, the entry is older than
`REPLAY_WITHIN_MS`, an entry asks for it), the state of every key it names is copied instead: copying is idempotent, and
keeps what replay cannot, such as a key that expired here in the meantime.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, NamedTuple

from hybrid.core.authority import Position, position
from hybrid.core.commands import Command, is_blind, keys_of, lookup, written_keys
from hybrid.core.effects import absolute
from hybrid.core.expiry_guard import may_set_expiry
from hybrid.core.resp import pack, unpack

__all__ = [
    "REPLAY_WITHIN_MS",
    "Entry",
    "Field",
    "Group",
    "Run",
    "by_state",
    "failed",
    "groups",
    "parts",
    "plain_run",
    "plan",
]

REPLAY_WITHIN_MS: Final = 1000
"""Half the expiry guard of `hybrid.core.transaction`, so that every key that may have expired on the way was hinted."""

_TIMES_FIELDS = re.compile(rb"\r\nH(P?EXPIRE|PERSIST|SETEX|GETEX)", re.IGNORECASE)
_ASKS_FIELD = re.compile(rb"\r\nH(INCRBY|SETNX)\r\n", re.IGNORECASE)
_COUNTS_ENTRIES = re.compile(rb"\r\n(ENTRIESREAD|ENTRIESADDED|MAXDELETEDID)\r\n", re.IGNORECASE)
_OPERANDS_BEFORE_COUNTERS = {"XSETID": 3, "XGROUP CREATE": 5, "XGROUP SETID": 5}
_MULTI = pack(("MULTI",))
_EXEC = pack(("EXEC",))
Field = tuple[bytes, bytes]
Entry = tuple[bytes, Sequence[bytes]]
"""A raw entry of the log: its id, and its fields flat."""

RUN_BYTES: Final = 64 * 1024


@dataclass(frozen=True)
class Group:
    """The entries of one transaction. `place` is that of the last entry, `token` the writer's (see
    `hybrid.core.transaction.Transaction`), None without one."""

    place: Position
    fields: tuple[Field, ...]
    token: bytes | None = None
    atomic: bool = True

    @property
    def ms(self) -> int:
        return self.place[0]

    @property
    def empties(self) -> bool:
        """Whether the store was emptied in this group."""
        return b"f" in self.names

    @property
    def refills(self) -> bool:
        """Whether everything is to be copied anew."""
        return b"r" in self.names

    @property
    def by_state(self) -> bool:
        return b"s" in self.names

    @cached_property
    def names(self) -> frozenset[bytes]:
        """The names of the fields."""
        return frozenset(name for name, _ in self.fields)

    @cached_property
    def keys(self) -> tuple[bytes, ...]:
        """Every key that the group may have changed."""
        if self.names == {b"s"}:
            return tuple(dict.fromkeys(payload for _, payload in self.fields))
        keys, calls = dict[bytes, None](), iter(self._calls)
        for name, payload in self.fields:
            if name == b"s":
                keys[payload] = None
            elif name in (b"v", b"t"):
                keys.update(dict.fromkeys(written_keys(*next(calls))))
        return tuple(keys)

    @cached_property
    def touched(self) -> frozenset[bytes]:
        """Every key that the group may have changed or read: replayed next to the state of a later moment, a command
        with a source (PFMERGE, BITOP, COPY, ...) would read the future."""
        if self.names == {b"s"}:
            return frozenset(self.keys)
        return frozenset(self.keys).union(*(keys_of(*call) for call in self._calls))

    def is_late(self, now_ms: int) -> bool:
        """Whether it is so old that a key of it may expire before it arrives, other than the writer's guard expects."""
        return now_ms - self.ms > REPLAY_WITHIN_MS

    def is_timeless(self, lasting: Set[bytes]) -> bool:
        """Whether it can be replayed however late: it lets nothing expire, and asks nothing of a key that may have
        expired by then, as those that are `lasting` do not."""
        if not (self.keys and self.names <= {b"v", b"i"}):
            return False
        return all(
            not may_set_expiry(*call) and (is_blind(*call) or lasting >= set(keys_of(*call))) for call in self._calls
        )

    @property
    def commands(self) -> tuple[bytes, ...]:
        """The packed commands of the group."""
        return tuple(payload for name, payload in self.fields if name in (b"v", b"t"))

    @cached_property
    def _calls(self) -> tuple[tuple[Command, list[bytes]], ...]:
        """The commands, with their rows of the table."""
        return tuple((lookup(args), args) for args in map(unpack, self.commands))

    @property
    def times_fields(self) -> bool:
        """Whether hash fields get, keep or lose an expiry of their own here."""
        return any(name in (b"v", b"t") and _TIMES_FIELDS.search(payload, 0, 40) for name, payload in self.fields)

    @property
    def asked_fields(self) -> list[tuple[bytes, bytes]]:
        """The hashes and their fields on whose value it depends what a command of the group leaves behind."""
        asking = (
            unpack(payload) for name, payload in self.fields if name == b"v" and _ASKS_FIELD.search(payload, 0, 40)
        )
        return [(args[1], args[2]) for args in asking if len(args) > 2]

    @cached_property
    def keyless(self) -> tuple[bytes, ...]:
        """Packed commands that change something other than keys (scripts, functions): they are replayed in any case."""
        if b"v" not in self.names:
            return ()
        logged = (field for field in self.fields if field[0] in (b"v", b"t"))
        calls = zip(logged, self._calls, strict=True)
        return tuple(payload for (name, payload), call in calls if name == b"v" and not keys_of(*call))

    def replay(self, *, stream_counters: bool = True) -> tuple[bytes, int]:
        """The bytes that repeat the group on the other store, and how many replies they bring. `stream_counters`: see
        `hybrid.stores.capabilities`."""
        commands: list[bytes] = []
        for name, payload in self.fields:
            if name == b"v":
                commands.append(payload if stream_counters else without_counters(payload))
            elif name == b"t":
                commands += [pack(args) for args in absolute(unpack(payload), self.ms)]
        if len(commands) > 1 and self.atomic:
            commands = [_MULTI, *commands, _EXEC]
        return b"".join(commands), len(commands)


def without_counters(packed: bytes) -> bytes:
    """The command without the options that set a stream's counters, which Redis 6.2 neither keeps nor understands."""
    if not _COUNTS_ENTRIES.search(packed):
        return packed
    args = unpack(packed)
    operands = _OPERANDS_BEFORE_COUNTERS.get(lookup(args).name)
    if operands is None:
        return packed
    options = args[operands:]
    return pack([*args[:operands], *(option for option in options if option.upper() == b"MKSTREAM")])


def groups(entries: Iterable[Entry], open_fields: list[Field]) -> Iterator[Group]:
    """Groups from raw entries (id, flat fields). `open_fields` holds a group that the previous read left unfinished."""
    for entry_id, flat in entries:
        more, token, atomic = False, None, True
        names = flat[::2]
        fields = zip(names, flat[1::2], strict=True)
        if names.count(b"s") == len(names):  # hundreds of keys of a sync
            open_fields += fields
        for name, payload in fields:
            if name == b"m":
                more = True
            elif name == b"w":
                token = payload
            elif name == b"p":
                atomic = False
            elif name != b"e":
                open_fields.append((name, payload))
        if not more:
            yield Group(position(entry_id), tuple(open_fields), token, atomic)
            open_fields.clear()


class Run(NamedTuple):
    """Entries of plain commands: their bytes, how many replies these bring, and the place of the last entry."""

    payload: bytes
    size: int
    place: Position


def plain_run(
    entries: Sequence[Entry], now_ms: int, *, stream_counters: bool = True, fields_expire: bool = False
) -> Run | None:
    """The commonest case, by far: entries that can all be replayed as they stand, without looking into any. None for
    every other case. It holds only where no key was copied and no hash is known to time its fields; `fields_expire`:
    there may be one that is not known."""
    commands = []
    size = 0
    for _, flat in entries:
        # Either one command, or those of a plain pipeline.
        logged = flat[1:2] if len(flat) == 2 else flat[1:-2:2] if flat[-2] == b"p" else ()
        if not logged or any(name != b"v" for name in flat[: 2 * len(logged) : 2]):
            return None
        for command in logged:
            size += len(command)
            if size > RUN_BYTES or _TIMES_FIELDS.search(command, 0, 40):
                return None
            if fields_expire and _ASKS_FIELD.search(command, 0, 40):
                return None
            if not stream_counters and _COUNTS_ENTRIES.search(command):
                return None
            commands.append(command)
    if now_ms - position(entries[0][0])[0] > REPLAY_WITHIN_MS:
        return None
    return Run(b"".join(commands), len(commands), position(entries[-1][0]))


def plan(
    group: Group, skip: Mapping[bytes, Position], now_ms: int, lasting: Set[bytes] = frozenset()
) -> tuple[bytes, ...] | None:
    """None to replay the group, otherwise the keys whose state is to be copied (none left: the state already went).

    `skip` says up to which place of the log the state of a key already contains every entry. The keys in `lasting` do
    not expire: where all others are copied as soon as the log is behind, large ones that are written all the time would
    keep it so.
    """
    late = group.is_late(now_ms) and not group.is_timeless(lasting)
    if not (late or group.by_state or (skip and any(skip.get(key, (0, 0)) >= group.place for key in group.touched))):
        return None
    if skip.keys().isdisjoint(group.keys):
        return group.keys
    return tuple(key for key in group.keys if skip.get(key, (0, 0)) < group.place)


def parts(logged: Iterable[Group]) -> Iterator[Sequence[Group]]:
    """What stands in the log between two moments at which all keys changed, each with the group that it begins with."""
    part: list[Group] = []
    for group in logged:
        if part and (group.empties or group.refills or part[0].refills):
            yield part
            part = []
        part.append(group)
    if part:
        yield part


def by_state(
    logged: Sequence[Group], planned: Sequence[Iterable[bytes] | None]
) -> tuple[Sequence[bool], Iterable[bytes]]:
    """Which of these groups go by state if one copy is to serve for all of them, and the keys to be copied. `planned`
    is what `plan` says of each.

    A state that is copied is that of a later moment: whatever else touches such a key goes by state as well. What was
    to expire is logged by state behind the command that found it so, and perhaps behind others that go on from what
    that one left: where it expires on the way, all of these would do something else.
    """
    goes = [keys is not None for keys in planned]
    copied = dict.fromkeys(key for keys in planned for key in keys or ())
    moved = copied.keys() | {key for group in logged if group.names == {b"s"} for key in group.keys}
    spreads = bool(moved)
    while spreads:
        spreads = False
        for index, group in enumerate(logged):
            if not goes[index] and not moved.isdisjoint(group.touched):
                goes[index] = spreads = True
                copied.update(dict.fromkeys(group.keys))
                moved.update(group.keys)
    return goes, copied


def failed(replies: Sequence[Any]) -> Exception | None:
    """The first error among replies, also inside a transaction's."""
    for reply in replies:
        if isinstance(reply, Exception):
            return reply
        if isinstance(reply, list):
            for part in reply:
                if isinstance(part, Exception):
                    return part
    return None
