"""A batch of a merge, as a script: key by key, and only those keys that nobody has written since the merge looked.

    EVAL script numkeys hybrid:log hybrid:merged [key ...] place mark [key count guard ... count command ...] ...

A key is left alone if a command in the log behind `place` names one of its guards, which are itself as a rule, and what
goes with it: as its own key, or among its arguments, which the script cannot tell apart. WATCH would not see a write
that changed nothing: a `DEL` of a key that was not there is newer than the value that is about to be put there. And one
key that is written would hold up all others.

`mark` says how far the merge has got, which keys it has left alone, and of which a command failed; those of this batch
are added. Returns these, too. If the mark cannot be set nothing is done, and the error is returned: a store
that is full or read-only refuses it as it would all others.

No command is too long for Lua, whose stack takes about 7,900 arguments: what is logged has at most 32 KiB or 4,000
words, and a step of a copy 5,200 arguments.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from hybrid.core.resp import pack, unpack_all
from hybrid.core.scripts import FLOAT_SUM

__all__ = ["Mark", "Step", "merge_call"]

SCRIPT: Final = (
    FLOAT_SUM
    + r"""
local function parse(packed)
  local args, at = {}, string.find(packed, '\n', 1, true) + 1
  while at < #packed do
    local stop = string.find(packed, '\r\n', at, true)
    local last = stop + 1 + tonumber(string.sub(packed, at + 1, stop - 1))
    args[#args + 1], at = string.sub(packed, stop + 2, last), last + 3
  end
  return args
end

local emptied, named, about_keys = false, {}, {s = true, v = true, t = true, i = true}
local function look(field, payload)
  if field == 'f' or field == 'r' then emptied = true end
  for _, arg in ipairs(about_keys[field] and (field == 's' and {payload} or parse(payload)) or {}) do
    named[arg] = true
  end
end

for _, entry in ipairs(redis.call('XRANGE', KEYS[1], '(' .. ARGV[1], '+')) do
  for i = 1, #entry[2], 2 do look(entry[2][i], entry[2][i + 1]) end
end

local function failed(command)
  local args = parse(command)
  local reply
  if string.upper(args[1]) == 'INCRBYFLOAT' then reply = float_sum(args[2], args[3])
  else reply = redis.pcall(unpack(args)) end
  return type(reply) == 'table' and reply.err
end

local marked = redis.pcall('SET', KEYS[2], ARGV[2])
if marked.err then return marked end
local left, refused, i = {}, {}, 3
while ARGV[i] do
  local key, guards = ARGV[i], i + 1 + ARGV[i + 1]
  local last, written = guards + 1 + ARGV[guards + 1], emptied and guards > i + 1
  for g = i + 2, guards do written = written or named[ARGV[g]] end
  if written then left[#left + 1] = key
  else
    local any = false
    for c = guards + 2, last do any = failed(ARGV[c]) or any end
    if any then refused[#refused + 1] = key end
  end
  i = last + 1
end
local function note(word, keys)
  for _, key in ipairs(keys) do
    redis.call('APPEND', KEYS[2], '*2\r\n$1\r\n' .. word .. '\r\n$' .. #key .. '\r\n' .. key .. '\r\n')
  end
end
note('k', left)
note('r', refused)
return {left, refused}
"""
).strip()


class Step(NamedTuple):
    """The packed commands that a key is merged by, only if nobody has written one of its `guards`. `conflict`: they
    archive one of its two values."""

    key: bytes
    commands: Sequence[bytes]
    guards: tuple[bytes, ...] = ()
    conflict: bool = False


class Mark(NamedTuple):
    """How far the merge of the tail that ends at `end` has got: up to the key `done`, but for those `left` alone. Of
    `refused` a command failed, and what becomes of them is not settled yet. `began`: how far the authority's log was
    when the merge began, however often it is interrupted."""

    end: bytes
    began: bytes
    done: bytes
    left: frozenset[bytes] = frozenset()
    refused: frozenset[bytes] = frozenset()

    def record(self, alone: Sequence[bytes] = (), failed: Sequence[bytes] = ()) -> bytes:
        """As it stands on the authority once the script has left these keys alone, too, and failed with the others."""
        pairs = [(b"k", (self.end, self.began, self.done, *sorted(self.left))), (b"r", sorted(self.refused))]
        pairs += [(b"k", alone), (b"r", failed)]
        return b"".join(pack((word, part)) for word, parts in pairs for part in parts)

    @classmethod
    def parse(cls, record: bytes | None) -> Mark | None:
        """None for anything else."""
        try:
            pairs = [(word, part) for word, part in unpack_all(record or b"")]
            end, began, done, *left = (part for word, part in pairs if word == b"k")
        except ValueError:
            return None
        return cls(end, began, done, frozenset(left), frozenset(part for word, part in pairs if word == b"r"))


def merge_call(log: bytes, merged: bytes, place: bytes, mark: Mark, steps: Sequence[Step]) -> bytes:
    """The packed call."""
    keys = (log, merged, *dict.fromkeys(step.key for step in steps))
    parts: list[bytes | int] = []
    for step in steps:
        parts += step.key, len(step.guards), *step.guards, len(step.commands), *step.commands
    return pack(("EVAL", SCRIPT, len(keys), *keys, place, mark.record(), *parts))
