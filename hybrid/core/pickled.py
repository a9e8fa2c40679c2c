"""A pickle, read only: what it holds as JSON could say it. Nothing in it is imported, built or called."""

from __future__ import annotations

import json
import pickletools
from dataclasses import dataclass, field
from typing import Any, Final

__all__ = ["unpickled"]

MOST_PARTS: Final = 100_000
"""A few bytes may name the same list again and again, each time twice."""

MOST_DEPTH: Final = 64
MARK: Final = object()
CONSTANTS: Final[dict[str, Any]] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
EMPTY: Final[dict[str, type]] = {"EMPTY_LIST": list, "EMPTY_TUPLE": list, "EMPTY_SET": list}
MARKED: Final = frozenset({"LIST", "TUPLE", "FROZENSET"})
TUPLES: Final = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
IGNORED: Final = frozenset({"PROTO", "FRAME", "STOP"})
CALLS: Final = frozenset({"REDUCE", "NEWOBJ"})
KEPT: Final = frozenset({"PUT", "BINPUT", "LONG_BINPUT"})
RECALLED: Final = frozenset({"GET", "BINGET", "LONG_BINGET"})
REBUILT: Final = frozenset({"copyreg._reconstructor", "copy_reg._reconstructor"})


@dataclass(slots=True)
class _Name:
    """What would be imported."""

    text: str


@dataclass(slots=True)
class _Pairs:
    pairs: list[tuple[Any, Any]] = field(default_factory=list)


@dataclass(slots=True)
class _Made:
    """What a call would have made, with the state and the parts it would have been given then."""

    name: Any
    arguments: list[Any]
    state: Any = None
    parts: list[Any] = field(default_factory=list)
    pairs: _Pairs = field(default_factory=_Pairs)


def unpickled(value: bytes) -> Any:
    """What the pickle holds: tuples and sets as lists, bytes as text, an object as its class with what it is made of.

    Raises ValueError when it is no pickle, and when it is too much.
    """
    try:
        machine = _Machine()
        for opcode, argument, _at in pickletools.genops(value):
            machine.run(opcode.name, argument)
        [found] = machine.stack
    except (IndexError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"its parts do not fit together: {error}") from None
    return _Shown().of(found, 0)


class _Machine:
    """The stack of a pickle, with names in the place of what would be imported."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def run(self, name: str, argument: Any) -> None:
        stack = self.stack
        if name in IGNORED:
            return
        if name in CONSTANTS:
            stack.append(CONSTANTS[name])
        elif name in EMPTY:
            stack.append(EMPTY[name]())
        elif name in MARKED:
            stack.append(self._marked())
        elif name in TUPLES:
            stack[-TUPLES[name] :] = [stack[-TUPLES[name] :]]
        elif name in KEPT:
            self._memo[int(argument)] = stack[-1]
        elif name in RECALLED:
            stack.append(self._memo[int(argument)])
        elif name in CALLS:
            arguments, called = stack.pop(), stack.pop()
            stack.append(_made(called, arguments))
        else:
            self._other(name, argument)

    def _other(self, name: str, argument: Any) -> None:
        stack = self.stack
        match name:
            case "MARK":
                stack.append(MARK)
            case "MEMOIZE":
                self._memo[len(self._memo)] = stack[-1]
            case "POP":
                stack.pop()
            case "POP_MARK":
                self._marked()
            case "DUP":
                stack.append(stack[-1])
            case "EMPTY_DICT":
                stack.append(_Pairs())
            case "DICT":
                items = self._marked()
                stack.append(_Pairs(_two(items)))
            case "APPEND":
                item = stack.pop()
                _list_of(stack[-1]).append(item)
            case "APPENDS" | "ADDITEMS":
                items = self._marked()
                _list_of(stack[-1]).extend(items)
            case "SETITEM":
                item, key = stack.pop(), stack.pop()
                _pairs_of(stack[-1]).append((key, item))
            case "SETITEMS":
                items = self._marked()
                _pairs_of(stack[-1]).extend(_two(items))
            case "GLOBAL":
                stack.append(_Name(argument.replace(" ", ".")))
            case "STACK_GLOBAL":
                attribute, module = stack.pop(), stack.pop()
                stack.append(_Name(f"{module}.{attribute}"))
            case "NEWOBJ_EX":
                named, arguments, called = stack.pop(), stack.pop(), stack.pop()
                stack.append(_made(called, [*arguments, named] if named.pairs else arguments))
            case "INST":
                stack.append(_made(_Name(argument.replace(" ", ".")), self._marked()))
            case "OBJ":
                called, *arguments = self._marked()
                stack.append(_made(called, arguments))
            case "BUILD":
                state = stack.pop()
                stack[-1].state = state
            case _ if argument is not None:
                stack.append(argument)
            case _:
                raise ValueError(f"{name} cannot be shown")

    def _marked(self) -> list[Any]:
        """What lies above the latest mark, taken off with it."""
        at = max(index for index, part in enumerate(self.stack) if part is MARK)
        found = self.stack[at + 1 :]
        del self.stack[at:]
        return found


def _two(items: list[Any]) -> list[tuple[Any, Any]]:
    return list(zip(items[::2], items[1::2], strict=True))


def _list_of(found: Any) -> list[Any]:
    parts: list[Any] = found.parts if isinstance(found, _Made) else found
    return parts


def _pairs_of(found: Any) -> list[tuple[Any, Any]]:
    pairs: list[tuple[Any, Any]] = found.pairs.pairs if isinstance(found, _Made) else found.pairs
    return pairs


def _made(called: Any, arguments: list[Any]) -> _Made:
    """Of an object of the oldest protocol what is told is its class, and what its base was made of."""
    if isinstance(called, _Name) and called.text in REBUILT:
        rebuilt, _base, of = arguments
        return _Made(rebuilt, [] if of is None else [of])
    return _Made(called, list(arguments))


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
            case list():
                return [self.of(part, depth + 1) for part in found]
            case _Pairs(pairs):
                return {self._key(key, depth): self.of(part, depth + 1) for key, part in pairs}
            case _Name(text):
                return f"<{text}>"
            case _Made():
                return {self._name(found.name, depth): self._contents(found, depth)}
        return found

    def _contents(self, made: _Made, depth: int) -> Any:
        told = {"arguments": made.arguments, "state": made.state, "items": made.parts or made.pairs}
        there = {name: part for name, part in told.items() if part not in ([], None, _Pairs())}
        if len(there) <= 1:
            return self.of(next(iter(there.values()), []), depth + 1)
        return {name: self.of(part, depth + 1) for name, part in there.items()}

    def _name(self, name: Any, depth: int) -> str:
        return f"<{name.text}>" if isinstance(name, _Name) else self._key(name, depth)

    def _key(self, key: Any, depth: int) -> str:
        shown = self.of(key, depth + 1)
        return shown if isinstance(shown, str) else json.dumps(shown)
