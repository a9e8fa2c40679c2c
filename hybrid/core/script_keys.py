"""Scripts of the application, so changed that what they write to keys they did not name is logged as well.

A few words before the script's own, on its first line, put another `redis.call` and `redis.pcall` in the place of the
server's: these log the keys that a writing command names, each once, with field `s` (see `hybrid.core.transaction`), as
entries that belong with the one behind the script. A script that names its keys logs nothing more, and takes the server
a microsecond longer; one that can be seen to name them stays as it is.

Only commands that the script spells (in quotes) are known to these words, or all, where a name is reckoned. A name that
they do not know, and the server does, is refused as it is called. Where a table's rule does not tell keys from other
operands by their places alone, every operand counts as a key: to copy the state of one that is not there does no harm.
"""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import sha1
from typing import Any, Final, NamedTuple

from hybrid.core.commands import COMMANDS, Command, Keys, Policy, operands_of
from hybrid.core.libraries import TWIN
from hybrid.core.names import RESERVED
from hybrid.core.resp import pack
from hybrid.errors import CommandRefused

__all__ = ["Script", "Scripts", "library", "script"]

_WORD: Final = re.compile(rb"""["']([A-Za-z][A-Za-z_.]*)["']""")
_RECKONED: Final = re.compile(rb"""call\s*\(\s*(?!["'\s])""")
_HIDING: Final = re.compile(rb"\b(?:_G|getfenv|setfenv|loadstring)\b")
_LOADS: Final = re.compile(rb"\bload\b(?=\s*\()")
_OWN_LOAD: Final = re.compile(rb"\b(?:function|local)\s+load\b")
_PLAIN_CALL: Final = re.compile(rb"""\bredis\.p?call\(\s*(["'])([A-Za-z.]+)\1\s*(,\s*KEYS\[[^][]*\]\s*)?(?=[,)])""")
_OTHER_USE: Final = re.compile(
    rb"\b(?:server|redis(?!\.(?:sha1hex|status_reply|error_reply|log|LOG_\w+|register_function)\b))\b"
)
_KEYS_MOVED: Final = re.compile(rb"(?<!#)\bKEYS\b(?!\[[^][]*\]\s*(?:[^\s=]|==))")
_READS_ONLY: Final = re.compile(rb"flags\s*=\s*\S*\bno-writes\b")
_UNLOGGED: Final = (Policy.READ, Policy.ONE_STORE)
_ELSEWHERE: Final = {"COPY": b"DB"}
"""The option by which a command writes to a database that is not kept on both stores; it comes after two keys."""
_NOT_HERE: Final = b"'it is not for scripts'"

_MIDDLE: Final = rb"""
 local writes,all={%(spelled)b},nil
 local function refuse(name,why) error(name..' is refused: '..why,0) end
 local function unspelled(name)
  if type(name)~='string' then return false end
  all=all or {%(others)b}
  local places=all[string.upper(name)]
  if places~=nil then return places end
  local found=redis.pcall('COMMAND','INFO',name)
  if not found.err and not found[1] then return false end
  return 'hybrid does not know which keys it changes; spell its name out in the script'
 end
 local function add(how,name,key)
  if key==nil or known[key] then return end
  if string.sub(key,1,%(prefix_size)d)=='%(prefix)b' then refuse(name,'%(prefix)b keys are not yours') end
  known[key]=true
  how('XADD','%(log)b','*','s',key,'m','1')
 end
 local function note(how,name,places,...)
  if places==1 then return add(how,name,(...)) end
  if type(places)=='string' then refuse(name,places) end
  local operands,first,last={...},places[1],places[2]
  local size=select('#',...)
  for i=3,places[5] and size or 0 do
   if string.upper(operands[i])==places[5] then refuse(name,'with '..places[5]..' it writes past the log') end
  end
  if places[4] then
   first=places[4]+1
   last=places[4]+places[3]*(tonumber(operands[places[4]]) or 0)
  end
  if last<0 then last=size+1+last end
  for i=first,math.min(last,size),places[3] do add(how,name,operands[i]) end
 end
 local function watched(how) return function(name,...)
  local places=writes[name]
  if places==nil then places=unspelled(name) end
  if places then note(how,name,places,...) end
  return how(name,...)
 end end
"""

_OF_SCRIPT: Final = (
    rb"""
local redis=(function(raw)
 local known={}
 for i=1,#KEYS do known[KEYS[i]]=true end
""",
    rb"""
 return setmetatable({call=watched(raw.call),pcall=watched(raw.pcall)},{__index=raw})
end)(redis)
""",
)

# While a library is loaded there is nothing but a `redis` with few things in it; the others are there in its functions.
_OF_LIBRARY: Final = (
    rb"""
local redis=(function()
 local known,own={},{
  log=redis.log,LOG_DEBUG=redis.LOG_DEBUG,LOG_VERBOSE=redis.LOG_VERBOSE,LOG_NOTICE=redis.LOG_NOTICE,
  LOG_WARNING=redis.LOG_WARNING,REDIS_VERSION=redis.REDIS_VERSION,REDIS_VERSION_NUM=redis.REDIS_VERSION_NUM
 }
""",
    rb"""
 local function called(callback) return function(keys,args)
  for name,value in pairs(redis) do if own[name]==nil then own[name]=value end end
  known={}
  for i=1,#keys do known[keys[i]]=true end
  return callback(keys,args)
 end end
 own.call=watched(function(...) return redis.call(...) end)
 own.pcall=watched(function(...) return redis.pcall(...) end)
 function own.register_function(name,callback,...)
  if callback~=nil then
   redis.register_function(name,called(callback),...)
   return redis.register_function('%(twin)b'..name,called(callback),...)
  end
  if name==nil then return redis.register_function() end
  if name.callback~=nil then name.callback=called(name.callback) end
  redis.register_function(name)
  return redis.register_function({
   function_name='%(twin)b'..name.function_name,callback=name.callback,flags=name.flags,description=name.description
  })
 end
 return own
end)()
""",
)


class Script(NamedTuple):
    """What is sent in the place of a script, and the name by which the server knows that. `hides` says why it cannot
    be followed, where it cannot."""

    text: bytes
    sha: bytes
    hides: str = ""


@lru_cache(maxsize=256)
def script(text: bytes, log: bytes) -> Script:
    """The application's script `text`; its undeclared keys go to the stream `log`."""
    return _followed(text, log, _OF_SCRIPT)


@lru_cache(maxsize=16)
def library(text: bytes, log: bytes) -> Script:
    """The same of a library of functions."""
    return _followed(text, log, _OF_LIBRARY)


def _followed(text: bytes, log: bytes, around: tuple[bytes, bytes]) -> Script:
    shebang, after, body = text.partition(b"\n") if text.startswith(b"#!") else (b"", b"", text)
    if (shebang and not after) or _READS_ONLY.search(shebang):
        return Script(text, _sha(text))
    if around is _OF_SCRIPT and _names_its_keys(body):
        return Script(text, _sha(text))
    if hiding := _hiding(body):
        return Script(b"", b"", f"by {hiding} it could write what it does not name; only one store would have that")
    spelled = {word: _places_of(word.upper().decode()) for word in dict.fromkeys(_WORD.findall(body))}
    words = _one_line(around[0] + _MIDDLE + around[1]) % {
        b"spelled": _table({word: places for word, places in spelled.items() if places}),
        b"others": _all_names() if _RECKONED.search(body) else b"",
        b"twin": TWIN,
        b"prefix": RESERVED,
        b"prefix_size": len(RESERVED),
        b"log": log,
    }
    if b"server" in body:  # Valkey's other name for it
        words += b"local server=redis "
    changed = shebang + after + words + body
    return Script(changed, _sha(changed))


def _hiding(body: bytes) -> str:
    """By which word the script could come to the server's own `redis`; empty if by none."""
    found = _HIDING.search(body) or (None if _OWN_LOAD.search(body) else _LOADS.search(body))
    return found[0].decode() if found else ""


def _names_its_keys(body: bytes) -> bool:
    """Whether each call plainly reads, or writes the one key that it takes from KEYS: as it stands in most scripts."""
    return not (_hiding(body) or _KEYS_MOVED.search(body) or _OTHER_USE.search(_PLAIN_CALL.sub(_unless_followed, body)))


def _unless_followed(call: re.Match[bytes]) -> bytes:
    places = _places_of(call[2].upper().decode())
    return b"" if places == b"false" or (places == b"1" and call[3]) else call[0]


def _one_line(words: bytes) -> bytes:
    return re.sub(rb"\s*\n\s*", b" ", words.strip()) + b" "


def _sha(text: bytes) -> bytes:
    return sha1(text).hexdigest().encode()


def _places_of(name: str) -> bytes:
    """Where the keys stand that a command may change, in Lua: the number 1, {first, last, step}, {_, _, step, where
    their number stands}, {first, last, step, false, a word with which it is refused}, a text that says why it always
    is, or false. Empty for what is no command."""
    command = COMMANDS.get(name)
    if command is not None:
        return _places(command)
    inner = [row for full, row in COMMANDS.items() if full.startswith(f"{name} ")]
    if not inner:
        return b""
    return b"{1,-1,1}" if any(_writes(row) for row in inner) else b"false"


def _places(command: Command) -> bytes:
    if command.policy is Policy.FLUSH or (command.policy is Policy.REFUSED and command.policy_rule is None):
        return _NOT_HERE
    if not _writes(command):
        return b"false"
    keys = command.writes or command.keys
    if keys == Keys():  # what it changes is no key's state: an index, say
        return b"false" if command.policy in _UNLOGGED else _NOT_HERE
    if keys.find is not None:
        return b"{1,-1,1}"
    if keys.count_at is not None:
        return b"{1,1,%d,%d}" % (keys.step, keys.count_at + 1)
    if keys.first == keys.last == 0:
        return b"1"
    last = keys.last + 1 if keys.last >= 0 else keys.last
    refused = b",false,'%b'" % _ELSEWHERE[command.name] if command.name in _ELSEWHERE else b""
    return b"{%d,%d,%d%b}" % ((keys.first or 0) + 1, last, keys.step, refused)


def _writes(command: Command) -> bool:
    return command.policy_rule is not None or command.policy not in (*_UNLOGGED, Policy.REFUSED)


@lru_cache(maxsize=1)
def _all_names() -> bytes:
    names = dict.fromkeys(full.partition(" ")[0] for full in COMMANDS)
    return _table({name.encode(): _places_of(name) for name in names})


def _table(rows: dict[bytes, bytes]) -> bytes:
    return b",".join(b"['%b']=%b" % row for row in rows.items())


_UNKNOWN: Final = b"0" * 40
"""The name of no script: the server says so, in its own words."""

_FOLLOWED: Final = frozenset(("EVAL", "EVALSHA", "FCALL", "SCRIPT LOAD", "SCRIPT EXISTS", "FUNCTION LOAD"))


class Scripts:
    """The scripts that this process has seen, and the calls of them as they are sent."""

    def __init__(self, log: bytes) -> None:
        self._log = log
        self._known: dict[bytes, bytes] = {}

    def followed(self, command: Command, args: tuple[Any, ...], *, replicated: bool) -> tuple[tuple[Any, ...], bytes]:
        """What to send for this call, and a packed command to send before it (or nothing). Raises CommandRefused."""
        if command.name not in _FOLLOWED or not replicated:
            return args, b""
        operands = list(operands_of(command, args))
        if not operands:
            return args, b""
        if command.name == "SCRIPT EXISTS":
            return (command.name, *map(self._sha_of, operands)), b""
        if command.name == "FCALL":
            return (command.name, TWIN + _encoded(operands[0]), *operands[1:]), b""
        if command.name == "EVALSHA":
            return (command.name, self._sha_of(operands[0]), *operands[1:]), b""
        if command.name == "FUNCTION LOAD":
            *options, text = operands
            return (command.name, *options, _checked(command, library(_encoded(text), self._log)).text), b""
        text = _encoded(operands[0])
        found = _checked(command, script(text, self._log))
        self._known[_sha(text)] = found.sha
        if command.name == "EVAL":
            return (command.name, found.text, *operands[1:]), b""
        return args, b"" if found.text == text else pack((command.name, found.text))

    def _sha_of(self, sha: Any) -> bytes:
        return self._known.get(_encoded(sha).lower(), _UNKNOWN)


def _checked(command: Command, found: Script) -> Script:
    if found.hides:
        raise CommandRefused(command.name, found.hides)
    return found


def _encoded(operand: Any) -> bytes:
    return bytes(operand) if isinstance(operand, bytes | bytearray | memoryview) else str(operand).encode()
