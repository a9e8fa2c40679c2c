"""Scripted faults, at many moments."""

from __future__ import annotations

from contextlib import suppress

import pytest

from hybrid import OutcomeUnknown
from hybrid.types import Store

from .world import World, opened

KEY = b"counter"


def wait(world: World, seconds: float) -> None:
    world.scheduler.run(lambda: False, world.scheduler.now_s + seconds)


def counted(world: World, store: Store) -> int:
    value = world.stores[store].data.values.get(KEY)
    return int(value.body) if value is not None else 0


@pytest.mark.parametrize("delay_s", [0.05 * n for n in range(5, 9)])
def test_a_stream_that_has_only_begun_says_nothing_of_those_before_it(delay_s: float) -> None:
    """The cloud store hangs with increments on their way, returns, and the local one hangs while the next stream opens.
    That one has sent nothing yet; what the first has sent must not be counted again when the local store returns."""
    tried = 0
    with opened(f"begun {delay_s}", preempt=0.0, verbose=False) as world:
        world.round_trip_s[Store.CLOUD] = 0.06
        process = world.start("p1", 0.0, ack="local")

        def write() -> None:
            nonlocal tried
            process.client.start()
            while not process.stopping:
                tried += 1
                with suppress(OutcomeUnknown):
                    process.client.incr(KEY)
                world.scheduler.sleep(0.02)

        local, cloud = (world.stores[store] for store in Store)
        world.scheduler.spawn(write, "writer", process)
        wait(world, 1.0)
        cloud.stop()
        wait(world, 0.5)
        cloud.resume()
        wait(world, 0.1 + delay_s)
        local.stop()
        wait(world, 1.5)
        local.resume()
        wait(world, 1.0)
        process.stopping = True
        assert world.scheduler.run(world.is_quiet, world.scheduler.now_s + 30)
        assert counted(world, Store.LOCAL) == counted(world, Store.CLOUD)
        assert 0 < counted(world, Store.LOCAL) <= tried
