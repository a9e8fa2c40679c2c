"""Commands that would not mean the same later, or elsewhere: relative times, and blocking.

A command with a relative time is replayed with an absolute one, reckoned from the clock of the store that ran it. A
blocking command is replaced by attempts that do not block, because only those can be logged in one transaction.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hybrid.core.resp import Arg
from hybrid.errors import Malformed

__all__ = ["Blocking", "Command", "absolute", "blocking_twin", "without_waiting"]

Command = tuple[Arg, ...]

_Rewrite = Callable[[list[bytes], int], list[list[bytes]]]

_TIME_MAX_MS = 2**63 - 1
_MS_PER_UNIT = {b"EX": 1000, b"PX": 1}
_VALUED = frozenset((b"EX", b"PX", b"EXAT", b"PXAT", b"IFEQ", b"IFNE", b"IFDEQ", b"IFDNE", b"FIELDS"))
"""Options that are followed by a value."""


def absolute(args: list[bytes], entry_ms: int) -> list[list[bytes]]:
    """The commands with the effect of `args`, had they run at `entry_ms` (milliseconds since the epoch).

    Conditions (NX, GT, GET, ...) are kept: they make the other store refuse what this one refused. A command that every
    store refuses (no number, zero, too large) comes back unchanged for the same reason: with an absolute time it might
    be accepted. No command at all is returned for one that changes nothing (GETEX without an option).
    Raises ValueError for a command that holds no relative time.
    """
    rewrite = _TIMED.get(args[0].upper())
    if rewrite is None:
        raise ValueError(f"{args[0]!r} is not a command with a relative time")
    try:
        return rewrite(args, entry_ms)
    except (IndexError, _Refused):
        return [args]


class _Refused(Exception):
    """Every server refuses this command."""


def _number(value: bytes) -> int:
    """An integer as servers read it: no sign, space or zero too many."""
    try:
        number = int(value)
    except ValueError:
        raise _Refused from None
    if b"%d" % number != value:
        raise _Refused
    return number


def _deadline(value: bytes, ms_per_unit: int, entry_ms: int, minimum: int = 1) -> bytes:
    span_ms = _number(value) * ms_per_unit
    if _number(value) < minimum or max(abs(span_ms), abs(entry_ms + span_ms)) > _TIME_MAX_MS:
        raise _Refused
    return b"%d" % (entry_ms + span_ms)


def _expire(name: bytes, ms_per_unit: int, minimum: int) -> _Rewrite:
    """EXPIRE key time ..., HEXPIRE key time ...: a time before `minimum` is refused by servers."""

    def rewrite(args: list[bytes], entry_ms: int) -> list[list[bytes]]:
        return [[name, args[1], _deadline(args[2], ms_per_unit, entry_ms, minimum), *args[3:]]]

    return rewrite


def _setex(ms_per_unit: int) -> _Rewrite:
    """SETEX key time value."""

    def rewrite(args: list[bytes], entry_ms: int) -> list[list[bytes]]:
        if len(args) != 4:
            raise _Refused
        return [[b"SET", args[1], args[3], b"PXAT", _deadline(args[2], ms_per_unit, entry_ms)]]

    return rewrite


def _options(args: list[bytes], start: int) -> list[int]:
    """Where the options are, from `start` on: the values of options and of FIELDS n ... are stepped over."""
    width = 2 if args[0].upper() == b"HSETEX" else 1
    positions = []
    while start < len(args):
        positions.append(start)
        name = args[start].upper()
        if name == b"FIELDS":
            start += width * max(0, _number(args[start + 1]))
        start += 2 if name in _VALUED else 1
    return positions


def _with_pxat(args: list[bytes], start: int, entry_ms: int, minimum: int = 1) -> list[list[bytes]]:
    """`args` with EX or PX, found among the options from `start` on, turned into PXAT."""
    timed = [i for i in _options(args, start) if args[i].upper() in _MS_PER_UNIT]
    if len(timed) > 1:
        raise _Refused
    for i in timed:
        deadline = _deadline(args[i + 1], _MS_PER_UNIT[args[i].upper()], entry_ms, minimum)
        return [[*args[:i], b"PXAT", deadline, *args[i + 2 :]]]
    return [args]


def _set(args: list[bytes], entry_ms: int) -> list[list[bytes]]:
    # GET stays: without it, a SET that failed because the key is no string would overwrite that key.
    return _with_pxat(args, 3, entry_ms)


def _getex(args: list[bytes], entry_ms: int) -> list[list[bytes]]:
    # Not PEXPIREAT: where GETEX failed because the key is no string, that would give the key a time to live.
    return _with_pxat(args, 2, entry_ms) if len(args) > 2 else []


def _hsetex(args: list[bytes], entry_ms: int) -> list[list[bytes]]:
    return _with_pxat(args, 2, entry_ms, minimum=0)


def _msetex(args: list[bytes], entry_ms: int) -> list[list[bytes]]:
    return _with_pxat(args, 2 + 2 * max(0, _number(args[1])), entry_ms)


def _hgetex(args: list[bytes], entry_ms: int) -> list[list[bytes]]:
    options = {args[i].upper(): i for i in _options(args, 2)}
    fields = options.pop(b"FIELDS", len(args))
    listed = args[fields : fields + 2 + _number(args[fields + 1])]
    if not options:
        return []
    name, position = options.popitem()
    if options:
        raise _Refused
    if name == b"PERSIST":
        return [[b"HPERSIST", args[1], *listed]]
    if name in _MS_PER_UNIT:
        deadline = _deadline(args[position + 1], _MS_PER_UNIT[name], entry_ms, minimum=0)
        return [[b"HPEXPIREAT", args[1], deadline, *listed]]
    return [args]


def _restore(args: list[bytes], entry_ms: int) -> list[list[bytes]]:
    if args[2] == b"0" or b"ABSTTL" in (option.upper() for option in args[4:]):
        return [args]
    return [[*args[:2], _deadline(args[2], 1, entry_ms), *args[3:], b"ABSTTL"]]


_TIMED: dict[bytes, _Rewrite] = {
    b"EXPIRE": _expire(b"PEXPIREAT", 1000, -_TIME_MAX_MS),
    b"PEXPIRE": _expire(b"PEXPIREAT", 1, -_TIME_MAX_MS),
    b"HEXPIRE": _expire(b"HPEXPIREAT", 1000, 0),
    b"HPEXPIRE": _expire(b"HPEXPIREAT", 1, 0),
    b"SETEX": _setex(1000),
    b"PSETEX": _setex(1),
    b"SET": _set,
    b"GETEX": _getex,
    b"HSETEX": _hsetex,
    b"HGETEX": _hgetex,
    b"MSETEX": _msetex,
    b"RESTORE": _restore,
}


@dataclass(frozen=True, slots=True)
class Blocking:
    """A blocking command as commands that do not block.

    Try the `attempts` in order until one is not `empty`, and give the caller its `shape`; if all are empty, wait and
    try again. When `timeout_s` (0 = for ever) is over, the raw reply is None, as the servers give it.
    """

    timeout_s: float
    attempts: tuple[Command, ...]
    wait: Command | None = None
    """Blocks until the one key has data, and changes nothing. Its last argument is the timeout in seconds: put what
    remains there. None: there is no such command, so poll."""
    keyed: bool = False
    """The blocking form names the key in its reply, the attempt does not."""
    free: bool = False
    """An attempt in vain changes nothing and is not logged: so it is made without asking for the keys first."""

    def empty(self, reply: Any) -> bool:
        """Whether an attempt with this raw reply found nothing."""
        return reply is None or (isinstance(reply, list | tuple | dict) and not reply)

    def shape(self, attempt_index: int, reply: Any) -> Any:
        """What the blocking command would have replied, raw, from the raw `reply` (RESP2 or RESP3) of that attempt."""
        if not self.keyed:
            return reply
        found = list(reply) if isinstance(reply, list | tuple) else [reply]
        return [_spelled_like(found[0], self.attempts[attempt_index][1]), *found]


def _spelled_like(sample: Any, key: Arg) -> Arg:
    """`key` as str where replies are decoded, else as bytes."""
    if isinstance(key, int | float):
        key = repr(key)
    if isinstance(sample, str):
        return key.decode(errors="replace") if isinstance(key, bytes) else key
    return key.encode() if isinstance(key, str) else bytes(key)


def blocking_twin(args: Sequence[Arg]) -> Blocking | None:
    """How to run `args` without blocking; None if the command does not block (as XREADGROUP without BLOCK).

    Raises Malformed, with the server's own words.
    """
    name = _text(args[0])
    build = _TWINS.get(name)
    if build is None:
        return None
    try:
        return build(name, args)
    except IndexError:
        raise Malformed(name, f"wrong number of arguments for '{name.lower()}' command") from None


def without_waiting(args: Sequence[Arg]) -> Command | None:
    """The command that does and replies the same as a blocking one in a transaction, where nothing waits; None where
    there is none."""
    try:
        twin = blocking_twin(args)
    except Malformed:
        return None
    return None if twin is None or twin.keyed else twin.attempts[0]


def _text(arg: Arg) -> str:
    return (arg.decode(errors="replace") if isinstance(arg, bytes) else str(arg)).upper()


def _timeout_s(name: str, arg: Arg) -> float:
    try:
        timeout_s = float(arg)
    except ValueError:
        timeout_s = math.nan
    if math.isinf(timeout_s):
        raise Malformed(name, "timeout is out of range")
    if math.isnan(timeout_s):
        raise Malformed(name, "timeout is not a float or out of range")
    if timeout_s < 0:
        raise Malformed(name, "timeout is negative")
    return timeout_s


def _count(name: str, arg: Arg, what: str) -> int:
    text = _text(arg)
    if not text.isdecimal() or int(text) == 0:
        raise Malformed(name, f"{what} should be greater than 0")
    return int(text)


def _one_of(name: str, arg: Arg, *words: str) -> None:
    if _text(arg) not in words:
        raise Malformed(name, "syntax error")


def _until_pushed(key: Arg, timeout: Arg) -> Command:
    # Popped and pushed at the same end, in one step: the list is as it was, but the server blocks while it is empty.
    return ("BLMOVE", key, key, "LEFT", "LEFT", timeout)


def _pop_each(name: str, args: Sequence[Arg]) -> Blocking:
    """BLPOP, BRPOP, BZPOPMIN, BZPOPMAX key [key ...] timeout."""
    keys, timeout = args[1:-1], args[-1]
    if not keys:
        raise IndexError
    wait = _until_pushed(keys[0], timeout) if len(keys) == 1 and name in ("BLPOP", "BRPOP") else None
    return Blocking(_timeout_s(name, timeout), tuple((name[1:], key) for key in keys), wait, keyed=True)


def _move(name: str, args: Sequence[Arg]) -> Blocking:
    """BLMOVE source destination LEFT|RIGHT LEFT|RIGHT timeout, BRPOPLPUSH source destination timeout."""
    if len(args) != (6 if name == "BLMOVE" else 4):
        raise IndexError
    for end in args[3:-1]:
        _one_of(name, end, "LEFT", "RIGHT")
    return Blocking(_timeout_s(name, args[-1]), ((name[1:], *args[1:-1]),), _until_pushed(args[1], args[-1]))


def _pop_many(name: str, args: Sequence[Arg]) -> Blocking:
    """BLMPOP, BZMPOP timeout numkeys key [key ...] where [COUNT n]."""
    if len(args) < 5:
        raise IndexError
    timeout_s, keys = _timeout_s(name, args[1]), _count(name, args[2], "numkeys")
    where, *options = args[3 + keys :] or ("",)
    _one_of(name, where, *(("LEFT", "RIGHT") if name == "BLMPOP" else ("MIN", "MAX")))
    if options:
        _one_of(name, options[0] if len(options) == 2 else "", "COUNT")
        _count(name, options[1], "count")
    wait = _until_pushed(args[3], args[1]) if name == "BLMPOP" and keys == 1 else None
    return Blocking(timeout_s, ((name[1:], *args[2:]),), wait)


def _read_group(name: str, args: Sequence[Arg]) -> Blocking | None:
    """XREADGROUP, BLOCK (milliseconds) taken out."""
    position, sizes = 1, {"GROUP": 3, "COUNT": 2, "CLAIM": 2, "NOACK": 1}
    while (option := _text(args[position])) in sizes:
        position += sizes[option]
    if option != "BLOCK":
        return None
    if len(args) < 7:
        raise IndexError
    timeout_s = _timeout_s(name, args[position + 1]) / 1000
    return Blocking(timeout_s, ((*args[:position], *args[position + 2 :]),), free=True)


_TWINS: dict[str, Callable[[str, Sequence[Arg]], Blocking | None]] = {
    "BLPOP": _pop_each,
    "BRPOP": _pop_each,
    "BZPOPMIN": _pop_each,
    "BZPOPMAX": _pop_each,
    "BLMOVE": _move,
    "BRPOPLPUSH": _move,
    "BLMPOP": _pop_many,
    "BZMPOP": _pop_many,
    "XREADGROUP": _read_group,
}
