"""A batch of a merge as a script, which sees what WATCH does not: a write that changed nothing. A `DEL` of a key that
was not there is newer than the value that is about to be put there, and the key must stay away.

    EVAL script numkeys hybrid:log [the guarded keys ...] place command [command ...]

Runs the packed commands, unless a command in the log behind `place` names a guarded key: as its own, or among its
arguments, which the script cannot tell apart. Returns 1 and the commands' errors, empty where there is none, or else 0
and the guarded keys that are named. If the first command fails, none is run, and its error is returned: a store that is
full or read-only refuses it as it would all others.

No command is too long for Lua, whose stack takes about 7,900 arguments: what is logged has at most 32 KiB, and a step
of a copy 5,200 arguments.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from hybrid.core.resp import first_args, pack

__all__ = ["guarded_run"]

CRASHES: Final = b"INCRBYFLOAT"
"""In a script of Redis 6.2: see `hybrid.core.scripts`."""

SCRIPT: Final = r"""
local function parse(packed)
  local args, at = {}, string.find(packed, '\n', 1, true) + 1
  while at < #packed do
    local stop = string.find(packed, '\r\n', at, true)
    local last = stop + 1 + tonumber(string.sub(packed, at + 1, stop - 1))
    args[#args + 1], at = string.sub(packed, stop + 2, last), last + 3
  end
  return args
end

local guarded, about_keys = {}, {s = true, v = true, t = true, i = true}
for i = 2, #KEYS do guarded[KEYS[i]] = true end

local concerned, named = false, {}
local function look(field, payload)
  if field == 'f' or field == 'r' then concerned = true end
  for _, arg in ipairs(about_keys[field] and (field == 's' and {payload} or parse(payload)) or {}) do
    if guarded[arg] then concerned, named[#named + 1] = true, arg end
  end
end

for _, entry in ipairs(redis.call('XRANGE', KEYS[1], '(' .. ARGV[1], '+')) do
  for i = 1, #entry[2], 2 do look(entry[2][i], entry[2][i + 1]) end
end
if concerned then return {0, named} end

local errors = {}
for i = 2, #ARGV do
  local reply = redis.pcall(unpack(parse(ARGV[i])))
  errors[i - 1] = type(reply) == 'table' and reply.err or ''
  if i == 2 and errors[1] ~= '' then return reply end
end
return {1, errors}
""".strip()


def guarded_run(log: bytes, place: bytes, guarded: Iterable[bytes], commands: Sequence[bytes]) -> bytes | None:
    """The packed call. None for what no script can run: then a write that changes nothing is not seen."""
    if any(first_args(command, 1)[0].upper() == CRASHES for command in commands):
        return None
    keys = (log, *guarded)
    return pack(("EVAL", SCRIPT, len(keys), *keys, place, *commands))
