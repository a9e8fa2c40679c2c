from __future__ import annotations

import pytest

from hybrid.core.cost import FREE, TTL_SAMPLE, UPSTASH, Cost, is_billed, is_sampled, usd_of


def test_prices() -> None:
    assert is_billed(UPSTASH) and not is_billed(FREE)
    assert usd_of(UPSTASH, 300_100, 10**9) == pytest.approx(0.6002)
    assert usd_of(FREE, 300_100, 10**9) == 0


def test_costs_add_up() -> None:
    assert Cost(1, 2, 3, 4, 5.0, 6.0) + Cost(10, 20, 30, 40, 50.0, 60.0) == Cost(11, 22, 33, 44, 55.0, 66.0)


def test_the_sample_rotates_through_every_key() -> None:
    for key_hash in (0, 1, 199, 123_456_789):
        assert sum(is_sampled(key_hash, rotation) for rotation in range(7, 7 + TTL_SAMPLE)) == 1
