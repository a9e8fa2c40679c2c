"""A search index that somebody draws up: the FT.CREATE it comes to, and the fields that its documents suggest."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from hybrid.core.shell import quoted_word, split_line
from hybrid.errors import ConfigurationError

__all__ = ["DOCUMENT_KINDS", "Draft", "create_words", "suggested"]

DOCUMENT_KINDS: Final = ("HASH", "JSON")
_FIELD_KINDS: Final = (b"TEXT", b"TAG", b"NUMERIC", b"GEO", b"GEOSHAPE", b"VECTOR")
_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_POINT: Final = re.compile(r"-?\d{1,3}(\.\d+)?,-?\d{1,2}(\.\d+)?")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_PLAIN_NAME: Final = re.compile(r"[A-Za-z_]\w*")
LONGEST_TAG: Final = 64
MOST_FIELDS: Final = 50
DEEPEST: Final = 3


@dataclass(frozen=True, slots=True)
class Draft:
    """`on` is one of DOCUMENT_KINDS; without a prefix every key counts. `schema`: one field on each line, as FT.CREATE
    has it: its name or path, perhaps AS and another name, its type, options."""

    name: bytes
    on: str
    prefixes: tuple[bytes, ...]
    schema: str


def create_words(draft: Draft) -> tuple[bytes, ...]:
    """The command. Raises ConfigurationError, which names the line that is wrong."""
    if not draft.name:
        raise ConfigurationError("an index needs a name")
    fields = [_field(number, line) for number, line in enumerate(draft.schema.splitlines(), 1) if line.strip()]
    if not fields:
        raise ConfigurationError("an index needs fields: one on each line, such as title TEXT")
    prefixes = (b"PREFIX", b"%d" % len(draft.prefixes), *draft.prefixes) if draft.prefixes else ()
    return (
        b"FT.CREATE", draft.name, b"ON", draft.on.encode(), *prefixes, b"SCHEMA",
        *(word for field in fields for word in field),
    )  # fmt: skip


def _field(number: int, line: str) -> list[bytes]:
    try:
        words = split_line(line)
    except ConfigurationError as error:
        raise ConfigurationError(f"line {number}: {error}") from None
    at = 3 if len(words) > 1 and words[1].upper() == b"AS" else 1
    if len(words) <= at or words[at].upper() not in _FIELD_KINDS:
        raise ConfigurationError(f"line {number}: write a field and its type, such as title TEXT or price NUMERIC")
    return words


def suggested(on: str, documents: Sequence[Mapping[bytes, bytes] | bytes]) -> tuple[str, ...]:
    """Lines of a schema that fit these documents: hashes, or JSON. A field that holds no text in any is left out."""
    found: dict[tuple[str, ...], list[Any]] = {}
    for document in documents:
        leaves = _leaves(json.loads(document)) if isinstance(document, bytes) else _fields_of(document)
        for path, value in leaves:
            found.setdefault(path, []).append(value)
    lines = [_line(on, path, kind) for path, values in found.items() if (kind := _kind(values)) is not None]
    return tuple(lines[:MOST_FIELDS])


def _fields_of(document: Mapping[bytes, bytes]) -> Iterator[tuple[tuple[str, ...], str | None]]:
    for name, value in document.items():
        yield (name.decode(errors="replace"),), _text(value)


def _text(value: bytes) -> str | None:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return None
    return None if _CONTROL.search(text) else text


def _leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """What a document holds, by path; of an array, what it holds under the name `*`."""
    if isinstance(value, dict) and len(path) < DEEPEST:
        for name, inner in value.items():
            yield from _leaves(inner, (*path, name))
    elif isinstance(value, list) and path and path[-1] != "*":
        for inner in value:
            if isinstance(inner, str):
                yield (*path, "*"), [inner]
    elif path and value is not None and not isinstance(value, dict | list):
        yield path, value


def _kind(values: Sequence[Any]) -> str | None:
    if None in values:
        return None
    if all(isinstance(value, bool | list) for value in values):
        return "TAG"
    texts = [value if isinstance(value, str) else json.dumps(value) for value in values]
    if all(map(_NUMBER.fullmatch, texts)):
        return "NUMERIC SORTABLE"
    if all(map(_POINT.fullmatch, texts)):
        return "GEO"
    short = all(len(text) <= LONGEST_TAG and not re.search(r"\s", text) for text in texts)
    return "TAG" if short else "TEXT"


def _line(on: str, path: tuple[str, ...], kind: str) -> str:
    if on == "HASH":
        return f"{quoted_word(path[0].encode())} {kind}"
    steps = ("[*]" if step == "*" else _step(step) for step in path)
    alias = "_".join(step for step in path if step != "*")
    return f"{quoted_word(('$' + ''.join(steps)).encode())} AS {quoted_word(alias.encode())} {kind}"


def _step(name: str) -> str:
    return f".{name}" if _PLAIN_NAME.fullmatch(name) else f"[{json.dumps(name, ensure_ascii=False)}]"
