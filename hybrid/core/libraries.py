"""Libraries of functions, as they stand on a store: what was loaded through hybrid holds words and names of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

__all__ = ["NOT_FOUND", "PAST_HYBRID", "TWIN", "as_counted", "as_loaded", "as_written", "is_loaded"]

TWIN: Final = b"hybrid_"
"""Each function of a library that was loaded through hybrid is there by a second name, with this before its own, by
which `FCALL` calls it. One that was loaded past hybrid, which nobody follows, the server does not know by that name."""

NOT_FOUND: Final = "Function not found"
PAST_HYBRID: Final = (
    "its library was loaded past hybrid, which has to know what it writes; load it again through hybrid, with REPLACE"
)

_COUNT: Final = (b"functions_count", "functions_count")
_WORDS: Final = re.compile(
    rb"local redis=\(function\(\) local known,own=.*? return own end\)\(\) (?:local server=redis )?"
)


def as_loaded(reply: Any) -> Any:
    """A reply that lists libraries, with their texts and functions as the application loaded them."""
    kind = type(reply)
    if kind is list:
        return [as_loaded(item) for item in reply if not _is_twin(item)]
    if kind is dict:
        return {name: as_loaded(value) for name, value in reply.items()}
    if kind is str:
        return _WORDS.sub(b"", reply.encode()).decode()
    return _WORDS.sub(b"", reply) if kind is bytes else reply


def as_written(error: Exception) -> Exception:
    """An error of the server about a function, with the name that the application knows."""
    text, name = str(error), TWIN.decode()
    return type(error)(text.replace(name, "")) if name in text else error


def as_counted(statistics: Any, listed: Any) -> Any:
    """A reply of FUNCTION STATS without the second names, which one of FUNCTION LIST has."""
    twins = sum(name.startswith(TWIN) for name in _names(listed))

    def less(name: Any, reply: Any) -> Any:
        if isinstance(reply, dict):
            return {name: less(name, value) for name, value in reply.items()}
        if isinstance(reply, list):
            return [less(name, value) for name, value in zip([None, *reply], reply, strict=False)]
        return reply - twins if name in _COUNT and reply else reply

    return less(None, statistics)


def is_loaded(function: bytes, listed: Any) -> bool:
    """Whether a reply of FUNCTION LIST has this function, by this very name."""
    return function in _names(listed)


def _names(listed: Any) -> Iterator[bytes]:
    """The names in all descriptions of functions in a reply of FUNCTION LIST."""
    if name := _name(listed):
        yield name
    for part in listed.values() if isinstance(listed, dict) else listed if isinstance(listed, list) else ():
        yield from _names(part)


def _is_twin(item: Any) -> bool:
    """Whether this describes a function by its second name."""
    name = _name(item)
    return name is not None and name.startswith(TWIN)


def _name(item: Any) -> bytes | None:
    """The name in a function's description."""
    if type(item) is list and len(item) > 1 and item[0] in (b"name", "name"):
        name = item[1]
    elif type(item) is dict:
        name = item.get(b"name", item.get("name"))
    else:
        return None
    return name.encode() if isinstance(name, str) else name
