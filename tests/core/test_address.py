"""What a URL says about where a store is."""

from __future__ import annotations

import pytest

from hybrid.core.address import Kind, address_of


def test_one_server() -> None:
    address = address_of("rediss://default:p%40ss@cloud.example/2?ssl_cert_reqs=none")
    assert address.kind is Kind.SERVER
    assert address.url == "rediss://default:p%40ss@cloud.example/2?ssl_cert_reqs=none"
    assert address.hosts == (("cloud.example", 6379),)
    assert address_of("unix:///run/redis.sock?db=1").hosts == ()


def test_sentinels_name_a_master() -> None:
    address = address_of("rediss+sentinel://u:p%40ss@a,[::1]:1/my%20master/3?ssl_cert_reqs=none&sentinel_password=s%2F")
    assert address.kind is Kind.SENTINEL
    assert address.hosts == (("a", 26379), ("::1", 1))
    assert address.service == "my master"
    assert address.url == "rediss://u:p%40ss@a/3?ssl_cert_reqs=none"
    assert address.login == {"password": "s/"}
    assert "p%40ss" not in repr(address)
    assert address_of("redis+sentinel://a/m").url == "redis://a/"


def test_some_nodes_of_a_cluster() -> None:
    address = address_of("rediss+cluster://u:p@a,b:7000/0?ssl_cert_reqs=none")
    assert address.kind is Kind.CLUSTER
    assert address.hosts == (("a", 6379), ("b", 7000))
    assert address.url == "rediss://u:p@a?ssl_cert_reqs=none"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("redis+sentinel://a:1,b:2", "names no service"),
        ("redis+sentinel://a:1,/m", "names no host"),
        ("redis+sentinel://a:b/m", "is not a valid URL"),
        ("redis+sentinel://a/m?sentinel_secret=s", "unknown option: sentinel_secret"),
        ("redis+sentinel://u:p/w@a/m", "written as %2F"),
        ("redis://a:1,b:2", r"several hosts, which only redis\+sentinel:// and redis\+cluster:// take"),
        ("redis+cluster://a:1/2", "a cluster has only one"),
        ("redis+ring://a:1", "must start with"),
        ("redis://[::1", "is not a valid URL"),
    ],
)
def test_nonsense_is_named(url: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        address_of(url)
