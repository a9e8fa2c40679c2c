"""Writing settings to `.env`: one line per variable changes, everything else stays as it is, byte for byte."""

from __future__ import annotations

import difflib
import os
import re
import tempfile
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from errno import EACCES
from io import StringIO
from pathlib import Path
from typing import Final

from dotenv.parser import Binding, parse_stream

from hybrid.errors import ConfigurationError

__all__ = ["EnvPlan", "planned_env", "planned_text", "read_env", "write_env"]

_PLAIN: Final = re.compile(r"[A-Za-z0-9_./:@%+,=-]*")
_VALUE: Final = re.compile(
    r"(?P<head>\s*(?:export[^\S\r\n]+)?(?:'[^']+'|[^=\#\s]+)[^\S\r\n]*=[^\S\r\n]*)"
    r"(?P<value>'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"|[^\r\n]*?)"
    r"(?P<tail>(?:[^\S\r\n]+\#[^\r\n]*)?[^\S\r\n]*(?:\r\n|\n|\r)?\s*)",
    re.DOTALL,
)
"""A binding as python-dotenv reads it: everything but the value is kept. An unquoted value ends at a space and `#`."""


@dataclass(frozen=True, slots=True)
class EnvPlan:
    """What a file will hold. `diff` is a unified diff of the lines that change, secrets masked; "" when none does."""

    path: Path
    before: str | None = field(repr=False)
    after: str = field(repr=False)
    variables: tuple[str, ...]
    diff: str


def planned_env(path: Path, text: str | None, values: Mapping[str, str], *, secret: Collection[str] = ()) -> EnvPlan:
    """The plan that gives each variable its value in the file at `path`, which holds `text` (None: there is none). The
    values of `secret` variables do not show in its diff."""
    before = text or ""
    after = planned_text(before, values)
    now = _values(before)
    changed = tuple(name for name, value in values.items() if now.get(name, "") != value)
    return EnvPlan(path, text, after, changed, _diff(path.name, before, after, secret))


def planned_text(text: str, values: Mapping[str, str]) -> str:
    """`text` with each variable given its value: the last line that sets it is changed, or one is added at the end.

    A variable that has the value already keeps its line; one that is not there and shall be empty gets none. Raises
    ConfigurationError for a value that no line can hold.
    """
    mark = "\ufeff" if text.startswith("\ufeff") else ""  # some editors' byte order mark, which the parser leaves out
    bindings = list(parse_stream(StringIO(text, newline="")))
    last = {binding.key: index for index, binding in enumerate(bindings) if binding.key is not None}
    parts = [binding.original.string for binding in bindings]
    missing = []
    for name, value in values.items():
        index = last.get(name)
        if index is None:
            if value:
                missing.append(f"{name}={_quoted(name, value, '')}")
        elif (bindings[index].value or "") != value:
            parts[index] = _replaced(bindings[index], name, value)
    kept = mark + "".join(parts)
    if not missing:
        return kept
    end = "\r\n" if "\r\n" in text else "\n"
    joint = end if kept and not kept.endswith(("\n", "\r")) else ""
    return kept + joint + "".join(line + end for line in missing)


def _values(text: str) -> dict[str, str]:
    bindings = parse_stream(StringIO(text, newline=""))
    return {binding.key: binding.value or "" for binding in bindings if binding.key is not None}


def _replaced(binding: Binding, name: str, value: str) -> str:
    line = binding.original.string
    found = _VALUE.fullmatch(line)
    if found is None:  # a name without `=`, which sets nothing
        body = line.rstrip("\r\n")
        return f"{body.rstrip()}={_quoted(name, value, '')}{line[len(body) :]}"
    quote = found["value"][:1]
    return found["head"] + _quoted(name, value, quote if quote in ("'", '"') else "") + found["tail"]


def _quoted(name: str, value: str, quote: str) -> str:
    """`value` in the quotes that stood there, or in those that it needs."""
    if "\n" in value or "\r" in value:
        raise ConfigurationError(f"{name}: a value of several lines cannot be written")
    if not quote and not _PLAIN.fullmatch(value):
        quote = "'" if "'" not in value else '"'
    if quote == "'":
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    if quote == '"':
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return value


def _diff(name: str, before: str, after: str, secret: Collection[str]) -> str:
    """A unified diff without context: neighbouring lines may hold secrets too."""
    old, new = (text.splitlines() for text in (before, after))
    lines = difflib.unified_diff(old, new, name, f"{name} (new)", lineterm="", n=0)
    names = "|".join(map(re.escape, secret)) or "(?!)"
    masked = re.compile(rf"^([+-][\s\ufeff]*(?:export\s+)?(?:{names})\s*=).*$")
    return "\n".join(masked.sub(r"\1***", line) for line in lines)


def read_env(path: Path) -> str | None:
    """The file's text, line endings as they are; None if there is none. Raises ConfigurationError."""
    try:
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read as UTF-8 text: {type(error).__name__}") from None


def write_env(plan: EnvPlan) -> None:
    """Put the planned file in place of the old one, at once, its mode and owner kept; a new one is for its owner only.

    Raises ConfigurationError if the file is not as it was when it was planned, or cannot be written.
    """
    path = plan.path.resolve()  # a symbolic link stays one
    if read_env(path) != plan.before:
        raise ConfigurationError(f"{plan.path} was changed meanwhile: look at it, and write it again")
    try:
        _replace(path, plan.after.encode(), None if plan.before is None else path.stat())
    except OSError as error:
        raise ConfigurationError(f"{plan.path} cannot be written: {error.strerror}") from None


def _replace(path: Path, content: bytes, before: os.stat_result | None) -> None:
    if before is not None and not os.access(path, os.W_OK):
        raise PermissionError(EACCES, "it is read-only")  # the folder alone would let it be replaced
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if before is not None:
            with suppress(PermissionError):  # of another owner, whom only root can leave it to
                os.chown(name, before.st_uid, before.st_gid)
        Path(name).chmod(before.st_mode & 0o7777 if before is not None else 0o600)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
