"""The library's own Lua scripts, run by a real Lua on the simulated data."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from functools import cache
from hashlib import sha1
from typing import Any

from lupa import lua51

from .keyspace import Error, Status

__all__ = ["evaluate", "sha"]

Call = Callable[[list[bytes]], Any]

_HELPERS = rb"""
local raw = ...
local function checked(reply)
  if type(reply) == 'table' and reply.err then error(reply, 0) end
  return reply
end
redis = {
  call = function(...) return checked(raw(...)) end,
  pcall = function(...) return raw(...) end,
  error_reply = function(text) return {err = text} end,
  status_reply = function(text) return {ok = text} end,
  REDIS_VERSION_NUM = 0x70000, sha1hex = nil, setresp = function() end,
}
"""


@cache
def sha(script: bytes) -> bytes:
    return sha1(script).hexdigest().encode()


class _Machine:
    """One Lua; it keeps nothing between calls but compiled scripts."""

    def __init__(self) -> None:
        self._lua = lua51.LuaRuntime(encoding=None, unpack_returned_tuples=False)
        self._call: Call
        self._lua.compile(_HELPERS)(self._run)
        msgpack = {b"pack": lambda table: pickle.dumps(list(table.values())), b"unpack": self._unpacked}
        self._lua.globals()[b"cmsgpack"] = self._lua.table_from(msgpack)
        self._compiled: dict[bytes, Any] = {}

    def evaluate(self, script: bytes, keys: list[bytes], arguments: list[bytes], call: Call) -> Any:
        self._call = call
        compiled = self._compiled.get(script)
        if compiled is None:
            compiled = self._compiled[script] = self._lua.compile(script)
        scope = self._lua.globals()
        scope[b"KEYS"], scope[b"ARGV"] = self._lua.table_from(keys), self._lua.table_from(arguments)
        try:
            return self._reply(compiled())
        except lua51.LuaError as error:
            table = error.args[0]
            text = table[b"err"].decode() if lua51.lua_type(table) == "table" else str(error)
            raise Error(text if text.split(" ")[0].isupper() else f"ERR {text}") from None

    def _run(self, *args: Any) -> Any:
        try:
            return self._given(self._call([arg if isinstance(arg, bytes) else b"%d" % arg for arg in args]))
        except Error as error:
            return self._lua.table_from({b"err": str(error).encode()})

    def _given(self, reply: Any) -> Any:
        """A reply as Lua sees it."""
        if reply is None:
            return False
        if isinstance(reply, Status):
            return self._lua.table_from({b"ok": bytes(reply)})
        if isinstance(reply, list):
            return self._lua.table_from([self._given(part) for part in reply])
        return reply

    def _unpacked(self, packed: bytes) -> Any:
        return self._lua.table_from(pickle.loads(packed))

    def _reply(self, value: Any) -> Any:
        """What Lua returned, as a reply."""
        if value is None or value is False:
            return None
        if isinstance(value, bool | int | float):
            return int(value)
        if isinstance(value, bytes):
            return value
        if value[b"err"] is not None:
            raise Error(value[b"err"].decode())
        if value[b"ok"] is not None:
            return Status(value[b"ok"])
        return [self._reply(value[index]) for index in range(1, len(value) + 1)]


@cache
def _machine() -> _Machine:
    return _Machine()


def evaluate(script: bytes, keys: list[bytes], arguments: list[bytes], call: Call) -> Any:
    """Run `script`; `call` performs a command. Raises Error."""
    return _machine().evaluate(script, keys, arguments, call)
