from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis
from redis.connection import Connection
from servers import client

from hybrid.stores.capabilities import PROBES, Capabilities, capabilities_from, capabilities_of, forget_capabilities
from hybrid.stores.processes import ServerProcess

REFUSED = redis.ResponseError("unknown command")
OLD = dict.fromkeys(PROBES, REFUSED)
NOTHING = Capabilities((0, 0, 0), "unknown", False, False, False, False, False, False)


@pytest.fixture(params=[2, 3])
def protocol(request: pytest.FixtureRequest) -> Iterator[int]:
    yield request.param


def probed(server: ServerProcess, protocol: int) -> Capabilities:
    connection = Connection(host="127.0.0.1", port=server.port, protocol=protocol)
    try:
        return capabilities_of(connection)
    finally:
        connection.disconnect()


def test_valkey(valkey: ServerProcess, protocol: int) -> None:
    found = probed(valkey, protocol)
    assert (found.flavour, found.version[0]) == ("valkey", 9)
    assert found.has_pexpiretime and found.has_field_ttl and found.has_functions
    assert found.has_stream_counters and found.has_memory_usage and not found.has_json


def test_redis_7(debian_redis: ServerProcess, protocol: int) -> None:
    found = probed(debian_redis, protocol)
    assert (found.flavour, found.version[0]) == ("redis", 7)
    assert found.has_pexpiretime and found.has_functions and found.has_stream_counters and found.has_memory_usage
    assert not found.has_field_ttl and not found.has_json


def test_the_probe_leaves_nothing_behind(valkey: ServerProcess, debian_redis: ServerProcess) -> None:
    for server in (valkey, debian_redis):
        probed(server, 3)
        with client(server.url) as commands:
            assert commands.dbsize() == 0


def test_a_connection_is_asked_once(valkey: ServerProcess) -> None:
    connection = Connection(host="127.0.0.1", port=valkey.port)
    first = capabilities_of(connection)
    assert capabilities_of(connection) is first
    forget_capabilities(connection)
    assert capabilities_of(connection) == first
    assert capabilities_of(connection) is not first
    connection.disconnect()


def test_a_server_that_refuses_everything_can_do_nothing() -> None:
    assert capabilities_from(OLD) == NOTHING


def test_the_version_alone_proves_nothing() -> None:
    claims = capabilities_from(OLD | {"info": b"# Server\r\nredis_version:8.2.0\r\n"})
    assert (claims.flavour, claims.version) == ("unknown", (8, 2, 0))
    assert not claims.has_pexpiretime and not claims.has_field_ttl and not claims.has_stream_counters


def test_a_missing_document_is_still_an_answer() -> None:
    assert capabilities_from(OLD | {"json": None}).has_json


def test_an_older_server_stumbles_over_the_options_of_xsetid() -> None:
    for complaint, knows in (("wrong number of arguments", False), ("syntax error", False), ("no such key", True)):
        found = capabilities_from(OLD | {"stream_counters": redis.ResponseError(complaint)})
        assert found.has_stream_counters is knows
