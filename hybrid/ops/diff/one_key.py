"""One key on both stores, field by field."""

from __future__ import annotations

from collections.abc import Iterator

import redis

from hybrid.core.field_diff import FieldDifference, field_differences
from hybrid.core.state import ABSENT, TTL_TOLERANCE_MS
from hybrid.errors import ConfigurationError
from hybrid.ops.diff.export import shown
from hybrid.ops.diff.line import open_line
from hybrid.replication.copy import read_state

__all__ = ["diff_key"]


def diff_key(
    local: redis.Redis, cloud: redis.Redis, key: bytes, *, ttl_tolerance_ms: int = TTL_TOLERANCE_MS
) -> Iterator[FieldDifference]:
    """Read the key from both stores, about five commands on each, and say every place where they differ.

    Raises ConfigurationError when neither store has the key, and `redis.ConnectionError`, `redis.TimeoutError` or
    `redis.ResponseError` when a store cannot be read.
    """
    with open_line(local) as here, open_line(cloud) as there:
        mine, other = read_state(here, key)[0], read_state(there, key)[0]
    if mine == other == ABSENT:
        raise ConfigurationError(f"neither store has the key {shown(key)!r}: there is nothing to compare")
    return field_differences(mine, other, ttl_tolerance_ms=ttl_tolerance_ms)
