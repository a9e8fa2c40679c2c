"""Copy many small keys in one step: the source packs their DUMPs into one reply, the other store RESTOREs them all.

The values pass through this process as one opaque string, so it costs next to nothing here, and one round trip for
hundreds of keys on either side. Only between servers that understand each other's dumps: that shows at the first one.
A key that is big, or that a server will not dump, is left to the typed copy (`hybrid.replication.copy`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha1
from typing import Any, Final, NamedTuple

from hybrid.core.authority import Position, position
from hybrid.core.resp import pack
from hybrid.core.shipping import failed
from hybrid.errors import HybridError
from hybrid.replication.copy import temporary_key
from hybrid.replication.stream import Stream
from hybrid.stores.capabilities import Capabilities

__all__ = ["LOAD_RESTORE", "PACKED_KEYS", "Packed", "PackedCopy", "dump_command", "packed_of", "restore_command"]

PACKED_KEYS: Final = 250
BIG_BYTES: Final = 64 * 1024
PACKED_BYTES: Final = 256 * 1024
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


class PackedCopy:
    """Copies keys over `stream`, as long as both stores take part.

    `skip` learns up to which place of the log the copied state of a key reaches, and `note_ahead` hears of that place
    before anything is sent. A refusal is remembered until the other store is lost: it may come back as another server.
    """

    def __init__(self, stream: Stream, skip: dict[bytes, Position], note_ahead: Callable[[Position], None]) -> None:
        self._stream = stream
        self._skip = skip
        self._note_ahead = note_ahead
        self._other = stream.endpoints[stream.target]
        self._tried = False

    @property
    def works(self) -> bool:
        """Whether it is known by now that both stores take part."""
        return self._tried and not self._other.refuses_dumps

    def copy(self, keys: Sequence[bytes]) -> list[bytes]:
        """Copy what can go packed; the result is left to be copied by type."""
        stream = self._stream
        by_type: list[bytes] = []
        rest = keys
        while rest and self._can_pack():
            stream.keep_going()
            some = rest[:PACKED_KEYS]
            reply = stream.states.exchange(dump_command(stream.names.log, some), 1)[0]
            if isinstance(reply, Exception):
                self._other.refuses_dumps = True
                break
            packed = packed_of(some, reply)
            rest = [*packed.rest, *rest[PACKED_KEYS:]] if packed.rest else rest[PACKED_KEYS:]
            by_type += packed.left
            if packed.keys:
                self._note_ahead(packed.place)
                self._skip.update(dict.fromkeys(packed.keys, packed.place))
                stream.push(restore_command(packed.values), 1, self._restored)
                stream.flush()
        return [*by_type, *rest]

    def _can_pack(self) -> bool:
        """Whether the other store reads the source's dumps: tried with a record that each authority has."""
        if not self._tried:
            self._tried = True
            stream = self._stream
            source = stream.endpoints[stream.source].known_capabilities(stream.states)
            if not self._other.refuses_dumps:
                own = is_own(source) and is_own(stream.capabilities)
                self._other.refuses_dumps = not (own and self._reads_dumps())
        return not self._other.refuses_dumps

    def _reads_dumps(self) -> bool:
        stream = self._stream
        dump = stream.states.exchange(pack((b"DUMP", stream.names.authority)), 1)[0]
        if not isinstance(dump, bytes):
            return False
        trial = temporary_key()
        payload = LOAD_RESTORE + pack((b"RESTORE", trial, 0, dump)) + pack((b"DEL", trial))
        stream.await_replies()
        with stream.target_errors():
            return failed(stream.pipe.wire.exchange(payload, 3)) is None

    def _restored(self, replies: list[Any]) -> None:
        if (error := failed(replies)) is not None:
            self._other.refuses_dumps = True
            raise HybridError(f"a packed copy was refused, the next goes by type: {error}")


def is_own(can: Capabilities) -> bool:
    """Whether it is a server of our own, where what a script does is not billed."""
    return can.has_pexpiretime and can.has_memory_usage and can.flavour != "unknown"
