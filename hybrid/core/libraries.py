"""Libraries of functions, as they stand on a store: what was loaded through hybrid holds words and names of its own."""

from __future__ import annotations

import re
from typing import Any, Final

__all__ = ["NOT_FOUND", "PAST_HYBRID", "TWIN", "as_loaded", "as_written", "is_loaded"]

TWIN: Final = b"hybrid_"
"""Each function of a library that was loaded through hybrid is there by a second name, with this before its own, by
which `FCALL` calls it. One that was loaded past hybrid, which nobody follows, the server does not know by that name."""

NOT_FOUND: Final = "Function not found"
PAST_HYBRID: Final = (
    "its library was loaded past hybrid, which has to know what it writes; load it again through hybrid, with REPLACE"
)

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


def is_loaded(function: bytes, listed: Any) -> bool:
    """Whether a reply of FUNCTION LIST has this function, by this very name."""
    parts = listed.values() if isinstance(listed, dict) else listed if isinstance(listed, list) else ()
    return _name(listed) == function or any(is_loaded(function, part) for part in parts)


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
