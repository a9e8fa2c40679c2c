"""What the copied states of keys contain of the log, told in the moment of their reading."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from servers import Pool, client, run_packed

from hybrid.core.ahead import Ahead
from hybrid.core.names import Names
from hybrid.core.tokens import Shipped, token
from hybrid.replication.copied import Copied
from hybrid.types import Store

SENT, AHEAD = token(b"--sent--", 1), token(b"-ahead--", 1)


def stream(source: Store, sent_to: tuple[int, int]) -> Any:
    return SimpleNamespace(
        source=source, sent_to=sent_to, maybe_to=(0, 0), names=Names(), ahead=Ahead(), shipped=Shipped(), read_to=b"5-0"
    )


@pytest.mark.parametrize("source", Store)
def test_how_far_the_log_goes_is_told_along_with_the_states(source: Store, server_pool: Pool) -> None:
    with client(server_pool.get("valkey", "local").url) as server:
        reads = stream(source, (2, 0))
        copied = Copied(reads)
        log = reads.names.log
        server.xadd(log, {"v": b"*2\r\n$4\r\nINCR\r\n$1\r\na\r\n", "w": SENT}, id="2-0")
        server.xadd(log, {"s": "b"}, id="4-0")
        server.xadd(log, {"v": b"*2\r\n$4\r\nINCR\r\n$1\r\na\r\n", "w": AHEAD}, id="5-0")
        place, ahead = copied.reached(run_packed(server, copied.place_command()))
        assert place == (5, 0)
        copied.note({b"a": place}, place, ahead)
        if source is Store.LOCAL:
            assert ahead is not None and [entry_id for entry_id, _ in ahead] == [b"4-0", b"5-0"]
            assert reads.maybe_to == (5, 0) and reads.shipped.holds(AHEAD) and not reads.shipped.holds(SENT)
            assert copied.reached(run_packed(server, copied.place_command())) == ((5, 0), [])
        copied.forget_read()
        assert copied.places == {b"a": (5, 0)}
        reads.read_to = b"5-1"
        copied.forget_read()
        assert not copied.places
