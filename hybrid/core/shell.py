"""A command line as people know it from redis-cli: words in, replies out. Pure text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any, Final

from hybrid.errors import ConfigurationError

__all__ = ["line_of", "masked_line", "printed", "quoted", "split_line"]

_ESCAPES: Final = {"n": b"\n", "r": b"\r", "t": b"\t", "b": b"\b", "a": b"\a"}
_SHOWN: Final = {0x5C: "\\\\", 0x22: '\\"', 0x0A: "\\n", 0x0D: "\\r", 0x09: "\\t", 0x07: "\\a", 0x08: "\\b"}
_WORD: Final = re.compile(r"[^\s\"']+")
_DOUBLE: Final = re.compile(r'"((?:\\x[0-9a-fA-F]{2}|\\.|[^"\\])*)"', re.DOTALL)
_SINGLE: Final = re.compile(r"'((?:\\'|[^'])*)'", re.DOTALL)
_ESCAPE: Final = re.compile(r"\\(x[0-9a-fA-F]{2}|.)", re.DOTALL)
_STATUS: Final = frozenset({b"OK", b"PONG", b"QUEUED", b"Background saving started"})
_STATUS_COMMANDS: Final = frozenset({"TYPE"})
_TEXTS: Final = frozenset(
    {"INFO", "LOLWUT", "CLIENT LIST", "CLIENT INFO", "CLUSTER INFO", "CLUSTER NODES", "LATENCY DOCTOR",
     "LATENCY GRAPH", "MEMORY DOCTOR", "MEMORY MALLOC-STATS"}
)  # fmt: skip
_SECRET_AFTER: Final = frozenset({"AUTH", "AUTH2", "REQUIREPASS", "MASTERAUTH", "TLS-KEY-FILE-PASS"})
LONGEST_TEXT: Final = 10_000


def split_line(line: str) -> list[bytes]:
    r"""The words of a line, as redis-cli splits it: in double quotes `\n`, `\xff` and the like mean what they do there,
    in single quotes only `\'` does.

    Raises ConfigurationError, which says where a quote is missing.
    """
    words, at = [], 0
    while at < len(line):
        if line[at].isspace():
            at += 1
            continue
        pattern = {'"': _DOUBLE, "'": _SINGLE}.get(line[at], _WORD)
        found = pattern.match(line, at)
        if found is None:
            raise ConfigurationError(f"the quote at character {at + 1} is never closed; put {line[at]} at its end")
        at = found.end()
        if at < len(line) and not line[at].isspace():
            raise ConfigurationError(f"put a space before character {at + 1}, {line[at]!r}")
        words.append(_unquoted(found, pattern))
    return words


def _unquoted(found: re.Match[str], pattern: re.Pattern[str]) -> bytes:
    if pattern is _WORD:
        return found[0].encode()
    if pattern is _SINGLE:
        return found[1].replace("\\'", "'").encode()
    parts, end = [], 0
    for escape in _ESCAPE.finditer(found[1]):
        code = escape[1]
        one = bytes([int(code[1:], 16)]) if len(code) == 3 else _ESCAPES.get(code, code.encode())
        parts += [found[1][end : escape.start()].encode(), one]
        end = escape.end()
    return b"".join([*parts, found[1][end:].encode()])


def quoted(value: bytes) -> str:
    """`value` as redis-cli shows a string: in double quotes, everything that is not printable ASCII escaped. Letters of
    other alphabets stay readable."""
    shown = value[:LONGEST_TEXT]
    try:
        text = "".join(
            _SHOWN.get(ord(char), char if char.isprintable() else _hex(char.encode())) for char in shown.decode()
        )
    except UnicodeDecodeError:
        text = "".join(_SHOWN.get(code) or (chr(code) if 32 <= code < 127 else f"\\x{code:02x}") for code in shown)
    return f'"{text}"' if len(value) <= LONGEST_TEXT else f'"{text}"… ({len(value):,} bytes)'


def _hex(data: bytes) -> str:
    return "".join(f"\\x{code:02x}" for code in data)


def quoted_word(word: bytes) -> str:
    """A word of a line again: quoted only where it must be."""
    text = quoted(word)
    plain = text[1:-1]
    return plain if text.endswith('"') and re.fullmatch(r"[^\s\"'\\]+", plain) else text


def line_of(words: Iterable[bytes]) -> str:
    """The words as one line, for redis-cli or the Console."""
    return " ".join(map(quoted_word, words))


def masked_line(words: Sequence[bytes], longest: int = 200) -> str:
    """The line for a log: no password in it, long values cut."""
    shown, hidden, name = [], 0, words[0].upper() if words else b""
    for word in words:
        upper = word.decode(errors="replace").upper()
        secret = hidden > 0 or (name == b"ACL" and word[:1] in b"><#!" and bool(word))
        shown.append("***" if secret else quoted_word(word[:40]) + ("…" if len(word) > 40 else ""))
        # AUTH takes a password, or a user's name and a password: neither is shown.
        hidden = 2 if upper in _SECRET_AFTER else max(hidden - 1, 0)
    return " ".join(shown)[:longest]


def printed(reply: Any, command: str = "") -> Iterator[str]:
    """The lines in which redis-cli prints the reply of the command of this full name. Made as they are taken."""
    if isinstance(reply, bytes) and command in _TEXTS:
        yield from reply.decode(errors="replace").splitlines()
    elif isinstance(reply, bytes) and (reply in _STATUS or command in _STATUS_COMMANDS):
        yield reply.decode(errors="replace")
    else:
        yield from _lines(reply, "")


def _lines(reply: Any, indent: str) -> Iterator[str]:
    if isinstance(reply, Mapping):
        yield from _items(reply.items(), len(reply), "#", indent, "(empty hash)")
    elif isinstance(reply, (list, tuple)):
        yield from _items(reply, len(reply), ")", indent, "(empty array)")
    elif isinstance(reply, (set, frozenset)):
        yield from _items(reply, len(reply), "~", indent, "(empty set)")
    else:
        yield _scalar(reply)


def _scalar(reply: Any) -> str:
    if reply is None:
        return "(nil)"
    if isinstance(reply, Exception):
        return f"(error) {reply}"
    if isinstance(reply, bool):
        return f"({str(reply).lower()})"
    if isinstance(reply, int):
        return f"(integer) {reply}"
    if isinstance(reply, float):
        return f"(double) {reply:.17g}"
    return quoted(reply if isinstance(reply, bytes) else str(reply).encode())


def _items(items: Any, count: int, mark: str, indent: str, empty: str) -> Iterator[str]:
    """Numbered lines; what is nested is indented by the width of its number."""
    if not count:
        yield empty
    width = len(str(count))
    for number, item in enumerate(items, 1):
        head = f"{number:>{width}}{mark} "
        inner = indent + " " * len(head)
        if mark == "#":
            key, value = item
            head += f"{_scalar(key)} => "
            lines = _lines(value, inner)
        else:
            lines = _lines(item, inner)
        first = next(lines)
        lead = "" if number == 1 else indent
        yield f"{lead}{head}{first}"
        yield from lines


def bounded(lines: Iterator[str], most_lines: int, most_chars: int) -> tuple[tuple[str, ...], bool]:
    """The first lines, and whether there are more than that."""
    taken: list[str] = []
    size = 0
    for line in islice(lines, most_lines):
        size += len(line)
        if size > most_chars and taken:
            return tuple(taken), True
        taken.append(line)
    return tuple(taken), next(chain(lines, [None]), None) is not None
