"""Two streams on the authority: what syncs overwrote, and their history. hybrid's own keys are not replicated, so a
store that lost its data has lost these too."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Final, TypeAlias

from hybrid.core.drift import Facts
from hybrid.core.names import Names
from hybrid.core.resp import pack
from hybrid.core.state import Absent, KeyState
from hybrid.core.syncplan import SyncEnding, SyncResult
from hybrid.core.undo import UndoBatch, UndoRecord, undo_batch, undo_fields
from hybrid.errors import ConfigurationError
from hybrid.ops.sync.options import SyncOptions
from hybrid.ops.sync.pair import Pair
from hybrid.replication.copy import put_commands
from hybrid.types import Store

__all__ = [
    "UNDO",
    "States",
    "batches_of",
    "begin",
    "forget_old",
    "history",
    "kept",
    "record",
    "result_of",
    "undo_commands",
    "undo_record",
]

KEPT_SYNCS: Final = 1000
UNDO: Final = "undo "
"""How the direction of an undo begins; the id of what it undid follows."""

States: TypeAlias = Mapping[bytes, KeyState | Absent]


def begin(pair: Pair, keep_s: float) -> bytes:
    """Forget bundles older than `keep_s`; the result is the place in the stream where a new one begins."""
    seconds, micros = pair.ask(pair.authority, ("TIME",))[0]
    now_ms = int(seconds) * 1000 + int(micros) // 1000
    forget_old(pair, pair.authority, now_ms - int(keep_s * 1000))
    return b"%d-0" % now_ms


def forget_old(pair: Pair, store: Store, before_ms: int) -> None:
    """Drop bundles from before this moment (Unix milliseconds)."""
    pair.ask(store, ("XTRIM", pair.names.undo, "MINID", before_ms))


def record(pair: Pair, result: SyncResult, undo_from: bytes) -> None:
    """Add a sync to the history."""
    document = json.dumps({**asdict(result), "undo_from": undo_from.decode()})
    pair.ask(pair.authority, ("XADD", pair.names.syncs, "MAXLEN", "~", KEPT_SYNCS, "*", "j", document))


def history(pair: Pair, limit: int = 50) -> list[SyncResult]:
    """The latest syncs, newest first."""
    return [result for result, _, _ in recorded(pair, limit)]


def recorded(pair: Pair, limit: int) -> list[tuple[SyncResult, bytes, Store]]:
    """The latest syncs, each with where its bundle begins and the store that has it."""
    found: list[tuple[SyncResult, bytes, Store]] = []
    for store in Store:
        for _, fields in pair.ask(store, ("XREVRANGE", pair.names.syncs, "+", "-", "COUNT", limit))[0]:
            document = json.loads(fields[1])
            start = document.pop("undo_from").encode()
            found.append((SyncResult(**{**document, "ending": SyncEnding(document["ending"])}), start, store))
    return sorted(found, key=lambda entry: entry[0].started_at_s, reverse=True)[:limit]


def result_of(pair: Pair, bundle: str | None) -> tuple[SyncResult, bytes, Store]:
    """The sync `bundle`, by default the last one that stands: neither undone nor itself an undo, so that undoing again
    goes back further. Raises ConfigurationError when there is none."""
    undone: set[str] = set()
    for result, start, store in recorded(pair, KEPT_SYNCS):
        if bundle is None and result.direction.startswith(UNDO):
            if result.id not in undone and result.ending is SyncEnding.FINISHED:
                undone.add(result.direction.removeprefix(UNDO))
        elif bundle in (None, result.id) and result.id not in undone and result.undo_until_s is not None:
            return result, start, store
    raise ConfigurationError(
        "there is nothing to undo" if bundle is None else f"there is no sync {bundle!r} to undo; see: sync history"
    )


def batches_of(pair: Pair, store: Store, bundle: str, start: bytes, ended_at_s: float) -> Iterator[UndoBatch]:
    """What the sync `bundle` overwrote, the last first: so a key that was changed twice gets its first value back."""
    end = b"%d" % int(ended_at_s * 1000 + 60_000)  # the clocks of process and server may differ
    while True:
        entries = pair.ask(store, ("XREVRANGE", pair.names.undo, end, start, "COUNT", 1))[0]  # it may be megabytes
        if not entries:
            return
        [(entry_id, fields)] = entries
        pairs = dict(zip(fields[::2], fields[1::2], strict=True))
        if pairs[b"b"] == bundle.encode():
            yield undo_batch(pairs)
        end = b"(" + entry_id


def undo_record(pair: Pair, store: Store, key: bytes, before: KeyState | Absent, after: Facts | None) -> UndoRecord:
    """The record of a key of `store` that holds `before`, and is about to hold what `after` describes."""
    if isinstance(before, Absent):
        return UndoRecord(key, None, after)
    groups = put_commands(key, before, pair.can(store))
    return UndoRecord(key, pair.facts(before), after, [command for group in groups for command in group])


def undo_commands(
    names: Names, bundle: str, options: SyncOptions, store: Store, records: Sequence[UndoRecord]
) -> list[bytes]:
    """Packed commands that keep `records`, on the authority."""
    return kept(names, options, undo_fields(bundle, store, records))


def kept(names: Names, options: SyncOptions, fields: Sequence[bytes]) -> list[bytes]:
    """Packed commands that keep one entry of a bundle."""
    keep_ms = int(options.undo_keep_s * 1000)
    return [pack(("XADD", names.undo, "*", *fields)), pack(("PEXPIRE", names.undo, keep_ms))]
