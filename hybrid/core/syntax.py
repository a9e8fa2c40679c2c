"""How a command is written, out of what a server answers to COMMAND DOCS. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["syntax_of"]


def syntax_of(name: str, reply: Any) -> str | None:
    """As in `XLEN key`; None where the server does not tell."""
    for docs in map(_mapped, _mapped(reply).values()):
        arguments = docs.get("arguments", () if "module" not in docs else None)
        if arguments is not None:
            return " ".join([name, *(_argument(_mapped(each)) for each in arguments)])
    return None


def _mapped(reply: Any) -> dict[str, Any]:
    """A map of RESP3, or what RESP2 has in its place: keys and values by turns."""
    if isinstance(reply, Mapping):
        parts = list(reply.items())
    elif isinstance(reply, Sequence) and not isinstance(reply, str | bytes):
        parts = list(zip(reply[::2], reply[1::2], strict=False))
    else:
        parts = []
    return {_text(key): value for key, value in parts}


def _text(part: Any) -> str:
    return part.decode(errors="replace") if isinstance(part, bytes) else str(part)


def _argument(told: dict[str, Any]) -> str:
    flags = {_text(flag) for flag in told.get("flags", ())}
    token = _text(told.get("token", ""))
    parts = [_argument(_mapped(each)) for each in told.get("arguments", ())]
    match _text(told["type"]):
        case "pure-token":
            words = token
        case "oneof":
            words = " | ".join(parts)
            words = words if "optional" in flags and not token and "multiple" not in flags else f"<{words}>"
        case "block":
            words = " ".join(parts)
        case _:
            words = _text(told.get("display_text", told["name"]))
    if token and _text(told["type"]) != "pure-token":
        again = f" [{token} {words} ...]" if "multiple_token" in flags else f" [{words} ...]"
        words = f"{token} {words}" + again * ("multiple" in flags)
    elif "multiple" in flags:
        words = f"{words} [{words} ...]"
    return f"[{words}]" if "optional" in flags else words
