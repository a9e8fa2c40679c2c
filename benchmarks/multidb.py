"""redis-py's own client for several databases, set up as its documentation does: it writes to the active one only."""

from __future__ import annotations

import warnings
from typing import Any

from benchmarks.rig import Rig

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it says of itself that it is experimental
    from redis.multidb.client import MultiDBClient
    from redis.multidb.config import DatabaseConfig, MultiDbConfig

__all__ = ["multidb_client"]


def multidb_client(rig: Rig) -> Any:
    """A client with the local store as its active database, and its defaults otherwise."""
    weights = ((rig.local_url, 1.0), (rig.link.url, 0.5))
    config = MultiDbConfig(databases_config=[DatabaseConfig(from_url=url, weight=weight) for url, weight in weights])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        client: Any = MultiDBClient(config)
    client.ping()
    return client
