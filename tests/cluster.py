"""A cluster of three masters on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis
from servers import client, new_server, wait_until

from hybrid.core.slots import slot_of
from hybrid.stores.ports import LOOPBACK, free_port

__all__ = ["Cluster"]

SLOTS = 16_384
NODES = 3


class Cluster:
    """Started; `close` it. Its nodes keep their data over kill -9."""

    def __init__(self, folder: Path) -> None:
        options = {"cluster_enabled": "yes", "cluster_node_timeout": "1000", "appendfsync": "no"}
        self.nodes = [
            # The usual port of the bus, 10,000 higher, lies where outgoing connections get theirs.
            new_server("redis", folder / f"node-{n}", persistent=True, cluster_port=str(free_port()), **options).start()
            for n in range(NODES)
        ]
        self.asked = [client(node.url) for node in self.nodes]
        bounds = [SLOTS * n // NODES for n in range(NODES + 1)]
        for n, node in enumerate(self.asked):
            node.execute_command("CLUSTER SET-CONFIG-EPOCH", n + 1)
            node.execute_command("CLUSTER ADDSLOTSRANGE", bounds[n], bounds[n + 1] - 1)
            node.execute_command(
                "CLUSTER MEET", LOOPBACK, self.nodes[0].port, self.asked[0].config_get("cluster-port")["cluster-port"]
            )
        self.wait_well()

    @property
    def url(self) -> str:
        return f"redis+cluster://{LOOPBACK}:{self.nodes[0].port},{LOOPBACK}:{self.nodes[1].port}"

    def wait_well(self) -> None:
        """Until every node sees all the others."""

        def is_well() -> bool:
            try:
                facts = [node.execute_command("CLUSTER INFO") for node in self.asked]
            except redis.RedisError:
                return False
            return all(it["cluster_state"] == "ok" and it["cluster_known_nodes"] == str(NODES) for it in facts)

        wait_until(is_well, "a whole cluster", 20)

    def owner(self, key: bytes) -> int:
        """The number of the node that has the slot of `key`."""
        slot = slot_of(key)
        rows = self.asked[0].execute_command("CLUSTER SLOTS")
        port = next(node[1] for first, last, node, *_ in rows if first <= slot <= last)
        return [node.port for node in self.nodes].index(port)

    @contextmanager
    def moving(self, key: bytes) -> Iterator[None]:
        """The slot of `key` goes to the next node: inside the block its new keys are there, afterwards all are."""
        slot, source = slot_of(key), self.owner(key)
        target = (source + 1) % NODES
        names = [node.execute_command("CLUSTER MYID").decode() for node in self.asked]
        self.asked[target].execute_command("CLUSTER SETSLOT", slot, "IMPORTING", names[source])
        self.asked[source].execute_command("CLUSTER SETSLOT", slot, "MIGRATING", names[target])
        yield
        while keys := self.asked[source].execute_command("CLUSTER GETKEYSINSLOT", slot, 100):
            self.asked[source].migrate(LOOPBACK, self.nodes[target].port, keys, 0, 5000)
        for n in (target, source, *range(NODES)):
            self.asked[n].execute_command("CLUSTER SETSLOT", slot, "NODE", names[target])

    def refresh(self) -> None:
        """Every node running and empty, whatever the last test did to them."""
        for node in self.nodes:
            node.start()
        self.wait_well()
        for node in self.asked:
            node.flushall()

    def states(self) -> dict[bytes, bytes]:
        """What stands on all nodes, as dumps."""
        return {key: node.dump(key) for node in self.asked for key in node.scan_iter(count=1000)}

    def close(self) -> None:
        for connection in self.asked:
            connection.close()
        for node in self.nodes:
            node.kill()
