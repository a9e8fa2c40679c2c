"""A thread that the machine does not let go on when its time is over cannot say that the store was silent."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from servers import Stores

from hybrid.core.names import Names
from hybrid.core.outcomes import ReplyLost
from hybrid.core.resp import pack
from hybrid.stores import wire as wires
from hybrid.stores.endpoint import Endpoint
from hybrid.stores.wire import HELD_UP_S
from hybrid.types import Store

TIMEOUT_S = 0.5


class Late:
    """A socket on which the wait for a reply is over after each of these times, by `clock`; then it has come."""

    def __init__(self, sock: Any, clock: SimpleNamespace, waits_s: list[float]) -> None:
        self._sock = sock
        self._clock = clock
        self._waits_s = waits_s

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def recv_into(self, buffer: bytearray) -> int:
        if self._waits_s:
            self._clock.now_s += self._waits_s.pop(0)
            raise TimeoutError
        size: int = self._sock.recv_into(buffer)
        return size


@pytest.mark.parametrize("stores", ["valkey"], indirect=True)
@pytest.mark.parametrize(
    ("waits_s", "answers"),
    [
        ([TIMEOUT_S + HELD_UP_S * 2], True),
        ([TIMEOUT_S + HELD_UP_S * 2] * 3, True),
        ([TIMEOUT_S + HELD_UP_S / 2], False),
        ([TIMEOUT_S + HELD_UP_S * 2, TIMEOUT_S], False),
        ([TIMEOUT_S + HELD_UP_S * 2] * 4, False),
    ],
)
def test_a_late_look_is_repeated(
    stores: Stores, waits_s: list[float], answers: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SimpleNamespace(now_s=0.0)
    monkeypatch.setattr(wires, "time", SimpleNamespace(monotonic=lambda: clock.now_s))
    wire = Endpoint(Store.LOCAL, stores.local.url or "", Names(), timeout_s=TIMEOUT_S).connect_raw()
    wire._sock = Late(wire._sock, clock, waits_s)
    if answers:
        assert wire.exchange(pack(("PING",)), 1) == [b"PONG"]
    else:
        with pytest.raises(ReplyLost) as lost:
            wire.exchange(pack(("PING",)), 1)
        assert lost.value.silent
    wire.disconnect()
