"""A key as commands for redis-cli."""

from __future__ import annotations

from typing import Final

from hybrid.core.export import resp_commands
from hybrid.core.state import KeyState, Unsupported
from hybrid.ops.diff.line import Line
from hybrid.ops.keys.lines import Lines
from hybrid.replication.copy import read_state
from hybrid.types import Store

__all__ = ["key_commands", "quoted"]

MOST_BYTES: Final = 1024 * 1024
PLAIN: Final = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.:/@*$")
ESCAPES: Final = {10: "\\n", 13: "\\r", 9: "\\t", 34: '\\"', 92: "\\\\"}


def key_commands(lines: Lines, store: Store, key: bytes) -> str | None:
    """Commands, one a line, that create the key on any server, as redis-cli reads them. None when it is absent, larger
    than 1 MB, or of a type that has no commands. Raises StoreUnavailable, HybridError."""

    def read(line: Line) -> KeyState | None:
        [memory] = line.ask((b"MEMORY", b"USAGE", key))
        state = read_state(line, key)[0] if memory is not None and memory <= MOST_BYTES else None
        return state if isinstance(state, KeyState) and not isinstance(state.body, Unsupported) else None

    state = lines.run(store, read)
    return None if state is None else "\n".join(" ".join(map(quoted, command)) for command in resp_commands(key, state))


def quoted(argument: bytes) -> str:
    """An argument as redis-cli reads it, whatever bytes it has."""
    if argument and PLAIN.issuperset(argument):
        return argument.decode()
    shown = (ESCAPES.get(byte) or (chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}") for byte in argument)
    return f'"{"".join(shown)}"'
