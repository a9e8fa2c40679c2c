"""Lua that digests keys on the server, a slice at a time, so that values do not travel.

All take KEYS and ARGV: "1" or "0" each for: hash fields can expire here; stream counters are compared; PEXPIRETIME is
there. Elements and their sums are those of `hybrid.core.fingerprint`. A slice stops early when it has worked enough,
so that the server is never held long; a key that is big is only named, and read by `PIECE_SCRIPT`.
"""

from __future__ import annotations

from hashlib import sha1
from typing import Final

from hybrid.core.cost import PIECE_ELEMENTS, PIECE_TOTAL_BYTES, SLICE_BYTES
from hybrid.core.fingerprint import DELIVERY_BUCKET_MS, PIECE_BYTES
from hybrid.core.lua import CLOCK

__all__ = ["FACTS_SCRIPT", "PIECE_SCRIPT", "QUICK_SCRIPT", "sha_of"]

BIG_BYTES: Final = 8 * 1024
SLICE_ELEMENTS: Final = 800
SLICE_S: Final = 0.0015

_PRELUDE = r"""
local call, sha1hex, sub, format = redis.call, redis.sha1hex, string.sub, string.format
local can_field_ttl, counted, can_pexpiretime = ARGV[1] == '1', ARGV[2] == '1', ARGV[3] == '1'
local LANE = 281474976710656

local out, n = {}, 0
local function emit(element) n = n + 1; out[n] = element end

local function lanes(from)
  if n < from then return '-' end
  local one, two, three = 0, 0, 0
  for i = from, n do
    local digest = sha1hex(out[i])
    one = one + tonumber(sub(digest, 1, 12), 16)
    two = two + tonumber(sub(digest, 13, 24), 16)
    three = three + tonumber(sub(digest, 25, 36), 16)
    if i % 16 == 0 then one, two, three = one % LANE, two % LANE, three % LANE end
  end
  return format('%.0f.%.0f.%.0f', one % LANE, two % LANE, three % LANE)
end

local function expiry(key)
  if can_pexpiretime then return call('PEXPIRETIME', key) end
  local left = call('PTTL', key)
  if left < 0 then return left end
  local now = call('TIME')
  return now[1] * 1000 + math.floor(now[2] / 1000) + left
end

local function emit_string(value, offset)
  if sub(value, 1, 4) == 'HYLL' and offset == 0 then value = sub(value, 1, 8) .. sub(value, 17) end
  emit((offset == 0 and '0:' or format('%.0f:', offset)) .. value)
end

local function emit_pairs(key, pairs)
  local fields, size = {}, 0
  for i = 1, #pairs, 2 do
    local field, value = pairs[i], pairs[i + 1]
    emit(#field .. ':' .. field .. value)
    fields[#fields + 1] = field
    size = size + #field + #value
  end
  if can_field_ttl and #fields > 0 then
    local moments = call('HPEXPIRETIME', key, 'FIELDS', #fields, unpack(fields))
    for i = 1, #moments do
      if moments[i] >= 0 then emit('#' .. format('%.0f', moments[i]) .. ':' .. fields[i]) end
    end
  end
  return size
end

local function emit_scores(pairs)
  local size = 0
  for i = 1, #pairs, 2 do
    emit(format('%.17g:', tonumber(pairs[i + 1]) + 0) .. pairs[i])
    size = size + #pairs[i] + #pairs[i + 1]
  end
  return size
end

local function emit_items(items, index)
  local size = 0
  for i = 1, #items do
    emit(format('%.0f:', index + i - 1) .. items[i])
    size = size + #items[i]
  end
  return size
end

local function emit_members(members)
  local size = 0
  for i = 1, #members do
    emit(members[i])
    size = size + #members[i]
  end
  return size
end

local function emit_entries(entries)
  local size = 0
  for i = 1, #entries do
    local parts = {entries[i][1]}
    size = size + #entries[i][1]
    for _, part in ipairs(entries[i][2] or {}) do
      parts[#parts + 1] = ':' .. #part .. ':' .. part
      size = size + #part
    end
    emit(table.concat(parts))
  end
  return size
end

local function map(flat)
  local facts = {}
  for i = 1, #flat, 2 do facts[flat[i]] = flat[i + 1] end
  return facts
end

local function emit_stream_facts(info)
  emit('last:' .. info['last-generated-id'])
  if counted then
    emit('added:' .. format('%.0f', info['entries-added']))
    emit('deleted:' .. info['max-deleted-entry-id'])
  end
end

local function emit_groups(groups)
  for _, flat in ipairs(groups) do
    local group = map(flat)
    local name = #group['name'] .. ':' .. group['name']
    local read = counted and group['entries-read'] and format('%.0f', group['entries-read']) or '-'
    emit('g' .. name .. group['last-delivered-id'] .. ':' .. read)
    for _, consumer in ipairs(group['consumers']) do emit('c' .. name .. map(consumer)['name']) end
    for _, p in ipairs(group['pending']) do
      emit('p' .. name .. p[1] .. format(':%.0f:%.0f:', p[4], math.floor(p[3] / BUCKET)) .. p[2])
    end
  end
end

-- Emits all of a key; returns its size and whether its order is a matter of chance, or nothing when it is big.
-- For a stream also the place where its groups begin.
local function emit_key(key, kind)
  if kind == 'string' then
    local value = call('GETRANGE', key, 0, PIECE_BYTES - 1)
    if #value == PIECE_BYTES then return end
    emit_string(value, 0)
    return #value
  end
  if call('MEMORY', 'USAGE', key) > BIG_BYTES then return end
  if kind == 'hash' then return emit_pairs(key, call('HGETALL', key)), true end
  if kind == 'list' then return emit_items(call('LRANGE', key, 0, -1), 0) end
  if kind == 'set' then return emit_members(call('SMEMBERS', key)), true end
  if kind == 'zset' then return emit_scores(call('ZRANGE', key, 0, -1, 'WITHSCORES')) end
  if kind == 'stream' then
    local info = map(call('XINFO', 'STREAM', key, 'FULL', 'COUNT', 0))
    local size = emit_entries(info['entries'])
    emit_stream_facts(info)
    local groups_from = n + 1
    emit_groups(info['groups'])
    return size, true, groups_from
  end
end
"""

_QUICK = r"""
-- Returns [keys done, digest of all of them together, indexes of keys that are big, of keys that are not there].
-- ARGV[4]: "1" to digest what DUMP says where its form follows from the content, which is a third of the work. Between
-- servers that keep the same content in other forms that finds too many differences: the facts then put it right.
local FORMED = {[0] = true, [5] = true, [11] = true, [14] = true, [16] = true, [17] = true, [18] = true}
local dumps = ARGV[4] == '1'
local parts, count, bytes, done, big, absent = {}, 0, 0, 0, {}, {}
local function put(part) count = count + 1; parts[count] = part end

local function put_typed(key)
  local kind = call('TYPE', key).ok
  put(kind)
  if kind == 'none' then return end
  n, out = 0, {}
  local size, any_order = emit_key(key, kind)
  if not size then return true end
  bytes = bytes + size
  if any_order and n > 1 then table.sort(out) end
  for i = 1, n do
    put(#out[i])
    put(out[i])
  end
end

for i = 1, #KEYS do
  local key = KEYS[i]
  local usage = call('MEMORY', 'USAGE', key)
  if usage then
    local too_big = usage > BIG_BYTES
    if not too_big then
      local dump = dumps and call('DUMP', key)
      if dump and FORMED[string.byte(dump)] then
        bytes = bytes + #dump
        put(sub(dump, 1, -11))  -- without the version of the form and the sum that covers it
      else
        too_big = put_typed(key)
      end
    end
    if too_big then big[#big + 1] = i end
    put(expiry(key))
  else
    put('none')
    absent[#absent + 1] = i
  end
  done = i
  if count > 4 * SLICE_ELEMENTS or bytes > SLICE_BYTES then break end
end
return {done, sha1hex(table.concat(parts, ',')), big, absent}
"""

_FACTS = (
    CLOCK
    + r"""
-- Returns one text for each key done: "none", "<kind> big", or kind, sum, sum of groups, expiry, size.
local until_s = clock() + SLICE_S
local replies, elements, bytes = {}, 0, 0
for i = 1, #KEYS do
  local key = KEYS[i]
  local kind = call('TYPE', key).ok
  if kind == 'none' then
    replies[i] = kind
  else
    n = 0
    local size, _, groups_from = emit_key(key, kind)
    if size then
      local groups = '-'
      local moment = format('%.0f', expiry(key))
      if groups_from then
        groups = lanes(groups_from)
        n = groups_from - 1
      end
      replies[i] = kind .. ' ' .. lanes(1) .. ' ' .. groups .. ' ' .. moment .. ' ' .. size
      elements, bytes = elements + n, bytes + size
    else
      replies[i] = kind .. ' big'
    end
  end
  if elements > SLICE_ELEMENTS or bytes > SLICE_BYTES or clock() > until_s then break end
end
return replies
"""
)

_PIECE = r"""
-- ARGV: ..., kind, cursor. Returns [next cursor ("" at the end), sum of this piece, its elements that count, size,
-- the length of the whole], of a stream the entries alone; an error when the key is of another type.
local key, kind, cursor = KEYS[1], ARGV[4], ARGV[5]
if kind == 'string' then
  local offset = tonumber(cursor)
  local length, size, last = call('STRLEN', key), 0, offset
  while last < length and last < offset + PIECE_TOTAL_BYTES do
    local value = call('GETRANGE', key, last, last + PIECE_BYTES - 1)
    emit_string(value, last)
    size = size + #value
    last = last + PIECE_BYTES
  end
  return {last < length and format('%.0f', last) or '', lanes(1), n, size, math.ceil(length / PIECE_BYTES)}
end
local lengths = {hash = 'HLEN', list = 'LLEN', set = 'SCARD', zset = 'ZCARD', stream = 'XLEN'}
local length = call(lengths[kind], key)
if length == 0 then return {'', '-', 0, 0, 0} end
local usage = call('MEMORY', 'USAGE', key) or 1
local page = math.max(1, math.min(PIECE_ELEMENTS, math.floor(PIECE_TOTAL_BYTES * length / usage)))
local following, size, counts = '', 0, nil
if kind == 'hash' or kind == 'set' then
  local reply = call(kind == 'hash' and 'HSCAN' or 'SSCAN', key, cursor, 'COUNT', page)
  if reply[1] ~= '0' then following = reply[1] end
  if kind == 'hash' then
    size = emit_pairs(key, reply[2])
    counts = #reply[2] / 2
  else
    size = emit_members(reply[2])
  end
elseif kind == 'stream' then
  page = math.ceil(page / 2)  -- an entry makes several texts of its own
  local entries = call('XRANGE', key, cursor == '0' and '-' or '(' .. cursor, '+', 'COUNT', page)
  size = emit_entries(entries)
  if #entries == page then following = entries[#entries][1] end
else
  local first = tonumber(cursor)
  local last = first + page - 1
  if kind == 'list' then
    size = emit_items(call('LRANGE', key, first, last), first)
  else
    size = emit_scores(call('ZRANGE', key, first, last, 'WITHSCORES'))
  end
  if last + 1 < length then following = format('%.0f', last + 1) end
end
return {following, lanes(1), counts or n, size, length}
"""

_CONSTANTS: Final = {
    "PIECE_BYTES": PIECE_BYTES,
    "BIG_BYTES": BIG_BYTES,
    "SLICE_ELEMENTS": SLICE_ELEMENTS,
    "SLICE_BYTES": SLICE_BYTES,
    "SLICE_S": SLICE_S,
    "PIECE_ELEMENTS": PIECE_ELEMENTS,
    "PIECE_TOTAL_BYTES": PIECE_TOTAL_BYTES,
    "BUCKET": DELIVERY_BUCKET_MS,
}


def _script(body: str) -> bytes:
    constants = "".join(f"local {name} = {value}\n" for name, value in _CONSTANTS.items())
    return (constants + _PRELUDE + body).encode()


QUICK_SCRIPT: Final = _script(_QUICK)
FACTS_SCRIPT: Final = _script(_FACTS)
PIECE_SCRIPT: Final = _script(_PIECE)


def sha_of(script: bytes) -> bytes:
    """The name by which EVALSHA knows a script."""
    return sha1(script, usedforsecurity=False).hexdigest().encode()
