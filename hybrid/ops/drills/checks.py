"""Status and health: does each store answer, may we write, can it do what replication needs?"""

from __future__ import annotations

import time
from functools import partial

import redis

from hybrid.ops.drills.plan import Findings, Spec
from hybrid.ops.drills.rig import Failed, Rig
from hybrid.ops.facts import server_facts
from hybrid.stores.capabilities import probe_capabilities
from hybrid.stores.pools import pool_of
from hybrid.types import Health, Store

__all__ = ["HEALTH", "STATUS"]

OPEN_TIMEOUT_S = 15.0


def answer(store: Store, rig: Rig, _findings: Findings) -> str:
    connection = rig.direct(store)
    connection.ping()
    started = time.perf_counter()
    connection.ping()
    took_ms = (time.perf_counter() - started) * 1000
    facts = server_facts(connection.info())
    return f"{facts.software or 'unknown software'} answers in {took_ms:.1f} ms"


def may_write(store: Store, rig: Rig, _findings: Findings) -> str:
    key = rig.key(f"write:{store}")
    connection = rig.direct(store)
    connection.set(key, "1", ex=60)
    if connection.get(key) != "1":
        raise Failed("a value that was just written could not be read back")
    connection.delete(key)
    return "a probe key could be written, read and deleted"


def capable(store: Store, rig: Rig, _findings: Findings) -> str:
    """Replication needs streams, transactions with WATCH and scripts; the rest is reported."""
    log = rig.key(f"log:{store}")
    with rig.direct(store).pipeline(transaction=True) as transaction:
        transaction.watch(log)
        transaction.multi()
        transaction.xadd(log, {"c": "probe"})
        transaction.execute()
    if rig.direct(store).eval("return redis.call('XLEN', KEYS[1])", 1, log) != 1:
        raise Failed("a transaction was answered, but its effect is missing")
    rig.direct(store).delete(log)
    return f"transactions, streams and scripts work; {optional_capabilities(rig.urls[store])}"


def optional_capabilities(url: str) -> str:
    with redis.Redis.from_pool(pool_of(url, protocol=2, socket_timeout=5.0)) as client:
        connection = client.connection_pool.get_connection()
        try:
            found = probe_capabilities(connection)
        finally:
            client.connection_pool.release(connection)
    extras = {"hash field TTLs": found.has_field_ttl, "functions": found.has_functions, "JSON": found.has_json}
    return ", ".join(f"{name}: {'yes' if has else 'no'}" for name, has in extras.items())


def open_client(rig: Rig, _findings: Findings) -> str:
    client = rig.open_linked()
    try:
        took_s = rig.wait(
            lambda: client.status().health is Health.HEALTHY, "the client finding its stores up", OPEN_TIMEOUT_S
        )
    except Failed:
        rig.close_client()  # the steps that need it are then skipped
        raise
    return f"open and healthy after {took_s:.1f} s, the {client.status().authority} store takes writes"


STATUS = (
    Spec("status-local", "Status", "Local store answers", partial(answer, Store.LOCAL), (Store.LOCAL,)),
    Spec("status-cloud", "Status", "Cloud store answers", partial(answer, Store.CLOUD), (Store.CLOUD,)),
)
HEALTH = (
    Spec("write-local", "Health", "Local store takes writes", partial(may_write, Store.LOCAL), (Store.LOCAL,)),
    Spec("write-cloud", "Health", "Cloud store takes writes", partial(may_write, Store.CLOUD), (Store.CLOUD,)),
    Spec("capable-local", "Health", "Local store is capable", partial(capable, Store.LOCAL), (Store.LOCAL,)),
    Spec("capable-cloud", "Health", "Cloud store is capable", partial(capable, Store.CLOUD), (Store.CLOUD,)),
    Spec("open", "Health", "Client opens", open_client),
)
