"""Lua that more than one script begins with."""

from __future__ import annotations

from typing import Final

__all__ = ["CLOCK", "NOTED"]

CLOCK: Final = """
local has_clock, clock = pcall(function() return os.clock end)
if not has_clock then clock = function() return 0 end end
"""
"""The server's own processor time in seconds: a script that heeds it ends before it holds up others, however slow the
machine is. Before Redis 7.2 there is none, and counts of elements and bytes alone bound a script."""

NOTED: Final = (
    "local function noted(...) local done=redis.pcall(...) "
    "if type(done)~='table' or not done.err then return done end "
    "redis.call('DEL',KEYS[1]..':none') return redis.call(...) end "
)
"""Runs a small command also where no memory is left: a script that has begun to write may go on. Without it nobody
could ship what fills the store."""
