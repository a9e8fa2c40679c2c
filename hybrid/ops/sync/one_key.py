"""One key on both stores: look at it, and make it of both values, guarded and to be undone."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from hybrid.client import HybridRedis
from hybrid.core.authority import position
from hybrid.core.drift import Difference, Facts, Sighting, causes_between
from hybrid.core.field_diff import FieldDifference, field_differences
from hybrid.core.field_merge import MERGED_PARTS, merged_state
from hybrid.core.names import refuse_own
from hybrid.core.resp import pack
from hybrid.core.state import KeyState
from hybrid.core.syncplan import SyncEnding, SyncResult, is_unchanged
from hybrid.errors import ConfigurationError, HybridError
from hybrid.ops.sync import archive
from hybrid.ops.sync.batches import chunked, put_of
from hybrid.ops.sync.options import NO_OPTIONS, SyncOptions
from hybrid.ops.sync.pair import Pair
from hybrid.ops.sync.run import new_id
from hybrid.types import Store

__all__ = ["MERGED_PARTS", "KeyLook", "look_at_key", "merge_fields"]

MOST_BYTES: Final = 8 * 1024 * 1024
MOST_PLACES: Final = 1000
CONFIRM_S: Final = 5.0
FIELDS: Final = "fields"


@dataclass(frozen=True, slots=True)
class KeyLook:
    """A key as both stores hold it now. `difference` is None when they agree, else the guard of a later repair.
    `places` are the first thousand where the values differ, `more` says that there are others. `too_big`: the value was
    not read, and nothing but the size is known. `waiting`: writes to it are on their way to the other store.
    """

    key: bytes
    local: Facts | None
    cloud: Facts | None
    difference: Difference | None
    places: tuple[FieldDifference, ...]
    more: bool
    too_big: bool
    waiting: bool


def look_at_key(client: HybridRedis, key: bytes, *, most_bytes: int = MOST_BYTES) -> KeyLook:
    """Read a key from both stores, about six commands on each; not a value of more than `most_bytes`.

    Raises ConfigurationError with one store only, StoreUnavailable unless both are up.
    """
    with Pair.of(client) as pair:
        sizes = [pair.ask(store, ("MEMORY", "USAGE", key))[0] or 0 for store in Store]
        if max(sizes) > most_bytes:
            local, cloud = (Facts("?", b"", None, size) if size else None for size in sizes)
            return KeyLook(key, local, cloud, None, (), more=True, too_big=True, waiting=False)
        waiting = key in pair.logged()
        here, there = (pair.read(store, [key])[key] for store in Store)
        seen = Sighting(pair.facts(here), pair.facts(there))
        causes = causes_between(seen)
        found = list(islice(field_differences(here, there), MOST_PLACES + 1)) if causes else []
        difference = Difference(key, causes, seen.local, seen.cloud) if causes else None
        more = len(found) > MOST_PLACES
        return KeyLook(key, seen.local, seen.cloud, difference, tuple(found[:MOST_PLACES]), more, False, waiting)


def merge_fields(
    client: HybridRedis,
    difference: Difference,
    base: Store,
    taken: Sequence[FieldDifference],
    *,
    options: SyncOptions = NO_OPTIONS,
) -> SyncResult:
    """Write the value of `base`, with the places `taken` as the other store has them, to both stores.

    One guarded transaction on the store that takes writes, logged as any write; `undo_sync` brings back what stood on
    each of them. Raises HybridError, with nothing changed, when either store no longer holds what `difference` says,
    when writes to the key are on their way, and when nothing would be left; ConfigurationError for a place that cannot
    be taken alone, or a key of hybrid's own; StoreUnavailable.
    """
    key = difference.key
    refuse_own((key,))
    if any(place.part not in MERGED_PARTS for place in taken):
        raise ConfigurationError("only fields, members, scores and expiries can be taken one by one")
    started_at_s, bundle = time.time(), new_id()
    pattern = key.decode(errors="backslashreplace")
    with Pair.of(client) as pair:
        begun = archive.begin(pair, bundle, FIELDS, pattern, options)
        before = pair.cloud_commands
        size_bytes = _merge(pair, difference, base, taken, bundle, options)
        result = SyncResult(
            id=bundle,
            direction=FIELDS,
            pattern=pattern,
            author=options.author,
            started_at_s=started_at_s,
            ended_at_s=time.time(),
            ending=SyncEnding.FINISHED,
            copied=1,
            size_bytes=size_bytes,
            cloud_commands=pair.cloud_commands - before,
            undo_until_s=time.time() + options.undo_keep_s,
        )
        archive.record(pair, result, begun)
        return result


def _merge(
    pair: Pair,
    difference: Difference,
    base: Store,
    taken: Sequence[FieldDifference],
    bundle: str,
    options: SyncOptions,
) -> int:
    key, store = difference.key, pair.authority
    with pair.guard(store, [key]) as guard:
        if key in pair.logged():
            raise HybridError("nothing was changed: writes to this key are on their way; try again in a moment")
        states = {where: pair.read(where, [key])[key] for where in Store}
        for where, then in ((Store.LOCAL, difference.local), (Store.CLOUD, difference.cloud)):
            if not is_unchanged(then, pair.facts(states[where])):
                raise HybridError(f"nothing was changed: the {where} store's value is another one by now; look again")
        mine, other = states[base], states[base.other]
        if not isinstance(mine, KeyState) or not isinstance(other, KeyState) or mine.kind != other.kind:
            raise HybridError("nothing was changed: only two values of one type can be merged")
        merged = merged_state(mine, other, taken)
        if merged is None:
            raise HybridError("nothing was changed: the key would be empty; delete it instead")
        filling, last = put_of(key, merged, pair.can(store))
        undo = [
            command
            for where in Store
            for record in [archive.undo_record(pair, where, key, states[where], pair.facts(merged))]
            for command in archive.undo_commands(pair.names, bundle, options, where, [record])
        ]
        for chunk in chunked(filling):
            pair.send(store, chunk)
        replies = guard.commit([*undo, *last, pack(("XADD", pair.names.log, "*", "s", key))])
        if replies is None:
            raise HybridError("nothing was changed: the key is being written just now; look again")
        pair.confirm(store, position(replies[-1]), CONFIRM_S)
        return merged.size_bytes
