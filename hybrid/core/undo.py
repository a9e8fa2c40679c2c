"""What a sync overwrote, as it is kept: entries of a stream, each with the keys of one batch, compressed.

Fields of an entry: `b` the bundle's id, `t` the store that was overwritten, `z` the records, or `c` the keys that were
created there unread.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from hybrid.core.drift import UNREAD, Facts
from hybrid.core.resp import pack, unpack
from hybrid.types import Store

__all__ = ["UndoBatch", "UndoRecord", "created_fields", "undo_batch", "undo_fields"]

LEVEL = 1  # the fastest: most of a bundle is never read
_NOTHING = pack((b"-",))


class UndoRecord(NamedTuple):
    """One key that a sync changed on one store.

    `before` and `after` are the facts of what was there and of what the sync put there, None for nothing: the undo
    applies only while the key is as it was left. `restore` are the packed commands that bring back what was there, in
    order; a large value is built in a temporary key first.
    """

    key: bytes
    before: Facts | None
    after: Facts | None
    restore: Sequence[bytes] = ()

    @property
    def created(self) -> bool:
        """Whether there was nothing before, so that undoing means deleting."""
        return self.before is None


class UndoBatch(NamedTuple):
    """One entry of the stream, read back."""

    bundle: str
    store: Store
    records: tuple[UndoRecord, ...]


def undo_fields(bundle: str, store: Store, records: Iterable[UndoRecord]) -> tuple[bytes, ...]:
    """The fields of one entry."""
    parts: list[bytes] = []
    records = list(records)
    for record in records:
        before, after = _packed_facts(record.before), _packed_facts(record.after)
        parts += (record.key, before, after, _framed(record.restore))
    compressed = zlib.compress(_framed(parts), LEVEL)
    return (*_head(bundle, store), b"z", compressed)


def created_fields(bundle: str, store: Store, keys: Sequence[bytes]) -> tuple[bytes, ...]:
    """The fields of one entry for keys that are created there unread."""
    return (*_head(bundle, store), b"c", zlib.compress(_framed(keys), LEVEL))


def _head(bundle: str, store: Store) -> tuple[bytes, ...]:
    return b"b", bundle.encode(), b"t", store.value.encode()


def undo_batch(fields: Mapping[bytes, bytes]) -> UndoBatch:
    """An entry's fields read back. Raises ValueError for anything else."""
    if b"c" in fields:
        records = tuple(UndoRecord(key, None, UNREAD) for key in _parts(zlib.decompress(fields[b"c"])))
    else:
        records = tuple(_records(_parts(zlib.decompress(fields[b"z"]))))
    return UndoBatch(fields[b"b"].decode(), Store(fields[b"t"].decode()), records)


def _records(parts: Sequence[bytes]) -> Iterator[UndoRecord]:
    for key, before, after, restore in zip(parts[::4], parts[1::4], parts[2::4], parts[3::4], strict=True):
        yield UndoRecord(key, _facts(before), _facts(after), _parts(restore))


def _framed(parts: Sequence[bytes]) -> bytes:
    """Byte strings as one. A command's name would lose its blanks, so something stands before them."""
    return pack((b"-", *parts)) if parts else _NOTHING


def _parts(framed: bytes) -> list[bytes]:
    return unpack(framed)[1:]


@lru_cache(maxsize=16)
def _packed_facts(facts: Facts | None) -> bytes:
    if facts is None:
        return b""
    expiry = b"" if facts.expires_at_ms is None else b"%d" % facts.expires_at_ms
    return _framed((facts.kind.encode(), facts.fingerprint, expiry, b"%d" % facts.size_bytes, facts.groups))


def _facts(packed: bytes) -> Facts | None:
    if not packed:
        return None
    kind, fingerprint, expiry, size_bytes, groups = _parts(packed)
    return Facts(kind.decode(), fingerprint, int(expiry) if expiry else None, int(size_bytes), groups)
