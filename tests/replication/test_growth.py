"""How long a log is, and when it is to be folded."""

from __future__ import annotations

from servers import client

from hybrid.core.names import Names
from hybrid.core.transaction import ENTRY_BYTES
from hybrid.replication.growth import measured
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
