"""Threads that wait let the processor be."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

from hybrid.replication.stream import Stream
from hybrid.types import Store

from .world import opened


def test_a_stream_that_waits_for_one_store_takes_what_the_other_says() -> None:
    """Unread, that ended every wait at once, until the cloud store had answered."""
    waits, poll = 0, Stream.poll

    def counted(stream: Stream, **options: Any) -> set[int]:
        nonlocal waits
        waits += 1
        return poll(stream, **options)

    with patch.object(Stream, "poll", counted), opened("waits", preempt=0.0, verbose=False) as world:
        world.round_trip_s[Store.CLOUD] = 0.1
        process = world.start("p1", 0.0)
        world.scheduler.spawn(process.client.start, "starter", process)
        assert world.scheduler.run(lambda: world.has(Store.CLOUD, b"hybrid:checkpoint", lambda _: True), 5.0)
    assert 0 < waits < 100
