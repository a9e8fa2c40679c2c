"""The failback, by itself: what comes of it in real pairs is tested where stores fail."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from hybrid.core.authority import Authority, Holder
from hybrid.core.names import Names
from hybrid.replication import hand_back
from hybrid.replication.hand_back import TAKEN_BACK_S, HandBack
from hybrid.types import Store

CLOUD = Authority(Holder.CLOUD, 7)


class Cloud:
    """A store on which writers take each handover back before it is complete."""

    def __init__(self) -> None:
        self.wire = SimpleNamespace(authority=CLOUD)
        self.halted = 0

    def take_fenced(self, epoch: int) -> tuple[int, Any]:
        return 1, self.wire

    def give_fenced(self, generation: int, wire: Any) -> None: ...

    def move(self, wire: Any, authority: Authority, *, then: bytes = b"") -> None:
        if authority.holder is Holder.HANDOVER:
            self.halted += 1
            wire.authority = authority
        else:
            wire.authority = wire.authority.succeeded_by(Holder.CLOUD)


def test_writers_that_took_a_handover_back_may_write_before_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    cloud, now_s = Cloud(), 100.0
    monkeypatch.setattr(hand_back.time, "monotonic", lambda: now_s)
    board = SimpleNamespace(authority=CLOUD, learn=lambda record, *, source: None)
    stream: Any = SimpleNamespace(
        board=board,
        endpoints={Store.CLOUD: cloud},
        names=Names(),
        read_to=b"1-1",
        at_end=True,
        drained=lambda: True,
        lease=SimpleNamespace(holder="h"),
        push=lambda *_: None,
        flush=lambda: None,
    )
    follow: Any = SimpleNamespace(forward=lambda rest: 0, settle_failed=lambda: False)
    packed: Any = SimpleNamespace(can_pack=lambda: False)
    handing = HandBack(stream, follow, packed)
    pauses = []
    for _ in range(6):
        tried, began_s = cloud.halted, now_s
        while cloud.halted == tried:
            assert not handing.run()
            now_s += 0.5
        pauses.append(now_s - 0.5 - began_s)
    first, most = TAKEN_BACK_S
    assert pauses[0] == 0
    assert first - 0.5 <= pauses[1] < pauses[2] < pauses[3] <= pauses[-1] <= most
