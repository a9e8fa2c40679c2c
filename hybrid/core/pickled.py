"""A pickle, read only: what it holds as JSON could say it. Nothing that it names is imported, built or called."""

from __future__ import annotations

import io
import pickle
import pickletools
from typing import Any, Final, NoReturn

from hybrid.core.readable import name_of

__all__ = ["unpickled"]

MOST_PARTS: Final = 100_000
"""A few bytes may name the same list again and again, each time twice."""

MOST_DEPTH: Final = 64
PUTS: Final = frozenset({"PUT", "BINPUT", "LONG_BINPUT"})
REBUILT: Final = frozenset({"<copyreg._reconstructor>", "<copy_reg._reconstructor>"})


def unpickled(value: bytes) -> Any:
    """What the pickle holds: tuples and sets as lists, bytes as text, an object as its class with what it is made of.

    Raises ValueError when it is no pickle, and when it is too much.
    """
    for opcode, argument, _at in pickletools.genops(value):
        if opcode.name in PUTS and int(argument or 0) > len(value):  # memory would be taken for so many
            raise ValueError(f"it has no part {argument}")
    try:
        found = _Reader(io.BytesIO(value)).load()
    except Exception as error:  # as the documentation has it: any, from bytes that are no pickle
        raise ValueError(f"its parts do not fit together: {error}") from None
    return _Shown().of(found, 0)


class _Made:
    """What a call would have made, with the state and the parts it would have been given then."""

    def __new__(cls, *arguments: Any, **named: Any) -> _Made:
        made = super().__new__(cls)
        made.arguments = [*arguments, named] if named else list(arguments)
        made.state = None
        made.parts = []
        made.pairs = []
        return made

    arguments: list[Any]
    state: Any
    parts: list[Any]
    pairs: list[tuple[Any, Any]]

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def append(self, part: Any) -> None:
        self.parts.append(part)

    add = append

    def extend(self, parts: list[Any]) -> None:
        self.parts.extend(parts)

    def __setitem__(self, key: Any, part: Any) -> None:
        self.pairs.append((key, part))


class _Reader(pickle.Unpickler):
    """Classes and functions are classes of the same name that keep what they are given."""

    def find_class(self, module: str, name: str) -> type[_Made]:
        return type(f"<{module}.{name}>", (_Made,), {})

    def persistent_load(self, _pid: Any) -> NoReturn:
        raise pickle.UnpicklingError("it refers to something outside")


class _Shown:
    """Turns what was read into what JSON can say, up to a limit."""

    def __init__(self) -> None:
        self._left = MOST_PARTS

    def of(self, found: Any, depth: int) -> Any:
        self._left -= 1
        if self._left < 0 or depth > MOST_DEPTH:
            raise ValueError("it is too much to be shown")
        match found:
            case bytes() | bytearray():
                return found.decode(errors="backslashreplace")
            case list() | tuple() | set() | frozenset():
                return [self.of(part, depth + 1) for part in found]
            case dict():
                return self._pairs(found.items(), depth)
            case type():
                return found.__name__
            case _Made():
                return self._made(found, depth)
        return found

    def _pairs(self, pairs: Any, depth: int) -> dict[str, Any]:
        return {self._key(key, depth): self.of(part, depth + 1) for key, part in pairs}

    def _key(self, key: Any, depth: int) -> str:
        return name_of(self.of(key, depth + 1))

    def _made(self, made: _Made, depth: int) -> dict[str, Any]:
        """Of an object of the oldest protocol what is told is its class, and what its base was made of."""
        name, arguments = type(made).__name__, made.arguments
        if name in REBUILT:
            rebuilt, _base, of = arguments
            name, arguments = self._key(rebuilt, depth), [] if of is None else [of]
        items: Any = self._pairs(made.pairs, depth) if made.pairs else made.parts
        told = {"arguments": arguments, "state": made.state, "items": items}
        there = {what: self.of(part, depth + 1) for what, part in told.items() if part not in ([], None)}
        return {name: there if len(there) > 1 else next(iter(there.values()), [])}
