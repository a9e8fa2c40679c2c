"""Parts of values that are taken apart: bytes that are text, and names that are none. Pure."""

from __future__ import annotations

import json
import re
from typing import Any, Final

__all__ = ["name_of", "text_in"]

MOST_NAME: Final = 200
CONTROL: Final = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]")


def name_of(key: Any) -> str:
    """A key as the name of a part. Of one that is no text the beginning: told whole, names within names would each be
    twice as long."""
    return key if isinstance(key, str) else json.dumps(key, ensure_ascii=False, default=repr)[:MOST_NAME]


def text_in(part: bytes) -> str | None:
    """These bytes as text; None where they are none."""
    try:
        return None if CONTROL.search(part) else part.decode()
    except UnicodeDecodeError:
        return None
