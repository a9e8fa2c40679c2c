"""Before a diff: how many keys there are, and of a few of them how large they are."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence

import redis

from hybrid.core.cost import SCAN_KEYS
from hybrid.core.drift import Scope
from hybrid.core.estimate import Census, Sampled
from hybrid.core.names import Names
from hybrid.ops.diff.line import Line
from hybrid.ops.diff.readers import FactsReader, ScriptReader, kind_name
from hybrid.ops.diff.scan import type_name
from hybrid.ops.diff.scripts import BIG_BYTES
from hybrid.replication.copy import read_shapes
from hybrid.stores.capabilities import capabilities_of

__all__ = ["census_of"]

SAMPLE_PAGES = 3


def census_of(local: Line, cloud: Line, reader: FactsReader, scope: Scope) -> Census:
    started_s = time.monotonic()
    [cloud_keys] = cloud.ask((b"DBSIZE",))
    round_trip_s = time.monotonic() - started_s
    [local_keys] = local.ask((b"DBSIZE",))
    names = list(scope.keys[:SCAN_KEYS]) if scope.keys is not None else None
    share = 1.0
    if names is None:
        names, share = sampled_keys(local, scope, local_keys)
    memory_bytes = dataset_bytes(local) if scope == Scope() else None
    if scope.keys is not None:
        local_keys = cloud_keys = len(scope.keys)
    return Census(
        local_keys=round(local_keys * share),
        cloud_keys=cloud_keys,  # a scan walks over all of them, whatever the pattern
        key_bytes=sum(len(name) + 8 for name in names) / max(1, len(names)),
        sample=tuple(sizes_of(local, reader, names)),
        round_trip_s=round_trip_s,
        memory_bytes=memory_bytes,
    )


def dataset_bytes(local: Line) -> int | None:
    """What the keys take without hybrid's own; None where other databases share the server, or it does not say."""
    try:
        memory, keyspace = local.ask((b"INFO", b"memory"), (b"INFO", b"keyspace"))
        own = local.ask(*((b"MEMORY", b"USAGE", key) for key in Names().keys))
    except redis.ResponseError:
        return None
    found = re.search(rb"used_memory_dataset:(\d+)", memory)
    if found is None or keyspace.count(b":keys=") != 1:
        return None
    return int(found[1]) - sum(size or 0 for size in own)


def sampled_keys(local: Line, scope: Scope, local_keys: int) -> tuple[list[bytes], float]:
    """Some keys in scope, and about which share of all keys is."""
    cursor, found, walked = b"0", list[bytes](), 0
    options = [b"MATCH", scope.pattern]
    if scope.kind:
        options += [b"TYPE", type_name(scope.kind)]
    for _ in range(SAMPLE_PAGES):
        [(cursor, keys)] = local.ask((b"SCAN", cursor, b"COUNT", b"%d" % SCAN_KEYS, *options))
        found += keys
        walked += SCAN_KEYS
        if cursor == b"0":
            break
    whole = scope.pattern == b"*" and not scope.kind
    return found[:SCAN_KEYS], 1.0 if whole else min(1.0, len(found) / max(1, min(walked, local_keys)))


def sizes_of(local: Line, reader: FactsReader, keys: Sequence[bytes]) -> Iterator[Sampled]:
    """Those of the keys that exist. Of big ones only a first piece is read."""
    shapes = [s for s in read_shapes(local, keys, capabilities_of(local)) if s.kind != b"none"]
    small = reader.facts([s.key for s in shapes if s.size_bytes <= BIG_BYTES])
    for key, kind_reply, memory_bytes in shapes:
        kind, elements = kind_name(kind_reply), 0
        if memory_bytes <= BIG_BYTES:
            facts = small[key]
            size_bytes = facts.size_bytes if facts else 0
        else:
            size_bytes = memory_bytes
            if isinstance(reader, ScriptReader) and (found := reader.pieces.size(key, kind))[1]:
                size_bytes, elements = found
        yield Sampled(kind, size_bytes, memory_bytes, elements)
