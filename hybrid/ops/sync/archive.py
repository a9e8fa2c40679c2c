"""Two streams on the authority: what syncs overwrote, and their history. hybrid's own keys are not replicated, so a
store that lost its data has lost these too."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Final, NamedTuple, TypeAlias

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
    "Begun",
    "States",
    "batches_of",
    "begin",
    "drop",
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


class Begun(NamedTuple):
    """A sync in the history before it has ended: the place in the stream where its bundle begins, and its entry."""

    undo_from: bytes
    store: Store
    entry: bytes


def begin(pair: Pair, bundle: str, direction: str, pattern: str, options: SyncOptions) -> Begun:
    """Forget old bundles, and put a sync into the history as one that has not ended: so it can be undone, as far as it
    got, when its process is killed."""
    store, now_s = pair.authority, time.time()
    seconds, micros = pair.ask(store, ("TIME",))[0]
    now_ms = int(seconds) * 1000 + int(micros) // 1000
    forget_old(pair, store, now_ms - int(options.undo_keep_s * 1000))
    begun = SyncResult(
        id=bundle,
        direction=direction,
        pattern=pattern,
        author=options.author,
        started_at_s=now_s,
        ended_at_s=now_s,
        ending=SyncEnding.OPEN,
        undo_until_s=now_s + options.undo_keep_s if options.undo else None,
    )
    undo_from = b"%d-0" % now_ms
    return Begun(undo_from, store, pair.ask(store, entry(pair, begun, undo_from))[0])


def forget_old(pair: Pair, store: Store, before_ms: int) -> None:
    """Drop bundles from before this moment (Unix milliseconds)."""
    pair.ask(store, ("XTRIM", pair.names.undo, "MINID", before_ms))


def entry(pair: Pair, result: SyncResult, undo_from: bytes) -> tuple[str | bytes | int, ...]:
    """The command that adds a sync to the history."""
    document = json.dumps({**asdict(result), "undo_from": undo_from.decode()})
    return "XADD", pair.names.syncs, "MAXLEN", "~", KEPT_SYNCS, "*", "j", document


def record(pair: Pair, result: SyncResult, begun: Begun) -> None:
    """Put into the history how a sync has ended."""
    pair.ask(pair.authority, entry(pair, result, begun.undo_from))
    drop(pair, begun)


def drop(pair: Pair, begun: Begun) -> None:
    """Take a sync that has done nothing, or has ended, from those that have not."""
    pair.ask(begun.store, ("XDEL", pair.names.syncs, begun.entry))


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
    ended = {result.id for result, _, _ in found if result.ending is not SyncEnding.OPEN}
    found = [it for it in found if it[0].ending is not SyncEnding.OPEN or it[0].id not in ended]
    return sorted(found, key=lambda it: it[0].started_at_s, reverse=True)[:limit]


def result_of(pair: Pair, bundle: str | None) -> tuple[SyncResult, bytes, Store]:
    """The sync `bundle`, by default the last one that stands: neither undone nor itself an undo, so that undoing again
    goes back further. Raises ConfigurationError when there is none."""
    undone: set[str] = set()
    for result, start, store in recorded(pair, KEPT_SYNCS):
        if bundle is None and result.direction.startswith(UNDO):
            if result.id not in undone and result.ending is SyncEnding.FINISHED:
                undone.add(result.direction.removeprefix(UNDO))
        elif bundle in (None, result.id) and result.id not in undone and result.undo_until_s is not None:
            if result.ending is SyncEnding.OPEN:
                result = replace(result, ended_at_s=result.undo_until_s)
                if next(batches_of(pair, store, result.id, start, result.ended_at_s), None) is None:
                    continue
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
