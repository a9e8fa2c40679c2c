"""The part of the effect script that knows streams: what `hybrid.core.scripts` logs for trims, groups and claims.

A group's state depends on the clock, on who asked, and on what each version of the servers counts: so the effect is
read back from the stream, and logged as commands that lead to the same state anywhere.
"""

from __future__ import annotations

from typing import Final

__all__ = ["STREAMS"]

STREAMS: Final = r"""
-- Where a server may trim more or less than asked, the first id that it kept says it all.
local function trimmed_to_first()
  local first = redis.call('XRANGE', key, '-', '+', 'COUNT', 1)[1]
  return first and {'MINID', '=', first[1]} or {'MAXLEN', '=', '0'}
end

local function after_trim_options(i)
  i = i + 1
  if ARGV[i] == '=' or ARGV[i] == '~' then i = i + 1 end
  i = i + 1
  return option(i) == 'LIMIT' and i + 2 or i
end

function effects.XADD()
  local i, trims = 5, false
  while ARGV[i] do
    local name = option(i)
    if name == 'NOMKSTREAM' then i = i + 1
    elseif name == 'MAXLEN' or name == 'MINID' then i, trims = after_trim_options(i), true
    else break end
  end
  if not ARGV[i] or not string.find(ARGV[i], '^[%d*]') then return copy() end
  local id = run()
  if id then effect({'XADD', key}, trims and trimmed_to_first() or {}, {id}, slice(i + 1)) end
end

function effects.XTRIM()
  if ARGV[after_trim_options(5)] then return copy() end
  if run() > 0 then effect({'XTRIM', key}, trimmed_to_first()) end
end

local function as_map(list)
  local map = {}
  for i = 1, #list, 2 do map[list[i]] = list[i + 1] end
  return map
end

-- How much a consumer has pending; false if there is no such one.
local function consumer_pending(stream, group, consumer)
  local consumers = redis.pcall('XINFO', 'CONSUMERS', stream, group)
  if consumers.err then return false end
  for i = 1, #consumers do
    local info = as_map(consumers[i])
    if info.name == consumer then return info.pending end
  end
  return false
end

local function log_new_consumer(stream, group, consumer, existed)
  local has = consumer_pending(stream, group, consumer)
  if existed or not has then return end
  if has == 0 then
    -- Valkey 9.1 writes no consumer to its append-only file that found nothing: after a restart it would be gone.
    redis.call('XGROUP', 'DELCONSUMER', stream, group, consumer)
    redis.call('XGROUP', 'CREATECONSUMER', stream, group, consumer)
  end
  effect({'XGROUP', 'CREATECONSUMER', stream, group, consumer})
end

-- Last delivered id and entries read: {id, number | false (unknown) | nil (before 7.0)}.
local function position(stream, group)
  local groups = redis.pcall('XINFO', 'GROUPS', stream)
  for i = 1, #groups do
    local info = as_map(groups[i])
    if info.name == group then return {info['last-delivered-id'], info['entries-read']} end
  end
  return {}
end

local function log_position(stream, group)
  local id, read = unpack(position(stream, group))
  effect({'XGROUP', 'SETID', stream, group, id}, read ~= nil and {'ENTRIESREAD', read or '-1'} or {})
end

-- Pending entries id -> {id, consumer, idle, count} of some ids; the group may not exist.
local function pending(stream, group, ids)
  local found = {}
  for i = 1, #ids do
    local rows = redis.pcall('XPENDING', stream, group, ids[i], ids[i], 1)
    if rows[1] then found[ids[i]] = rows[1] end
  end
  return found
end

-- Gives the pending entries `rows` to the consumer as they are here, with one command for all that are alike.
local function log_claims(stream, group, consumer, rows, last)
  local now, alike, order = now_ms(), {}, {}
  for _, row in ipairs(rows) do
    local kind = row[3] .. ' ' .. row[4]
    if not alike[kind] then
      alike[kind] = {time = now - row[3], count = row[4], ids = {}}
      order[#order + 1] = alike[kind]
    end
    table.insert(alike[kind].ids, row[1])
  end
  for _, each in ipairs(order) do
    effect({'XCLAIM', stream, group, consumer, '0'}, each.ids,
      {'TIME', each.time, 'RETRYCOUNT', each.count, 'FORCE', 'JUSTID'}, last and {'LASTID', last} or {})
  end
end

local function log_delivered(stream, group, consumer, entries, noack)
  local rows, last = {}, entries[#entries][1]
  for _, entry in ipairs(noack and {} or entries) do rows[#rows + 1] = {entry[1], consumer, 0, 1} end
  log_claims(stream, group, consumer, rows, last)
  log_position(stream, group)
end

-- Reading one's own pending entries again counts as a delivery, except of those deleted from the stream.
local function log_redelivered(stream, group, consumer, entries)
  if #entries == 0 then return end
  local rows, present = {}, {}
  for _, entry in ipairs(entries) do present[entry[1]] = entry[2] and true end
  local range = redis.call('XPENDING', stream, group, entries[1][1], entries[#entries][1], #entries, consumer)
  for _, row in ipairs(range) do
    if present[row[1]] then rows[#rows + 1] = row end
  end
  log_claims(stream, group, consumer, rows)
end

function effects.XREADGROUP()
  local i, noack, group, consumer = 4, false, nil, nil
  while option(i) and option(i) ~= 'STREAMS' do
    local name = option(i)
    if name == 'GROUP' then group, consumer, i = ARGV[i + 1], ARGV[i + 2], i + 3
    elseif name == 'COUNT' then i = i + 2
    elseif name == 'NOACK' then noack, i = true, i + 1
    else return copy() end
  end
  local count = (#ARGV - i) / 2
  local streams, ids = slice(i + 1, i + count), slice(i + count + 1)
  local existed, seen = {}, {}
  for s, stream in ipairs(streams) do
    if seen[stream] then return copy() end
    existed[s], seen[stream] = consumer_pending(stream, group, consumer), true
  end
  local found = {}
  for _, stream in ipairs(run() or {}) do found[stream[1]] = stream[2] end
  for s, stream in ipairs(streams) do
    log_new_consumer(stream, group, consumer, existed[s])
    if found[stream] then
      if ids[s] == '>' then log_delivered(stream, group, consumer, found[stream], noack)
      else log_redelivered(stream, group, consumer, found[stream]) end
    end
  end
end

function resp3.XREADGROUP(streams)
  if not streams then return false end
  local map = {}
  for _, stream in ipairs(streams) do map[stream[1]] = stream[2] end
  return {map = map}
end

-- The ids in the reply of a claim, and whether these are all: Redis 6.2 claims deleted entries, but does not say which.
local function claimed_ids(items)
  local ids, complete = {}, true
  for _, item in ipairs(items) do
    if item == false then complete = false
    else ids[#ids + 1] = type(item) == 'table' and item[1] or item end
  end
  return ids, complete
end

function effects.XCLAIM()
  local group, consumer, ids, i, moves = ARGV[5], ARGV[6], {}, 8, false
  while ARGV[i] and string.find(ARGV[i], '^%d') do
    ids[#ids + 1], i = string.find(ARGV[i], '-') and ARGV[i] or ARGV[i] .. '-0', i + 1
  end
  for o = i, #ARGV do moves = moves or option(o) == 'LASTID' end
  local existed, before = consumer_pending(key, group, consumer), pending(key, group, ids)
  local last = moves and position(key, group)[1]
  local claimed, complete = claimed_ids(run())
  log_new_consumer(key, group, consumer, existed)
  local after, rows, dropped = pending(key, group, ids), {}, {}
  for _, id in ipairs(complete and claimed or ids) do
    if after[id] and after[id][2] == consumer then rows[#rows + 1] = after[id] end
  end
  for _, id in ipairs(ids) do
    if before[id] and not after[id] then dropped[#dropped + 1] = id end
  end
  log_claims(key, group, consumer, rows)
  if #dropped > 0 then effect({'XACK', key, group}, dropped) end
  if moves and position(key, group)[1] ~= last then log_position(key, group) end
end

function effects.XAUTOCLAIM()
  local group, consumer = ARGV[5], ARGV[6]
  local existed = consumer_pending(key, group, consumer)
  local ids, complete = claimed_ids(run()[2])
  if not complete then copy() end
  log_new_consumer(key, group, consumer, existed)
  local rows, after, deleted = {}, pending(key, group, ids), reply[3] or {}
  for i, id in ipairs(ids) do rows[i] = after[id] end
  log_claims(key, group, consumer, rows)
  if #deleted > 0 then effect({'XACK', key, group}, deleted) end
end
"""
