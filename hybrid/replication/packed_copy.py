"""Copy many small keys in one step: the source packs their DUMPs into one reply, the other store RESTOREs them all.

The values pass through this process as one opaque string, so it costs next to nothing here, and one round trip for
hundreds of keys on either side. Only between servers that understand each other's dumps: that shows at the first one.
A key that is big, or that a server will not dump, is left to the typed copy (`hybrid.replication.copy`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha1
from typing import Any, Final, NamedTuple, Protocol

from hybrid.core.authority import Position, position
from hybrid.core.names import Names
from hybrid.core.resp import pack
from hybrid.core.shipping import failed
from hybrid.errors import HybridError
from hybrid.replication.copy import temporary_key
from hybrid.stores.capabilities import Capabilities
from hybrid.stores.endpoint import Endpoint
from hybrid.stores.wire import Wire

__all__ = ["LOAD_RESTORE", "PACKED_KEYS", "Packed", "PackedCopy", "dump_command", "packed_of", "restore_command"]

PACKED_KEYS: Final = 500
BIG_BYTES: Final = 64 * 1024
PACKED_BYTES: Final = 512 * 1024
"""No script may keep a server from its other clients for more than a few milliseconds."""

DUMP_SCRIPT: Final = b"""
-- KEYS[1] the log, the others to be dumped; ARGV: bytes of one key, of all. What is packed is key, dump, expiry, ...
-- Returns [packed, last log id, how many were looked at, index of each that is left out].
local packed, left, size, seen = {}, {}, 0, 0
for i = 2, #KEYS do
  if size > tonumber(ARGV[2]) then break end
  seen = seen + 1
  local key = KEYS[i]
  local memory = redis.call('MEMORY', 'USAGE', key)
  if not memory then
    packed[#packed + 1], packed[#packed + 2], packed[#packed + 3] = key, false, 0
  elseif memory > tonumber(ARGV[1]) then
    left[#left + 1] = seen
  else
    local dump = redis.pcall('DUMP', key)
    if type(dump) == 'string' then
      size = size + #dump
      packed[#packed + 1], packed[#packed + 2] = key, dump
      packed[#packed + 1] = math.max(redis.call('PEXPIRETIME', key), 0)
    else
      left[#left + 1] = seen
    end
  end
end
local log, last = redis.pcall('XINFO', 'STREAM', KEYS[1]), '0-0'
for i = 1, #log, 2 do
  if log[i] == 'last-generated-id' then last = log[i + 1] end
end
return {cmsgpack.pack(packed), last, seen, left}
"""

RESTORE_SCRIPT: Final = b"""
-- ARGV[1] as packed above. Every key is tried; fails with the first refusal.
local packed, refused = cmsgpack.unpack(ARGV[1]), nil
for i = 1, #packed, 3 do
  if packed[i + 1] then
    local done = redis.pcall('RESTORE', packed[i], packed[i + 2], packed[i + 1], 'REPLACE', 'ABSTTL')
    if done.err then refused = refused or done end
  else
    redis.call('DEL', packed[i])
  end
end
return refused or redis.status_reply('OK')
"""

_RESTORE_SHA: Final = sha1(RESTORE_SCRIPT).hexdigest()
LOAD_RESTORE: Final = pack((b"SCRIPT", b"LOAD", RESTORE_SCRIPT))


class Packed(NamedTuple):
    """`values` is what `restore_command` takes; the states of `keys` as of the place `place` of the log. `left` are to
    be copied by type, `rest` were not looked at yet."""

    values: bytes
    place: Position
    keys: Sequence[bytes]
    left: Sequence[bytes]
    rest: Sequence[bytes]


def dump_command(log: bytes, keys: Sequence[bytes]) -> bytes:
    """The request that packs `keys`, at most `PACKED_KEYS`; its reply goes to `packed_of`."""
    return pack((b"EVAL", DUMP_SCRIPT, len(keys) + 1, log, *keys, BIG_BYTES, PACKED_BYTES))


def packed_of(keys: Sequence[bytes], reply: Any) -> Packed:
    values, last, seen, left = reply
    gone = {index - 1 for index in left}
    return Packed(
        values=values,
        place=position(last),
        keys=[key for index, key in enumerate(keys[:seen]) if index not in gone],
        left=[keys[index] for index in sorted(gone)],
        rest=keys[seen:],
    )


def restore_command(values: bytes) -> bytes:
    """The request that gives the keys their states; the reply is an error when the server refused one of them."""
    return pack((b"EVALSHA", _RESTORE_SHA, 0, values))


class Target(Protocol):
    """The way to the other store, on which copies and replays follow each other."""

    def ask(self, payload: bytes, count: int) -> list[Any]:
        """The replies, once everything sent before is answered."""

    def push(self, payload: bytes, count: int, done: Callable[[list[Any]], None]) -> None:
        """Send without waiting; `done` gets the replies."""


class PackedCopy:
    """Copies keys from the store behind `states` to `target`, as long as both take part.

    `source` and `other` are their endpoints, `can` what the other one can do. A refusal is remembered until the other store is lost: it may then come
    back as another server.
    """

    def __init__(
        self, names: Names, states: Wire, source: Endpoint, other: Endpoint, target: Target, can: Capabilities
    ) -> None:
        self._names = names
        self._states = states
        self._source = source
        self._other = other
        self._target = target
        self._can = can
        self._tried = False

    def copy(self, keys: Sequence[bytes], skip: dict[bytes, Position], keep_going: Callable[[], None]) -> list[bytes]:
        """Copy what can go packed, and note in `skip` up to which place of the log; the rest is to go by type.

        `keep_going` is called before each batch. Raises what it and the target raise, NotSent or ReplyLost when the
        source is lost.
        """
        by_type: list[bytes] = []
        rest = keys
        while rest and self._can_pack():
            keep_going()
            some = rest[:PACKED_KEYS]
            reply = self._states.exchange(dump_command(self._names.log, some), 1)[0]
            if isinstance(reply, Exception):
                self._other.refuses_dumps = True
                break
            packed = packed_of(some, reply)
            rest = [*packed.rest, *rest[PACKED_KEYS:]] if packed.rest else rest[PACKED_KEYS:]
            by_type += packed.left
            if packed.keys:
                skip.update(dict.fromkeys(packed.keys, packed.place))
                self._target.push(restore_command(packed.values), 1, self._restored)
        return [*by_type, *rest]

    def _can_pack(self) -> bool:
        """Whether the other store reads the source's dumps: tried with a record that each authority has."""
        if not self._tried:
            self._tried = True
            source = self._source.known_capabilities(self._states)
            if not self._other.refuses_dumps:
                self._other.refuses_dumps = not (is_own(source) and is_own(self._can) and self._reads_dumps())
        return not self._other.refuses_dumps

    def _reads_dumps(self) -> bool:
        dump = self._states.exchange(pack((b"DUMP", self._names.authority)), 1)[0]
        if not isinstance(dump, bytes):
            return False
        trial = temporary_key()
        payload = LOAD_RESTORE + pack((b"RESTORE", trial, 0, dump)) + pack((b"DEL", trial))
        return failed(self._target.ask(payload, 3)) is None

    def _restored(self, replies: list[Any]) -> None:
        if (error := failed(replies)) is not None:
            self._other.refuses_dumps = True
            raise HybridError(f"a packed copy was refused, the next goes by type: {error}")


def is_own(can: Capabilities) -> bool:
    """Whether it is a server of our own, where what a script does is not billed."""
    return can.has_pexpiretime and can.has_memory_usage and can.flavour != "unknown"
