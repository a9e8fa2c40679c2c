"""What the library and background jobs say, in the reader's language: events, reasons, findings, progress.

Both speak English, and what was said once is kept as a text: in the event log, in incidents, in jobs. So their
sentences are recognised here, by templates with the words that change in braces. What is not known stays as it is.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import Final

from panel import i18n
from panel.format import number, sentence
from panel.i18n import LANGUAGES, _
from panel.phrases import EXACT, TEMPLATES

__all__ = ["said"]

SOURCE: Final = next(iter(LANGUAGES))
FIELD: Final = re.compile(r"\{(\w+)\}")
VALUES: Final = {"n": r"[\d.,]+", "count": r"[\d.,]+", "setting": r"\w+"}
"""What a value looks like, where anything would be too much."""
NUMBER: Final = re.compile(r"\d{1,3}(,\d{3})*(\.\d+)?|\d+\.\d+")


def said(text: str) -> str:
    """`text` in the reader's language; each part of a list by itself."""
    return _said(text, i18n.language())


@lru_cache(maxsize=4096)
def _said(text: str, code: str) -> str:
    if code == SOURCE:
        return text
    if NUMBER.fullmatch(text):
        return number(text)
    if text in EXACT:
        return _(text)
    for template in TEMPLATES:
        found = _pattern(template).fullmatch(text)
        if found is not None:
            return _(template).format(**{name: _said(value, code) for name, value in found.groupdict().items()})
    if text.endswith("."):  # a sentence was made of it
        inside = text[:1].lower() + text[1:-1]
        found_inside = _said(inside, code)
        return text if found_inside == inside else sentence(found_inside)
    mark = next((mark for mark in (": ", "; ", ", ") if mark in text), None)
    return text if mark is None else mark.join(_said(part, code) for part in text.split(mark, 1))


@cache
def _pattern(template: str) -> re.Pattern[str]:
    """A template as a pattern: its words as they stand, anything where they change."""
    words = FIELD.split(template)  # text, name, text, name, ..., text
    named = [
        f"(?P<{part}>{VALUES.get(part, '.+?')})" if index % 2 else re.escape(part) for index, part in enumerate(words)
    ]
    return re.compile("".join(named), re.DOTALL)
