"""Copy many small keys in one step: the source makes the very commands that RESTORE them on the other store.

They pass through this process as one opaque string, so they cost next to nothing here, and one round trip for
hundreds of keys on either side. Only between servers that understand each other's dumps: that shows at the first one.
A key that is big, or that a server will not dump, is left to the typed copy (`hybrid.replication.copy`).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final, NamedTuple

from hybrid.core.authority import Position
from hybrid.core.lua import CLOCK
from hybrid.core.resp import pack
from hybrid.core.shipping import Entry, failed
from hybrid.core.state_replies import place_in
from hybrid.core.window import Window
from hybrid.errors import HybridError
from hybrid.replication.copied import Copied
from hybrid.replication.copy import temporary_key
from hybrid.replication.stream import Stream
from hybrid.stores.capabilities import Capabilities, capabilities_of

__all__ = ["DumpRefused", "PackedCopy"]

PACKED_KEYS: Final = 500
_MULTI, _EXEC = pack(("MULTI",)), pack(("EXEC",))
REPLIES: Final = 5
"""To one request for packed keys, which is a transaction of three commands."""
BIG_BYTES: Final = 64 * 1024
PACKED_BYTES: Final = 256 * 1024
PACKED_S: Final = 0.001
"""What a script may take of the server's own processor time: its other clients wait meanwhile. With twice as much a
full copy took as long."""
REST_KEY_BYTES, REST_BYTES, REST_S = 1024 * 1024, 2 * 1024 * 1024, 0.02
"""The same while nobody writes, and writers wait: what is left out costs more round trips than they have patience."""
LEFT_KEYS: Final = 200
"""After so many keys that are to be copied by type that is done, so that they need not all be remembered."""

_DUMP: Final = r"""
-- KEYS to be dumped; ARGV: bytes of one key, of all, seconds.
-- Returns [commands, how many keys were looked at, index of each that is left out].
local call = redis.call
local most_bytes, all_bytes, until_s = tonumber(ARGV[1]), tonumber(ARGV[2]), clock() + ARGV[3]
local commands, n, left, size, seen = {}, 0, {}, 0, 0

-- A text with a length in it, made once for each length.
local function by_length(before, after)
  return setmetatable({}, {__index = function(known, length)
    known[length] = before .. length .. after
    return known[length]
  end})
end
local restore, unlink = by_length('*6\r\n$7\r\nRESTORE\r\n$', '\r\n'), by_length('*2\r\n$6\r\nUNLINK\r\n$', '\r\n')
local lasting, length = by_length('\r\n$1\r\n0\r\n$', '\r\n'), by_length('$', '\r\n')
local last_part = '\r\n$7\r\nREPLACE\r\n$6\r\nABSTTL\r\n'
local function expiring(moment, size)
  local text = string.format('%.0f', moment)
  return '\r\n' .. length[#text] .. text .. '\r\n' .. length[size]
end

for i = 1, #KEYS do
  local key = KEYS[i]
  local memory = call('MEMORY', 'USAGE', key)
  local dump = memory and memory <= most_bytes and redis.pcall('DUMP', key)
  if type(dump) == 'string' then
    local moment = call('PEXPIRETIME', key)
    commands[n + 1], commands[n + 2] = restore[#key], key
    commands[n + 3] = moment > 0 and expiring(moment, #dump) or lasting[#dump]
    commands[n + 4], commands[n + 5] = dump, last_part
    n, size = n + 5, size + #dump
  elseif memory then
    left[#left + 1] = i
  else
    commands[n + 1], commands[n + 2], commands[n + 3] = unlink[#key], key, '\r\n'
    n = n + 3
  end
  seen = i
  if size > all_bytes or (i % 16 == 0 and clock() > until_s) then break end
end
return {table.concat(commands), seen, left}
"""

DUMP_SCRIPT: Final = (CLOCK + _DUMP).encode()

_REST: Final = r"""
-- KEYS[1] the log; ARGV beyond those below: behind which entry, how many entries.
-- Returns [entries, XINFO of the log, the keys that go by state there, what is said below of these].
local entries = redis.call('XRANGE', KEYS[1], '(' .. ARGV[4], '+', 'COUNT', ARGV[5])
local info = redis.call('XINFO', 'STREAM', KEYS[1])
local KEYS, known = {}, {}
for _, entry in ipairs(entries) do
  local fields = entry[2]
  for i = 1, #fields, 2 do
    local key = fields[i + 1]
    if fields[i] == 's' and not known[key] then known[key], KEYS[#KEYS + 1] = true, key end
  end
end
local function packed_states()
"""

REST_SCRIPT: Final = (CLOCK + _REST + _DUMP + "end\nreturn {entries, info, KEYS, packed_states()}").encode()


class DumpRefused(HybridError):
    """The other store reads the source's dumps, but not this one: that of a hash whose fields have all expired, say."""


class Packed(NamedTuple):
    """`commands` give `keys`, one each, their states as of the place `place` of the log. `left` are to be copied by
    type, `rest` were not looked at yet."""

    commands: bytes
    place: Position
    keys: Sequence[bytes]
    left: Sequence[bytes]
    rest: Sequence[bytes]


class _Asked(NamedTuple):
    """Keys that the source was asked to pack, and when (monotonic clock)."""

    keys: list[bytes]
    asked_s: float


class _Waiting:
    """Keys whose turn has not come yet; false when none is left."""

    def __init__(self, keys: Iterable[bytes]) -> None:
        self._first: deque[bytes] = deque()
        self._others = iter(keys)

    def __bool__(self) -> bool:
        self._first.extend(islice(self._others, 0 if self._first else 1))
        return bool(self._first)

    def take(self, most: int) -> list[bytes]:
        first = [self._first.popleft() for _ in range(min(most, len(self._first)))]
        return [*first, *islice(self._others, most - len(first))]

    def put_back(self, keys: Sequence[bytes]) -> None:
        self._first.extendleft(reversed(keys))


def dump_command(keys: Sequence[bytes]) -> bytes:
    """The request that packs `keys`, at most `PACKED_KEYS`; its reply goes to `packed_of`."""
    return pack((b"EVAL", DUMP_SCRIPT, len(keys), *keys, BIG_BYTES, PACKED_BYTES, PACKED_S))


def rest_command(log: bytes, after: bytes, count: int) -> bytes:
    """The request for at most `count` entries behind `after`, with the keys that go by state there packed; its reply
    goes to `rest_of`."""
    return pack((b"EVAL", REST_SCRIPT, 1, log, REST_KEY_BYTES, REST_BYTES, REST_S, after, count))


def rest_of(reply: Any) -> tuple[list[Entry], Packed]:
    entries, info, keys, packed = reply
    return entries, packed_of(keys, packed, place_in(info))


def packed_of(keys: Sequence[bytes], reply: Any, place: Position) -> Packed:
    """What the source packed of `keys` at this place of its log."""
    commands, seen, left = reply
    gone = {index - 1 for index in left}
    return Packed(
        commands=commands,
        place=place,
        keys=[key for index, key in enumerate(keys[:seen]) if index not in gone],
        left=[keys[index] for index in sorted(gone)],
        rest=keys[seen:],
    )


class PackedCopy:
    """Copies keys over `stream`, as long as both stores take part.

    `copied` learns how far the states reach, before anything is sent. A refusal is remembered until the other store is
    lost: it may come back as another server.
    """

    def __init__(self, stream: Stream, copied: Copied) -> None:
        self._stream = stream
        self._copied = copied
        self._other = stream.endpoints[stream.target]
        self._tried = False
        self._window = Window()

    @property
    def works(self) -> bool:
        """Whether it is known by now that both stores take part."""
        return self._tried and not self._other.refuses_dumps

    def copy(self, keys: Iterable[bytes]) -> Iterator[list[bytes]]:
        """Copy what can go packed; the results are to be copied by type, which may be done over the same wires.

        The source packs the next keys while the other store takes what was read; `keys` are asked for when it is their
        turn.
        """
        waiting = _Waiting(keys)
        while waiting and self.can_pack():
            try:
                by_type = self._copy(waiting)
            except BaseException:
                self._stream.states.disconnect()  # a reply may still be due there
                raise
            if by_type:
                yield by_type
        while waiting:
            yield waiting.take(LEFT_KEYS)

    def _copy(self, waiting: _Waiting) -> list[bytes]:
        """Until nothing waits, or the source refuses, or what is to be copied by type, which is the result, is much."""
        stream, states = self._stream, self._stream.states
        by_type: list[bytes] = []
        asked: deque[_Asked] = deque()

        def ask() -> None:
            while len(asked) < self._window.size and len(by_type) < LEFT_KEYS and not self._other.refuses_dumps:
                if not (keys := waiting.take(PACKED_KEYS)):
                    return
                asked_with = self._copied.place_command() + pack(stream.names.ask_marks)
                states.send(_MULTI + dump_command(keys) + asked_with + _EXEC, REPLIES)
                asked.append(_Asked(keys, time.monotonic()))

        ask()
        while asked:
            keys, asked_s = asked.popleft()
            if not states.has_replies():
                stream.snapshots.attend()
            *_, replies = states.receive(REPLIES)
            self._window.took(time.monotonic() - asked_s)
            if isinstance(replies, Exception) or isinstance(replies[0], Exception):
                self._other.refuses_dumps = True
                waiting.put_back(keys)
                continue
            stream.opening.check_source(replies[2])
            place, ahead = self._copied.reached(replies[1])
            packed = packed_of(keys, replies[0], place)
            by_type += packed.left
            waiting.put_back(packed.rest)
            self.noted(packed, ahead)
            ask()
            self.restore(packed)
            stream.keep_going()
        return by_type

    def restore(self, packed: Packed) -> None:
        """Have the other store take what was packed."""
        if packed.keys:
            self._stream.push(packed.commands, len(packed.keys), self._restored)
            self._stream.flush()

    def noted(self, packed: Packed, ahead: Sequence[Entry] | None = None) -> None:
        """Remember how far the states reach, before anything of them is sent."""
        if packed.keys:
            self._copied.note(dict.fromkeys(packed.keys, packed.place), packed.place, ahead)

    def can_pack(self) -> bool:
        """Whether the other store reads the source's dumps: tried with a record that each authority has."""
        if not self._tried:
            self._tried = True
            stream = self._stream
            source = capabilities_of(stream.snapshots)
            if not self._other.refuses_dumps:
                # On a cluster no script sees all of the keys.
                own = is_own(source) and not source.is_cluster and is_own(stream.capabilities)
                self._other.refuses_dumps = not (own and self._reads_dumps())
        return not self._other.refuses_dumps

    def _reads_dumps(self) -> bool:
        stream = self._stream
        dump = stream.states.exchange(pack((b"DUMP", stream.names.authority)), 1)[0]
        if not isinstance(dump, bytes):
            return False
        trial = temporary_key(stream.names.authority)
        payload = pack((b"RESTORE", trial, 0, dump)) + pack((b"DEL", trial))
        stream.await_replies()
        with stream.target_errors():
            return failed(stream.pipe.wire.exchange(payload, 2)) is None

    def _restored(self, replies: list[Any]) -> None:
        if (error := failed(replies)) is not None:
            self._other.refuses_dumps = True
            raise DumpRefused(f"a packed copy was refused, the next goes by type: {error}")


def is_own(can: Capabilities) -> bool:
    """Whether it is a server of our own, where what a script does is not billed."""
    return can.has_pexpiretime and can.has_memory_usage and can.flavour != "unknown"
