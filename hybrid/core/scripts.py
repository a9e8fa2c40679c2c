"""Lua that runs on a store: a command and the log of its effect, in one atomic step.

    EVALSHA sha numkeys hybrid:log [the command's keys ...] mark resp command [argument ...]

`mark` begins with "1" if the entry belongs with the next one, else with "0"; what follows is the writer's token, logged
as field `w`; `resp` is "3" on a RESP3 connection, else "2".
Returns [reply, log id]. The id is nil when nothing changed: then nothing was logged. A command that the server refuses
gives its own error, and nothing is logged. A command without an effect of its own is logged as it is, unless its reply
is nil or empty: that serves the pops that found nothing.

What has no exact effect (an option that is not known here) is logged as a copy of the keys, so declare them all.
A command may have about 7,900 arguments (the stack of Lua); a longer one is refused before it runs.
"""

from __future__ import annotations

import re
from hashlib import sha1
from typing import Final

from hybrid.core.resp import pack
from hybrid.core.stream_effects import STREAMS

__all__ = [
    "EFFECT_COMMANDS",
    "EFFECT_SCRIPT",
    "EFFECT_SHA",
    "FLOAT_SUM",
    "FLUSH_SCRIPT",
    "FLUSH_SHA",
    "LOAD_EFFECTS",
]

_PRELUDE = r"""
local key = ARGV[4]
local logged = {}       -- field, payload, field, payload, ...
local reply             -- of the command, once it has run
local refused           -- the command's own error
local effects = {}      -- by command name: runs the command and logs what it did
local resp3 = {}        -- by command name: the reply in the form of RESP3, where effects use that of RESP2

local function text(value)
  return type(value) == 'number' and string.format('%.0f', value) or value
end

local function pack(args)
  local parts = {'*' .. #args .. '\r\n'}
  for i = 1, #args do
    local arg = text(args[i])
    parts[#parts + 1] = '$' .. #arg .. '\r\n' .. arg .. '\r\n'
  end
  return table.concat(parts)
end

local function log(field, payload)
  logged[#logged + 1] = field
  logged[#logged + 1] = payload
end

local function effect(args, ...)
  for _, list in ipairs({...}) do
    for i = 1, #list do args[#args + 1] = list[i] end
  end
  log('v', pack(args))
end

local function option(i) return ARGV[i] and string.upper(ARGV[i]) end

local function slice(from, to)
  local list = {}
  for i = from, to or #ARGV do list[#list + 1] = ARGV[i] end
  return list
end

-- The command itself. Its error leaves through pcall at the end of the script.
local function run()
  local answer = redis.pcall(unpack(ARGV, 3))
  if type(answer) == 'table' and answer.err then
    refused = answer
    if string.find(answer.err, 'rong number of args') then
      refused = {err = "ERR wrong number of arguments for '" .. string.lower(ARGV[3]) .. "' command"}
    end
    error('refused')
  end
  reply = answer or false
  return reply
end

-- For what has no exact effect: the command runs, and the state of its keys is copied instead.
local function copy() error('copy') end

local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
"""

FLOAT_SUM: Final = r"""
-- INCRBYFLOAT. Redis 6.2 built without jemalloc crashes in a script that runs it: it makes the list of arguments
-- smaller, forgets that it did, and writes the next, longer list beyond its end. HINCRBYFLOAT does not, and reckons the
-- same.
local function float_sum(key, increment)
  local held, scratch = redis.pcall('GET', key), KEYS[1] .. ':sum'
  if type(held) == 'table' then return held end
  redis.call('HSET', scratch, 'sum', held or '0')
  local sum = redis.pcall('HINCRBYFLOAT', scratch, 'sum', increment)
  redis.call('DEL', scratch)
  if type(sum) == 'table' then
    local text = string.gsub(sum.err, 'hash value is not a float', 'value is not a valid float')
    return {err = text}
  end
  redis.call('SET', key, sum, 'KEEPTTL')
  return sum
end
"""

_VALUES = r"""
function effects.SPOP()
  local popped = run()
  if type(popped) == 'string' then popped = {popped} end
  if popped and #popped > 0 then effect({'SREM', key}, popped) end
end

function resp3.SPOP(popped)
  if not ARGV[5] then return popped end
  local set = {}
  for _, member in ipairs(popped) do set[member] = true end
  return {set = set}
end

local function sum_of_6_2()
  local sum = float_sum(key, ARGV[5])
  if type(sum) == 'table' then refused = sum; error('refused') end
  reply = sum
  return sum
end

function effects.INCRBYFLOAT()
  local value = (redis.REDIS_VERSION_NUM or #ARGV ~= 5) and run() or sum_of_6_2()
  local ttl = redis.call('PTTL', key)
  effect({'SET', key, value}, ttl >= 0 and {'PXAT', now_ms() + ttl} or {})
  log('i', pack(slice(3)))
end

-- HSET takes the time to live from a field, HINCRBYFLOAT does not.
function effects.HINCRBYFLOAT()
  local value = run()
  effect({'HSET', key, ARGV[5], value})
  log('i', pack(slice(3)))
  local deadline = redis.pcall('HPEXPIRETIME', key, 'FIELDS', 1, ARGV[5])
  if not deadline.err and deadline[1] > 0 then
    effect({'HPEXPIREAT', key, deadline[1], 'FIELDS', '1', ARGV[5]})
  end
end

-- A condition is decided here and once: later, on the other store, the key may have expired.
function effects.SET()
  local args, field, condition, get, i = slice(3, 5), 'v', nil, false, 6
  while ARGV[i] do
    local name = option(i)
    if name == 'NX' or name == 'XX' then condition = name
    elseif name == 'GET' then get = true
    elseif name == 'KEEPTTL' then args[#args + 1] = name
    elseif name == 'EX' or name == 'PX' or name == 'EXAT' or name == 'PXAT' then
      if #name == 2 then field = 't' end
      args[#args + 1], args[#args + 2], i = name, ARGV[i + 1], i + 1
    else return copy() end
    i = i + 1
  end
  local old = run()
  local applied = true
  if get then
    if condition then applied = (condition == 'XX') == (old ~= false) end
  else
    applied = old ~= false
  end
  if applied then log(field, pack(args)) end
end

function effects.SETNX()
  if run() == 1 then effect({'SET', key, ARGV[5]}) end
end

function effects.EXPIRE()
  if run() == 1 then log(string.find(ARGV[3], '[aA][tT]$') and 'v' or 't', pack(slice(3, 5))) end
end
effects.PEXPIRE, effects.EXPIREAT, effects.PEXPIREAT = effects.EXPIRE, effects.EXPIRE, effects.EXPIRE

function effects.GETEX()
  local found, name = run(), option(5)
  if found == false or not name then return end
  if name == 'PERSIST' then return effect({'PERSIST', key}) end
  local names = {EX = 'EXPIRE', PX = 'PEXPIRE', EXAT = 'EXPIREAT', PXAT = 'PEXPIREAT'}
  log(#name == 2 and 't' or 'v', pack({names[name], key, ARGV[6]}))
end
"""

_MAIN = r"""
local function verbatim()
  if ARGV[2] == '3' then redis.setresp(3) end
  local ran, problem = pcall(run)
  if ARGV[2] == '3' then redis.setresp(2) end   -- false is nil only in RESP2
  if not ran then error(problem) end
  if reply and not (type(reply) == 'table' and next(reply) == nil) then effect(slice(3)) end
end

local name = option(3)
local ran, problem = pcall(effects[name] or verbatim)
if not ran and reply == nil and not refused then
  -- The arguments were not understood here; perhaps the server understands them.
  problem = select(2, pcall(run))
end
if refused then return refused end
if reply == nil then return {err = 'ERR ' .. problem} end
if not ran or #logged > 7000 then
  -- The command has run: without an entry (or with one too long for unpack) the stores would drift apart.
  logged = {}
  for i = 2, #KEYS do log('s', KEYS[i]) end
end
if resp3[name] and ARGV[2] == '3' then reply = resp3[name](reply) end
local id = false
if #logged > 0 then
  if string.sub(ARGV[1], 1, 1) == '1' then log('m', '1') end
  if #ARGV[1] > 1 then log('w', string.sub(ARGV[1], 2)) end
  id = redis.call('XADD', KEYS[1], '*', unpack(logged))
end
return {reply, id}
"""

EFFECT_SCRIPT = (_PRELUDE + FLOAT_SUM + _VALUES + STREAMS + _MAIN).strip()

EFFECT_SHA = sha1(EFFECT_SCRIPT.encode()).hexdigest()

EFFECT_COMMANDS = frozenset(re.findall(r"effects\.([A-Z]+)", EFFECT_SCRIPT))
"""Commands with an effect of their own; all others are logged as they are."""

FLUSH_SCRIPT = r"""
-- KEYS[1]=hybrid:log ARGV[1]="1" to log. Deletes every key but hybrid's own; returns {OK, log id or nil}.
local cursor = '0'
repeat
  local page = redis.call('SCAN', cursor, 'COUNT', 1000)
  local doomed = {}
  for _, name in ipairs(page[2]) do
    if string.sub(name, 1, 7) ~= 'hybrid:' then doomed[#doomed + 1] = name end
  end
  for i = 1, #doomed, 1000 do
    redis.call('UNLINK', unpack(doomed, i, math.min(i + 999, #doomed)))
  end
  cursor = page[1]
until cursor == '0'
return {redis.status_reply('OK'), ARGV[1] == '1' and redis.call('XADD', KEYS[1], '*', 'f', '1')}
""".strip()

FLUSH_SHA = sha1(FLUSH_SCRIPT.encode()).hexdigest()

LOAD_EFFECTS: Final = pack(("SCRIPT", "LOAD", EFFECT_SCRIPT)) + pack(("SCRIPT", "LOAD", FLUSH_SCRIPT))
"""Makes both scripts known to a server: two replies."""
