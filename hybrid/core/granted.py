"""What conditions have granted (`HSETNX`, `ZADD NX`, `GEOADD NX`) on a store that was begun empty.

It has told the writer that the element was not there. The other store, which has a past, may hold it, and asked again
there the condition would fail in silence. So what was granted is done there without it, and what was not is left out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from hybrid.core.footprint import GONE, Effect

__all__ = ["Granted"]

_OPTIONS: Final = frozenset((b"NX", b"XX", b"GT", b"LT", b"CH", b"INCR"))
_WIDTHS: Final = {b"ZADD": 2, b"GEOADD": 3}
"""Of one member and what is said of it; the member comes last."""


class Granted:
    """Follows the commands of one log, from the first on."""

    def __init__(self) -> None:
        self._there: dict[bytes, set[bytes]] = defaultdict(set)

    def unconditional(self, key: bytes, args: Sequence[bytes], effect: Effect | None) -> list[bytes] | None:
        """What `args`, whose effect on `key` this is, has done; None where it was refused whole. To be called once for
        each command, in order."""
        there = self._there[key]
        if effect is None:
            return list(args)  # refused by the server, or the key is copied
        done = _without_condition(list(args), there)
        for element, value in effect.puts:
            (there.discard if value == GONE else there.add)(element)
        there.update(effect.adds)
        return done


def _without_condition(args: list[bytes], there: set[bytes]) -> list[bytes] | None:
    name = args[0].upper()
    if name == b"HSETNX":
        return None if args[2] in there else [b"HSET", *args[1:]]
    if (width := _WIDTHS.get(name)) is None:
        return args
    at = next(at for at in range(2, len(args)) if args[at].upper() not in _OPTIONS)
    options = [arg for arg in args[2:at] if arg.upper() != b"NX"]
    if len(options) == at - 2:
        return args
    entries = [args[start : start + width] for start in range(at, len(args), width)]
    kept = [part for entry in entries if entry[-1] not in there for part in entry]
    return [*args[:2], *options, *kept] if kept else None
