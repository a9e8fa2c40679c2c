"""Fields of hashes that expire while commands on them are on their way."""

from __future__ import annotations

import time

import pytest
from rig import HEAL_S, PATIENT, Rig, state_of
from servers import client, wait_until

from hybrid import Store, StoreState
from hybrid.ops.compare import compare
from hybrid.replication.volatile import may_have_expiring_fields

HASHES = 10
LEFT_S = 0.03
"""Less than an entry takes to the cloud store."""


@pytest.mark.parametrize("alone", [True, False], ids=["alone", "beside other entries"])
def test_a_field_that_was_timed_before_the_stream_began(rig: Rig, alone: bool) -> None:
    """The other store would start from nothing, and keep for ever what is gone here."""
    rig.link(Store.CLOUD, 0.15)
    first = rig.client(ack="local", **PATIENT)
    expires_ms = int(time.time() * 1000) + 2500
    for number in range(HASHES):
        first.hset(f"h{number}", mapping={"n": 5, "set": 1, "lasting": 1})
        first.execute_command("HPEXPIREAT", f"h{number}", expires_ms, "FIELDS", 2, "n", "set")
    assert first.wait_in_sync(HEAL_S)
    first.close()
    hybrid = rig.client(ack="local", **PATIENT)
    wait_until(lambda: state_of(hybrid, Store.CLOUD) is StoreState.UP, "the next stream", HEAL_S)
    hybrid.set("k", 1)
    assert hybrid.wait_in_sync(HEAL_S)
    time.sleep(max(0.0, expires_ms / 1000 - LEFT_S - time.time()))
    for number in range(HASHES):
        hybrid.hincrby(f"h{number}", "n", 1)
        hybrid.hsetnx(f"h{number}", "set", 2)
        if not alone:
            hybrid.hincrby(f"h{number}", "lasting", 1)
    assert hybrid.wait_in_sync(HEAL_S)
    with client(rig.local.url) as local, client(rig.cloud.url) as cloud:
        wait_until(lambda: not local.hexists("h0", "n") or time.time() * 1000 > expires_ms, "they have expired", HEAL_S)
        found = compare(local, cloud)
    assert found.identical, found.differences


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (b"# Keyspace\r\n", False),
        (b"# Keyspace\r\ndb0:keys=1,expires=0,avg_ttl=0,keys_with_volatile_items=0\r\n", False),
        (b"# Keyspace\r\ndb0:keys=1,expires=0,avg_ttl=0,subexpiry=0\r\ndb3:keys=1,subexpiry=2\r\n", True),
        (b"# Keyspace\r\ndb0:keys=1,expires=0\r\n", True),
        (Exception("no permission"), True),
    ],
)
def test_what_a_server_tells_of_such_hashes(reply: object, expected: bool) -> None:
    assert may_have_expiring_fields(reply) is expected
