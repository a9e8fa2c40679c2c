"""What may be chosen for a sync."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["NO_OPTIONS", "SyncOptions"]


@dataclass(frozen=True, slots=True)
class SyncOptions:
    """`max_commands` on the cloud store, None: no limit. `undo`: keep what is overwritten, for `undo_keep_s`, at most
    `undo_bytes` of it (compressed); a sync that would need more stops. `author` is for the history."""

    max_commands: int | None = None
    undo: bool = True
    undo_keep_s: float = 7 * 86_400.0
    undo_bytes: int = 64 * 1024 * 1024
    author: str = ""


NO_OPTIONS = SyncOptions()
