"""What tests of the client share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import pytest
from servers import Stores, client

from hybrid import HybridRedis
from hybrid.ops.compare import Comparison, compare

PATIENT: Final = {"local_timeout_s": 3.0, "cloud_timeout_s": 3.0}
"""Timeouts that a busy machine does not exceed: these tests are not about dead stores."""

one_pair = pytest.mark.parametrize(("stores", "protocol"), [("valkey", 3)], indirect=True, ids=["valkey-resp3"])
"""For what depends neither on the kind of server nor on the protocol: a test runs once, not four times."""


def assert_equal(hybrid: HybridRedis, stores: Stores) -> Comparison:
    """Everything written so far reaches both stores, which are then identical."""
    assert hybrid.wait_in_sync(20), hybrid.status()
    with client(stores.local.url) as local, client(stores.cloud.url) as cloud:
        found = compare(local, cloud)
    assert found.identical, found.differences
    return found


def outcome(call: Callable[[], Any]) -> Any:
    """What a call returns, or the type and words of what it raises."""
    try:
        return call()
    except Exception as error:
        return type(error).__name__, str(error)
