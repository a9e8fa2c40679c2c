"""What may be chosen for a sync."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hybrid.errors import ConfigurationError

__all__ = ["LEAST_COMMANDS", "NO_OPTIONS", "SyncOptions"]

LEAST_COMMANDS: Final = 50
"""What the smallest step takes on the cloud store, for certain: to learn what it can do, to find one key that it lacks
among thousands, to write it."""


@dataclass(frozen=True, slots=True)
class SyncOptions:
    """`max_commands` on the cloud store, None: no limit. `undo`: keep what is overwritten, for `undo_keep_s`, at most
    `undo_bytes` of it (compressed); a sync that would need more stops. `author` is for the history.

    `check` raises ConfigurationError for a budget that is too small for a sync to get on with."""

    max_commands: int | None = None
    undo: bool = True
    undo_keep_s: float = 7 * 86_400.0
    undo_bytes: int = 64 * 1024 * 1024
    author: str = ""

    def check(self) -> None:
        if self.max_commands is not None and self.max_commands < LEAST_COMMANDS:
            given = max(0, self.max_commands)
            raise ConfigurationError(
                f"{given} cloud commands are too few for a sync: allow it {LEAST_COMMANDS} or more"
            )


NO_OPTIONS = SyncOptions()
