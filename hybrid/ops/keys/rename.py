"""Give many keys other names at once, on both stores."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

from hybrid.client import HybridRedis
from hybrid.core.names import refuse_own
from hybrid.core.resp import pack
from hybrid.core.state import ABSENT, Absent, KeyState, Unsupported
from hybrid.core.syncplan import SyncResult
from hybrid.errors import ConfigurationError
from hybrid.ops.keys.bulk import NO_OPTIONS, BulkChange, OnProgress, change_many
from hybrid.ops.sync import archive
from hybrid.ops.sync.options import SyncOptions

__all__ = ["RENAME", "Renaming", "new_names", "rename_keys"]

RENAME: Final = "rename keys"
Renaming: TypeAlias = tuple[bytes, bytes]
"""A key and its new name."""


def new_names(keys: Iterable[bytes], old: bytes, new: bytes) -> list[Renaming]:
    """Each key in whose name `old` stands, with the name in which `new` stands there instead, at the first place; for
    an empty `old` `new` is put in front."""
    pairs = ((key, key.replace(old, new, 1)) for key in keys if old in key)
    return [(key, name) for key, name in pairs if name != key]


def rename_keys(
    client: HybridRedis,
    names: Sequence[Renaming],
    *,
    options: SyncOptions = NO_OPTIONS,
    cancel: threading.Event | None = None,
    on_progress: OnProgress = lambda _: None,
) -> SyncResult:
    """Give keys other names on both stores; undone with `undo_sync`. What is gone, or would get a name that is
    taken, is left alone: nothing is overwritten.

    Raises ConfigurationError for an empty name and for hybrid's own keys, StoreUnavailable when no store takes writes.
    """
    refuse_own(key for each in names for key in each)
    if any(not name for _, name in names):
        raise ConfigurationError("a new name would be empty")
    return change_many(client, names, lambda pair: _Renames(pair, options), cancel, on_progress)


class _Renames(BulkChange[Renaming]):
    direction = RENAME

    def attempt(self, items: list[Renaming]) -> list[Renaming]:
        pair, store = self.pair, self.pair.authority
        keys = list(dict.fromkeys(key for each in items for key in each))
        with pair.guard(store, keys) as guard:
            here = pair.read(store, keys)
            moved: dict[bytes, tuple[bytes, KeyState]] = {}  # by new name
            for key, name in items:
                state, is_free = here[key], isinstance(here[name], Absent) and name not in moved
                if is_free and isinstance(state, KeyState) and not isinstance(state.body, Unsupported):
                    moved[name] = (key, state)
            if moved:
                commands = [pack(("RENAME", key, name)) for name, (key, _) in moved.items()]
                records = [
                    record
                    for name, (key, state) in moved.items()
                    for record in (
                        archive.undo_record(pair, store, key, state, None),
                        archive.undo_record(pair, store, name, ABSENT, pair.facts(state)),
                    )
                ]
                named = [part for name, (key, _) in moved.items() for part in (key, name)]
                if not self.commit(guard, commands, records, named):
                    return items
        self.count(changed=len(moved), left=len(items) - len(moved))
        return []
