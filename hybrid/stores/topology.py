"""Which node of a cluster has which slot, as redis-py's cluster client learns it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import redis
from redis.cluster import ClusterNode, NodesManager
from redis.exceptions import RedisClusterException

from hybrid.core.address import Address
from hybrid.core.outcomes import NotSent
from hybrid.stores.master import asking
from hybrid.stores.wire import SILENT, plain_reason

__all__ = ["Node", "SlotMap", "Topology"]

Node = tuple[str, int]
"""Host and port."""


@dataclass(frozen=True, slots=True)
class SlotMap:
    """`nodes` are the masters, in an order that stays while they do."""

    nodes: tuple[Node, ...]
    owners: Mapping[int, Node]


class Topology:
    """Of the cluster at `address`; `connection` are redis-py's arguments for one node. Thread-safe."""

    def __init__(self, address: Address, connection: Mapping[str, Any]) -> None:
        self._hosts = address.hosts
        login = {name: connection.get(name) for name in ("username", "password")}
        self._options = {**login, **asking(address, connection)}
        self._known: SlotMap | None = None

    def known(self) -> SlotMap:
        """What was learned last. Raises as `learned`."""
        return self._known or self.learned()

    def learned(self) -> SlotMap:
        """Ask the cluster anew. Raises NotSent when no node answers, or a slot has none."""
        nodes = (*(self._known.nodes if self._known else ()), *self._hosts)
        try:
            start = [ClusterNode(host, port) for host, port in dict.fromkeys(nodes)]
            slots = NodesManager(start, require_full_coverage=True, **self._options).slots_cache
        except (RedisClusterException, redis.RedisError, OSError) as error:
            reason = plain_reason(error)
            raise NotSent(reason, silent=reason == SILENT) from None
        owners = {slot: (nodes[0].host, int(nodes[0].port)) for slot, nodes in slots.items()}
        self._known = SlotMap(tuple(sorted(set(owners.values()))), owners)
        return self._known
