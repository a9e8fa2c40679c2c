"""What people enter on the page Keys, as bytes and moments; and what saving it would change."""

from __future__ import annotations

import difflib
import json
import time
from collections.abc import Callable
from enum import Enum, auto
from math import isinf, isnan

import streamlit as st

from panel import format
from panel.i18n import N_, _
from panel.keys.queries import ConfigurationError, decoded

__all__ = [
    "checked", "expiry_input", "file_input", "left_s", "moment_ms", "numbers", "parts", "score", "score_input",
    "value_input",
]  # fmt: skip

DAY_S = 86_400
UNITS = {1: N_("seconds"), 60: N_("minutes"), 3600: N_("hours"), DAY_S: N_("days")}
SHOWN_DIFF = 200
MOST_FILE_MB = 8
"""As much as an undo keeps."""


class Written(Enum):
    """How a value is written in a field of the browser, which knows lines that end in LF only."""

    TEXT = auto()
    CRLF = auto()
    HEX = auto()


def editable(value: bytes) -> tuple[str, Written]:
    """A value as text to be changed; in hex where it would lose bytes as text."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return value.hex(" "), Written.HEX
    lines = text.replace("\r\n", "\n")
    if any(ord(c) < 32 and c not in "\t\n" for c in lines) or (lines != text and "\n" in text.replace("\r\n", "")):
        return value.hex(" "), Written.HEX
    return lines, Written.TEXT if lines == text else Written.CRLF


def entered(text: str, written: Written) -> bytes:
    """What was entered, as bytes. Raises ConfigurationError."""
    if written is not Written.HEX:
        return (text.replace("\n", "\r\n") if written is Written.CRLF else text).encode()
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise ConfigurationError(_("This is no hex: write two digits for each byte.")) from None


NOTES = {Written.HEX: N_("in hex"), Written.CRLF: N_("its lines end in CR LF, and go on doing so")}


def differences(before: str, after: str) -> None:
    """What saving would change, line by line."""
    if before == after:
        st.caption(_("Nothing is changed yet."))
        return
    diff = list(difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=2))[2:]
    st.code("\n".join(diff[:SHOWN_DIFF]), language="diff", wrap_lines=True)
    if len(diff) > SHOWN_DIFF:
        st.caption(_("and {n} more lines").format(n=format.number(len(diff) - SHOWN_DIFF)))


def value_input(label: str, before: bytes, name: str = "keys-form-value") -> Callable[[], bytes]:
    """A field for a value, and what saving would change; returns what reads the entry when the button is pressed."""
    inside, coding = decoded(before) or (before, None)
    text, written = editable(inside)
    if written in NOTES:
        label = f"{label} ({_(NOTES[written])})"
    st.session_state.setdefault(name, text)
    now = st.text_area(label, key=name, height=160 if len(text) > 200 or "\n" in text else 90)
    if coding is not None:
        kinds = [*(["MessagePack"] if coding.is_msgpack else []), *([coding.packing] if coding.packing else [])]
        st.caption(_("Written back the way it was stored: {kinds}.").format(kinds=", ".join(kinds)))
    differences(text, now or "")

    def read() -> bytes:
        value = entered(str(st.session_state.get(name) or ""), written)
        if value == inside:
            return before
        return value if coding is None else coding.encoded(value)

    return read


def file_input(label: str) -> Callable[[], bytes | None]:
    """A field for a file; returns what reads it when the button is pressed: None without one. Raises
    ConfigurationError for one that is too large."""
    name = "keys-form-file"
    st.file_uploader(label, key=name, max_upload_size=MOST_FILE_MB)

    def read() -> bytes | None:
        file = st.session_state.get(name)
        if file is None:
            return None
        if file.size > MOST_FILE_MB * 1024 * 1024:
            found, most = format.size(file.size), format.size(MOST_FILE_MB * 1024 * 1024)
            raise ConfigurationError(_("The file has {size}; a value may have {most}.").format(size=found, most=most))
        return bytes(file.getvalue())

    return read


def expiry_input(name: str, default_s: float | None) -> Callable[[], int | None]:
    """When something expires; the result is Unix milliseconds, None for never."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        never = st.toggle(_("Never expires"), value=default_s is None, key=f"{name}-never")
        unit = next((u for u in (DAY_S, 3600, 60) if default_s and default_s >= 2 * u), 1)
        st.number_input(
            _("Expires in"), min_value=1, value=max(1, round((default_s or 3600) / unit)), key=f"{name}-count",
            disabled=never, width=140,
        )  # fmt: skip
        units = list(UNITS)
        st.selectbox(
            _("Unit"), units, index=units.index(unit), format_func=lambda u: _(UNITS[u]), key=f"{name}-unit",
            disabled=never, width=140,
        )  # fmt: skip

    def read() -> int | None:
        if st.session_state.get(f"{name}-never"):
            return None
        length_s = int(st.session_state[f"{name}-count"]) * int(st.session_state[f"{name}-unit"])
        return int((time.time() + length_s) * 1000)

    return read


def left_s(expires_at_ms: int | None) -> float | None:
    return None if expires_at_ms is None else max(1.0, expires_at_ms / 1000 - time.time())


def parts(text: str, kind: str) -> list[bytes]:
    """What was entered for a new key, as the arguments of its command. Raises ConfigurationError."""
    if kind == "json":
        checked(text)
    if kind in ("string", "json"):
        return [text.encode()] if text or kind == "string" else []
    lines = [line for line in text.split("\n") if line]
    if kind in ("list", "set"):
        return [line.encode() for line in lines]
    return [part for line in lines for part in two(line, kind)]


def two(line: str, kind: str) -> list[bytes]:
    separator = "\t" if "\t" in line else "="
    by_last = kind in ("zset", "vectorset")
    name, found, value = line.rpartition(separator) if by_last else line.partition(separator)
    if not found:
        raise ConfigurationError(_("“{line}” lacks a value: write name=value.").format(line=line[:60]))
    if kind in ("zset", "TSDB-TYPE"):
        score(value)
    if kind == "TSDB-TYPE":
        moment_ms(name)
    if kind == "vectorset":
        value = " ".join(map(repr, numbers(value)))
    return [name.strip().encode(), value.strip().encode()]


def numbers(text: str) -> list[float]:
    """A vector that was entered: numbers with commas or blanks between, in brackets or without. Raises
    ConfigurationError."""
    found = [score(part) for part in text.strip().strip("[]").replace(",", " ").split()]
    if not found:
        raise ConfigurationError(_("A vector has at least one number."))
    return found


def moment_ms(text: str) -> int:
    """A moment that was entered, in Unix milliseconds; now, if nothing was. Raises ConfigurationError."""
    if not text.strip():
        return int(time.time() * 1000)
    if not text.strip().isdecimal():
        raise ConfigurationError(_("“{text}” is no moment: write Unix milliseconds.").format(text=text[:60]))
    return int(text)


def score_input(start: str, label: str, about: str = "") -> Callable[[], float]:
    """A field for a number that a field of numbers could not hold: inf, and 17 digits where three were written."""
    st.session_state.setdefault("keys-form-score", start)
    st.text_input(label, key="keys-form-score", help=about or None)
    return lambda: score(str(st.session_state.get("keys-form-score") or ""))


def score(text: str) -> float:
    """A number that was entered. Raises ConfigurationError, also for what is beyond the greatest number."""
    try:
        number = float(text.replace("_", "?"))
        if isnan(number) or (isinf(number) and "inf" not in text.lower()):
            raise ValueError
        return number
    except ValueError:
        raise ConfigurationError(_("“{text}” is no number.").format(text=text[:60])) from None


def checked(text: str) -> None:
    try:
        json.loads(text)
    except ValueError as error:
        raise ConfigurationError(_("This is no JSON: {why}.").format(why=error)) from None
