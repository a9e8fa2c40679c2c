"""How long a log is, and when it is to be folded."""

from __future__ import annotations

import pytest
from servers import client

from hybrid.core.names import Names
from hybrid.core.transaction import ENTRY_BYTES
from hybrid.replication.growth import LEAST_PAGE, PAGE_BYTES, Length, measured
from hybrid.stores.endpoint import Endpoint
from hybrid.stores.processes import ServerProcess
from hybrid.types import Store

NAMES = Names()
SMALL, LARGE = 1000, 40


def test_small_entries_in_front_hide_no_large_ones(valkey: ServerProcess) -> None:
    """A server that is asked no further looks at the first few pieces of the stream, and takes all others for such."""
    with client(valkey.url) as server:
        pipe = server.pipeline(transaction=False)
        for size in [10] * SMALL + [ENTRY_BYTES] * LARGE:
            pipe.xadd(NAMES.log, {"v": b"x" * size})
        pipe.execute()
    wire = Endpoint(Store.LOCAL, valkey.url, NAMES, timeout_s=5.0).connect_raw()
    try:
        length = measured(wire, NAMES)
    finally:
        wire.disconnect()
    assert length.entries == SMALL + LARGE
    assert length.size_bytes > LARGE * ENTRY_BYTES


@pytest.mark.parametrize(
    ("length", "page"),
    [
        (Length(0, 0), 500),
        (Length(100_000, 0), 500),
        (Length(50, PAGE_BYTES), 500),
        (Length(100_000, PAGE_BYTES + 1), 500),
        (Length(400, 4 * PAGE_BYTES), 100),
        (Length(500, 500 * ENTRY_BYTES), LEAST_PAGE),
    ],
)
def test_of_large_entries_fewer_are_read_at_a_time(length: Length, page: int) -> None:
    assert length.page(500) == page


def test_the_least_that_is_read_of_large_entries_is_a_page() -> None:
    assert LEAST_PAGE * ENTRY_BYTES <= PAGE_BYTES
