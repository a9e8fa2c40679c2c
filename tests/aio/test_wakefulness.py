"""Whether the loop sleeps while a store answers: waking up takes longer than a near store does."""

from __future__ import annotations

import asyncio
import selectors
from typing import Any

import pytest
from aio.rig import opened
from servers import Stores

from hybrid.aio import wire


class Watched(selectors.DefaultSelector):
    """Remembers whether the loop has slept, were it for a moment."""

    slept = False

    def select(self, timeout: float | None = None) -> Any:
        self.slept = self.slept or timeout is None or timeout > 0
        return super().select(timeout)


@pytest.mark.parametrize(("awake_s", "sleeps"), [(60.0, False), (0.0, True)], ids=["near", "far"])
def test_the_loop_stays_awake_for_a_store_that_answers_soon(
    stores: Stores, monkeypatch: pytest.MonkeyPatch, awake_s: float, sleeps: bool
) -> None:
    monkeypatch.setattr(wire, "AWAKE_S", awake_s)
    selector = Watched()

    async def test() -> None:
        async with opened(stores, ack="local") as hybrid:
            for call in (lambda: hybrid.get("k"), lambda: hybrid.set("k", "v")):
                await call()
                selector.slept = False
                for _ in range(20):
                    await call()
                assert selector.slept is sleeps

    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selector)) as runner:
        runner.run(test())
