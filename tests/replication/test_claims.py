"""What a writer does about an authority whose store it has lost."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from hybrid import events
from hybrid.core.authority import Authority, Holder
from hybrid.core.health import Evidence
from hybrid.core.names import Names
from hybrid.replication.board import Board
from hybrid.replication.claims import Claims
from hybrid.settings import Settings
from hybrid.types import Store

CLAIMED = Authority(Holder.CLOUD, 2)
RETURNED = Authority(Holder.LOCAL, 4)
BOTH = Settings(local_url="redis://localhost:1", cloud_url="redis://localhost:2")


class Cloud:
    """Its record; `moves` are the records that followed it. `heard` happens while a connection is made."""

    names = Names()

    def __init__(self, record: Authority, heard: Any) -> None:
        self.moves: list[Authority] = []
        self._wire = SimpleNamespace(authority=record)
        self._heard = heard

    def take_fenced(self, epoch: int) -> tuple[int, Any]:
        self._heard()
        return 0, self._wire

    def give_fenced(self, generation: int, wire: Any) -> None:
        pass

    def move(self, wire: Any, record: Authority, **_: Any) -> None:
        self.moves.append(record)
        wire.authority = record


@pytest.mark.parametrize(
    ("record", "heard", "moves"),
    [
        pytest.param(CLAIMED, CLAIMED, [], id="others have claimed"),
        pytest.param(Authority(Holder.LOCAL, 1), None, [CLAIMED], id="nobody has"),
        pytest.param(RETURNED, None, [], id="others have claimed, and given it back"),
        pytest.param(RETURNED, RETURNED, [], id="and word of it has come meanwhile"),
    ],
)
def test_what_was_not_known_when_a_claim_was_decided_is_learned_first(
    record: Authority, heard: Authority | None, moves: list[Authority]
) -> None:
    """Otherwise the authority would go to the cloud store again as soon as it has been given back."""
    board = Board(BOTH, events.EventLog(()))
    board.learn(Authority(Holder.LOCAL, 1), source=Store.CLOUD)
    for store in Store:
        board.observe(store, Evidence.ANSWERED)
    board.observe(Store.CLOUD, Evidence.CAUGHT_UP)
    board.observe(Store.LOCAL, Evidence.REFUSED)
    cloud = Cloud(record, lambda: heard and board.learn(heard, source=Store.CLOUD))
    reach: Any = SimpleNamespace(board=board, endpoints={Store.CLOUD: cloud})
    relay: Any = SimpleNamespace(is_answered=lambda: False)
    Claims(reach, relay).claim()
    assert cloud.moves == moves
    assert board.authority == (moves or [record])[-1]
