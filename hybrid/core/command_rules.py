"""What a command's arguments change about its policy, its idempotence and its keys: functions of its operands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from hybrid.core.command_types import Keys, Operands, Policy, number, word

_EXPIRIES: Final = {"EX": 1, "PX": 1, "EXAT": 1, "PXAT": 1}
_STRING: Final = {**_EXPIRIES, "IFEQ": 1, "IFNE": 1, "IFDEQ": 1, "IFDNE": 1}
_SORT: Final = {"BY": 1, "GET": 1, "LIMIT": 2, "STORE": 1}
_RADIUS: Final = {"COUNT": 1, "STORE": 1, "STOREDIST": 1}
_READ: Final = {"GROUP": 2, "COUNT": 1, "BLOCK": 1, "CLAIM": 1, "MAXCOUNT": 1, "MAXSIZE": 1}
_XADD: Final = {
    **dict.fromkeys(("NOMKSTREAM", "KEEPREF", "DELREF", "ACKED"), 0),
    **dict.fromkeys(("MAXLEN", "MINID", "LIMIT", "IDMPAUTO"), 1),
    "IDMP": 2,
}
_BITFIELD: Final = {"GET": 2, "SET": 3, "INCRBY": 3, "OVERFLOW": 1}


def options(operands: Operands, start: int, takes: Mapping[str, int], width: int = 1, stop: str = "") -> dict[str, int]:
    """Each option word from `start` on, with its position; what an option takes is skipped, so that data is never
    mistaken for an option. `FIELDS n` skips n times `width` operands. The word `stop` ends the options."""
    found: dict[str, int] = {}
    at = start
    while at < len(operands):
        name = word(operands[at])
        found[name] = at
        if name == stop:
            break
        if name == "FIELDS" and at + 1 < len(operands):
            at += 1 + max(number(operands[at + 1]) or 0, 0) * width
        at += 1 + takes.get(name, 0)
    return found


def _expiry(found: Mapping[str, int], otherwise: Policy) -> Policy:
    if "EX" in found or "PX" in found:
        return Policy.TIMED
    return Policy.VERBATIM if found.keys() & {"EXAT", "PXAT", "PERSIST"} else otherwise


# -- strings --------------------------------------------------------------------------------------------------------


def set_policy(operands: Operands) -> Policy:
    """EFFECT where older servers refuse the options: what one store refuses the other must not do."""
    if len(operands) < 3:
        return Policy.VERBATIM
    found = options(operands, 2, _STRING)
    if found.keys() & {"IFEQ", "IFNE", "IFDEQ", "IFDNE"} or found.keys() >= {"NX", "GET"}:
        return Policy.EFFECT
    return _expiry(found, Policy.VERBATIM)


def set_idempotent(operands: Operands) -> bool:
    if len(operands) < 3:
        return True
    found = options(operands, 2, _STRING)
    return not found.keys() & {"NX", "GET", "IFEQ", "IFNE", "IFDEQ", "IFDNE"}


def set_blind(operands: Operands) -> bool:
    return len(operands) < 3 or not options(operands, 2, _STRING).keys() - _EXPIRIES.keys()


def getex_policy(operands: Operands) -> Policy:
    """GETEX and HGETEX."""
    return _expiry(options(operands, 1, _EXPIRIES), Policy.READ)


def _msetex(operands: Operands) -> dict[str, int]:
    pairs = number(operands[0]) if operands else None
    return options(operands, 1 + 2 * max(pairs or 0, 0), _EXPIRIES)


def msetex_policy(operands: Operands) -> Policy:
    return _expiry(_msetex(operands), Policy.VERBATIM)


def msetex_idempotent(operands: Operands) -> bool:
    return "NX" not in _msetex(operands)


def msetex_blind(operands: Operands) -> bool:
    return not _msetex(operands).keys() - _EXPIRIES.keys()


def bitop_policy(operands: Operands) -> Policy:
    """EFFECT for operations that older servers refuse."""
    return Policy.VERBATIM if operands and word(operands[0]) in {"AND", "OR", "XOR", "NOT"} else Policy.EFFECT


def bitfield_policy(operands: Operands) -> Policy:
    found = options(operands, 1, _BITFIELD)
    return Policy.VERBATIM if found.keys() & {"SET", "INCRBY"} else Policy.READ


def bitfield_idempotent(operands: Operands) -> bool:
    return bitfield_policy(operands) is Policy.READ


# -- keys of any type -----------------------------------------------------------------------------------------------


def mentions(start: int, *names: str) -> Callable[[Operands], bool]:
    """One of the option words is among the operands from `start` on."""
    return lambda operands: not _absent(operands[start:], names)


def lacks(start: int, *names: str) -> Callable[[Operands], bool]:
    """None of the option words is among the operands from `start` on."""
    return lambda operands: _absent(operands[start:], names)


def _absent(operands: Operands, names: tuple[str, ...]) -> bool:
    return frozenset(names).isdisjoint(map(word, operands))


def expire_idempotent(operands: Operands) -> bool:
    return len(operands) < 3 or word(operands[2]) not in {"NX", "GT", "LT"}


def copy_policy(operands: Operands) -> Policy:
    return Policy.REFUSED if copy_within(operands, None) is None else Policy.VERBATIM


def copy_within(operands: Operands, database: str | None) -> list[Any] | None:
    """The operands without `DB database`, which says nothing there; None where they name another database."""
    kept, rest = list(operands[:2]), list(operands[2:])
    while rest:
        if word(rest[0]) != "DB" or len(rest) == 1:
            kept.append(rest.pop(0))
        elif word(rest[1]) == database:
            del rest[:2]
        else:
            return None
    return kept


def apart(keys: Keys) -> Callable[[Operands], bool]:
    """The destination (the first key) is not a source too: the second run reads what the first one read."""

    def destination_apart(operands: Operands) -> bool:
        destination, *sources = [_packed(key) for key in keys.of(operands)] or [b""]
        return destination not in sources

    return destination_apart


def _packed(key: Any) -> bytes:
    return bytes(key) if isinstance(key, (bytes, bytearray, memoryview)) else str(key).encode()


def sort_keys(operands: Operands) -> list[Any]:
    return [*operands[:1], *sort_destination(operands)]


def sort_destination(operands: Operands) -> list[Any]:
    at = options(operands, 1, _SORT).get("STORE", len(operands))
    return list(operands[at + 1 : at + 2])


def sort_policy(operands: Operands) -> Policy:
    return Policy.STATE if sort_destination(operands) else Policy.READ


def sort_idempotent(operands: Operands) -> bool:
    return [_packed(key) for key in operands[:1]] != [_packed(key) for key in sort_destination(operands)]


def migrate_keys(operands: Operands) -> list[Any]:
    at = options(operands, 5, {"AUTH": 1, "AUTH2": 2}, stop="KEYS").get("KEYS")
    named = list(operands[2:3])
    return list(operands[at + 1 :]) if at is not None and named in ([""], [b""]) else named


# -- hashes, lists, sorted sets -------------------------------------------------------------------------------------


def hsetex_policy(operands: Operands) -> Policy:
    return _expiry(options(operands, 1, _EXPIRIES, width=2), Policy.VERBATIM)


def hsetex_idempotent(operands: Operands) -> bool:
    return not options(operands, 1, _EXPIRIES, width=2).keys() & {"NX", "FNX"}


def ltrim_idempotent(operands: Operands) -> bool:
    """Keeping the first n, or the last n, again changes nothing; cutting one off an end does."""
    start, stop = (number(operand) for operand in operands[1:3]) if len(operands) > 2 else (None, None)
    return start is not None and stop is not None and ((start == 0 and stop >= 0) or (start < 0 and stop == -1))


def zadd_idempotent(operands: Operands) -> bool:
    flags = {"NX", "XX", "GT", "LT", "CH", "INCR"}
    for operand in operands[1:]:
        name = word(operand)
        if name not in flags or name in {"NX", "INCR"}:
            return name not in flags
    return True


def radius_destination(start: int) -> Callable[[Operands], list[Any]]:
    """The key of STORE or STOREDIST, whose options begin at `start`."""

    def destination(operands: Operands) -> list[Any]:
        found = options(operands, start, _RADIUS)
        at = max(found.get("STORE", -1), found.get("STOREDIST", -1))
        return [] if at < 0 else list(operands[at + 1 : at + 2])

    return destination


def radius_keys(start: int) -> Callable[[Operands], list[Any]]:
    destination = radius_destination(start)
    return lambda operands: [*operands[:1], *destination(operands)]


def radius_policy(start: int) -> Callable[[Operands], Policy]:
    destination = radius_destination(start)
    return lambda operands: geosearch_policy(operands) if destination(operands) else Policy.READ


def geosearch_policy(operands: Operands) -> Policy:
    """Of a search that is stored: servers of different generations reckon distances a little differently."""
    return Policy.STATE if "STOREDIST" in map(word, operands) else Policy.VERBATIM


def radius_idempotent(start: int) -> Callable[[Operands], bool]:
    destination = radius_destination(start)
    return lambda operands: [_packed(key) for key in operands[:1]] != [_packed(key) for key in destination(operands)]


# -- streams --------------------------------------------------------------------------------------------------------


def stream_keys(operands: Operands) -> list[Any]:
    at = options(operands, 0, _READ, stop="STREAMS").get("STREAMS")
    if at is None:
        return []
    rest = operands[at + 1 :]
    return list(rest[: len(rest) // 2])


def xreadgroup_policy(operands: Operands) -> Policy:
    return Policy.BLOCKING if "BLOCK" in options(operands, 0, _READ, stop="STREAMS") else Policy.EFFECT


def xadd_policy(operands: Operands) -> Policy:
    return Policy.REFUSED if _xadd(operands)[0].keys() & {"IDMP", "IDMPAUTO"} else Policy.EFFECT


def xadd_id_at(operands: Operands) -> int:
    """Where the id stands in XADD key [options] id field value ..."""
    return _xadd(operands)[1]


def xadd_trims(operands: Operands) -> bool:
    return not _xadd(operands)[0].keys().isdisjoint({"MAXLEN", "MINID"})


def _xadd(operands: Operands) -> tuple[dict[str, str], int]:
    """The option words, each with the word behind it, and where the id stands."""
    found: dict[str, str] = {}
    at = 1
    while at < len(operands) and (name := word(operands[at])) in _XADD:
        found[name] = word(operands[at + 1]) if at + 1 < len(operands) else ""
        at += 1 + _XADD[name] + (name in {"MAXLEN", "MINID"} and found[name] in {"~", "="})
    return found, at


def xtrim_policy(operands: Operands) -> Policy:
    """EFFECT where the server has a choice, or older ones refuse the options."""
    exact = len(operands) < 4 or (len(operands) == 4 and word(operands[2]) == "=")
    return Policy.VERBATIM if exact else Policy.EFFECT


# -- modules --------------------------------------------------------------------------------------------------------


def stamped_policy(stamps: slice) -> Callable[[Operands], Policy]:
    """STATE where one of the time stamps is left to the server's clock."""
    return lambda operands: Policy.STATE if "*" in map(word, operands[stamps]) else Policy.VERBATIM


def counted_series_policy(operands: Operands) -> Policy:
    at = options(operands, 2, {"LABELS": len(operands)}).get("TIMESTAMP", len(operands))
    stamp = operands[at + 1 : at + 2]
    return Policy.VERBATIM if stamp and word(stamp[0]) != "*" else Policy.STATE


def index_policy(operands: Operands) -> Policy:
    options_end = next((at for at, operand in enumerate(operands) if word(operand) == "SCHEMA"), len(operands))
    return Policy.REFUSED if "TEMPORARY" in map(word, operands[1:options_end]) else Policy.VERBATIM


def cursor_policy(operands: Operands) -> Policy:
    return Policy.ONE_STORE if "WITHCURSOR" in map(word, operands) else Policy.READ


def dropindex_policy(operands: Operands) -> Policy:
    return Policy.REFUSED if "DD" in map(word, operands[1:]) else Policy.VERBATIM


def vadd_policy(operands: Operands) -> Policy:
    return Policy.STATE if len(operands) > 1 and word(operands[1]) == "REDUCE" else Policy.VERBATIM
