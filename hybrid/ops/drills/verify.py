"""After a drill: what the journal says was confirmed, against what both stores hold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hybrid.core.guarantees import Evidence
from hybrid.ops.drills.commands import differences
from hybrid.ops.drills.load import WRITERS, Load, Written, doubled
from hybrid.ops.drills.rig import Rig
from hybrid.types import Store

__all__ = ["lacking", "verify"]

PAGE_KEYS = 500
COMPARED_KEYS = 30
"""So many keys are compared by type, value and expiry, on top of every value: each costs the cloud some commands."""

ARCHIVE_ENTRIES = 1000


def verify(rig: Rig, load: Load, evidence: Evidence) -> None:
    """Fill in what the stores show. Raises redis.RedisError when one cannot be read."""
    journals = {store: list(map(str, rig.direct(store).lrange(load.journal, 0, -1))) for store in Store}
    counts = [int(rig.direct(Store.LOCAL).get(load.counter(number)) or 0) for number in range(WRITERS)]
    evidence.misordered = () if journals[Store.LOCAL] == journals[Store.CLOUD] else (load.journal,)
    missing = {write.key: write.value for store in Store for write in lacking(rig, store, load.standing)}
    unpushed = {element: element for element in load.pushed - set(journals[Store.LOCAL])}
    uncounted = {
        load.counter(number): f"{value} instead of {load.counts_confirmed[number]}"
        for number, value in enumerate(counts)
        if value < load.counts_confirmed[number]
    }
    archive = archived_values(rig)
    archived = [key for key in (*missing, *uncounted) if key in archive]
    archived += [element for element in unpushed if element.encode() in archive.get(load.journal, b"")]
    evidence.archived = len(archived)
    evidence.lost = tuple(sorted(name for name in {**missing, **unpushed, **uncounted} if name not in archived))
    evidence.resurrected = tuple(sorted(standing_keys(rig, load.deleted)))
    evidence.doubled = (*doubled(journals[Store.LOCAL]), *overcounted(load, counts))
    evidence.different = tuple(differences(rig, load.keys[: WRITERS + 1] + load.keys[-COMPARED_KEYS:]))
    evidence.stale = tuple(load.stale)


def lacking(rig: Rig, store: Store, writes: Sequence[Written]) -> list[Written]:
    """The writes that a store does not hold."""
    values = (value for page in paged([write.key for write in writes]) for value in rig.direct(store).mget(page))
    return [write for write, value in zip(writes, values, strict=True) if value != write.value]


def standing_keys(rig: Rig, keys: Iterable[str]) -> list[str]:
    """Those of these strings that either store still has."""
    found: set[str] = set()
    for page in paged(list(keys)):
        for store in Store:
            values = rig.direct(store).mget(page)
            found |= {key for key, value in zip(page, values, strict=True) if value is not None}
    return list(found)


def overcounted(load: Load, counts: Sequence[int]) -> list[str]:
    """The counters that are higher than what was confirmed, and what might have counted."""
    asked = [sum(pair) for pair in zip(load.counts_confirmed, load.counts_unconfirmed, strict=True)]
    return [
        f"{load.counter(number)} is {value}, at most {asked[number]} were asked for"
        for number, value in enumerate(counts)
        if value > asked[number]
    ]


def archived_values(rig: Rig) -> dict[str, bytes]:
    """The conflict archive of the drill's own pair: everything that is kept of a key, packed."""
    found: dict[str, bytes] = {}
    for store in Store:
        with rig.raw(store) as client:
            entries = client.xrevrange(rig.names.conflicts, count=ARCHIVE_ENTRIES)
        for _, fields in entries:
            key = fields[b"key"].decode()
            found[key] = found.get(key, b"") + fields.get(b"restore", b"") + fields.get(b"kept", b"")
    return found


def paged(keys: Sequence[str]) -> Iterable[list[str]]:
    return (list(keys[start : start + PAGE_KEYS]) for start in range(0, len(keys), PAGE_KEYS))
