"""Which keys of a transaction are asked how long they have to live.

A key that is about to expire on the authority might expire on the other store before the command arrives there, which
would then start from nothing. Such keys are logged once more, by state, and so are those that a command takes together
with them: an `LMOVE` would move nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from hybrid.core.commands import Command, Policy
from hybrid.core.write import Write

__all__ = ["EXPIRY_GUARD_MS", "guarded_keys", "may_set_expiry", "timed_inside"]

EXPIRY_GUARD_MS: Final = 2000
"""A key with less than this to live is logged once more by its state; well above the usual lag of the other store."""

_SETS_EXPIRY: Final = frozenset(
    ("EXPIRE", "PEXPIRE", "EXPIREAT", "PEXPIREAT", "SET", "SETEX", "PSETEX", "MSETEX", "GETEX", "RESTORE")
)


def guarded_keys(writes: Sequence[Write]) -> dict[bytes, tuple[bytes, ...]]:
    """The keys whose expiry decides what the commands do; with each, all that these commands take together."""
    together: dict[bytes, dict[bytes, None]] = {}
    for write in writes:
        if _is_guarded(write):
            keys = write.keys
            groups = {id(group): group for key in keys if (group := together.get(key))}
            joined = max(groups.values(), key=len, default={})  # the others join it: each key moves seldom
            moved = [key for group in groups.values() if group is not joined for key in group]
            joined |= dict.fromkeys(added := [*moved, *keys])
            together |= dict.fromkeys(added, joined)
    shared = {id(group): group for group in together.values()}
    lists = {number: tuple(group) for number, group in shared.items()}
    return {key: lists[id(group)] for key, group in together.items()}


def timed_inside(writes: Sequence[Write]) -> tuple[bytes, ...]:
    """The keys whose value depends on one that may have been given an expiry here before."""
    timed: set[bytes] = set()
    found: dict[bytes, None] = {}
    for write in writes if len(writes) > 1 else ():
        keys = write.keys if write.is_logged else []
        if not timed.isdisjoint(keys) and _is_guarded(write):
            timed.update(keys)
            found.update(dict.fromkeys(keys))
        if may_set_expiry(write.command, write.args):
            timed.update(keys)
    return tuple(found)


def _is_guarded(write: Write) -> bool:
    return write.is_logged and write.policy is not Policy.STATE and not write.is_blind


def may_set_expiry(command: Command, args: Sequence[Any]) -> bool:
    """Whether it may give one of its keys an expiry of its own accord, rather than that of another key."""
    is_plain = command.name == "SET" and len(args) == 3
    return command.name in _SETS_EXPIRY and not is_plain
