"""Whether the loop sleeps while a store answers."""

from __future__ import annotations

import asyncio
import selectors
from typing import Any

import pytest
from aio.rig import opened
from servers import Stores

from hybrid.aio import wire
from hybrid.core.wakefulness import Wakefulness


class Watched(selectors.DefaultSelector):
    """Remembers whether the loop has slept, were it for a moment."""

    slept = False

    def select(self, timeout: float | None = None) -> Any:
        self.slept = self.slept or timeout is None or timeout > 0
        return super().select(timeout)


@pytest.mark.parametrize("awake", [True, False], ids=["awake", "asleep"])
def test_the_loop_waits_for_a_single_request_as_was_chosen(
    stores: Stores, monkeypatch: pytest.MonkeyPatch, awake: bool
) -> None:
    monkeypatch.setattr(wire, "AWAKE_S", 60.0)
    monkeypatch.setattr(Wakefulness, "choose", lambda _: awake)
    selector = Watched()

    async def test() -> None:
        async with opened(stores, ack="local") as hybrid:
            for call in (lambda: hybrid.get("k"), lambda: hybrid.set("k", "v")):
                await call()
                selector.slept = False
                for _ in range(20):
                    await call()
                assert selector.slept is not awake

    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selector)) as runner:
        runner.run(test())
