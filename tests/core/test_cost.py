from __future__ import annotations

import pytest

from hybrid.core.cost import FREE, TTL_SAMPLE, UPSTASH, Census, Cost, Strategy, diff_cost, is_billed, is_sampled, usd_of

STRINGS = Census(100_000, 100_000, 1.0, 20.0, 50.0, 0.06)
MIXED = Census(100_000, 100_000, 0.5, 20.0, 50.0, 0.06)


def test_strings_on_a_billed_store_cost_less_than_ten_commands_a_thousand() -> None:
    cost = diff_cost(STRINGS, Strategy.BILLED, UPSTASH, all_ttls=False)
    assert cost.cloud_commands == 100 + 200 + 500  # SCAN, MGET, a sample of expiries
    assert cost.usd == pytest.approx(0.0016)


def test_every_expiry_costs_a_command_of_its_own() -> None:
    assert diff_cost(STRINGS, Strategy.BILLED, UPSTASH, all_ttls=True).cloud_commands == 100_300
    assert diff_cost(STRINGS, Strategy.READ, FREE, all_ttls=False).cloud_commands == 100_300


def test_other_types_are_read_one_by_one() -> None:
    assert diff_cost(MIXED, Strategy.BILLED, UPSTASH, all_ttls=False).cloud_commands == 100 + 100 + 50_000 + 500


def test_digests_send_names_and_no_values() -> None:
    digests = diff_cost(MIXED, Strategy.DIGEST, FREE, all_ttls=False)
    values = diff_cost(MIXED, Strategy.READ, FREE, all_ttls=False)
    assert digests.cloud_commands == 100 + 1000
    assert digests.cloud_bytes < 200_000 * 21 < values.cloud_bytes
    assert digests.usd == 0 and digests.seconds < values.seconds


def test_a_list_of_keys_needs_no_scan() -> None:
    assert diff_cost(STRINGS, Strategy.BILLED, UPSTASH, all_ttls=False, listed=True).cloud_commands == 700


def test_nothing_costs_nothing() -> None:
    empty = Census(0, 0, 0.0, 0.0, 0.0, 0.06)
    for strategy in Strategy:
        assert diff_cost(empty, strategy, UPSTASH, all_ttls=True) == Cost()


def test_prices() -> None:
    assert is_billed(UPSTASH) and not is_billed(FREE)
    assert usd_of(UPSTASH, 300_100, 10**9) == pytest.approx(0.6002)
    assert usd_of(FREE, 300_100, 10**9) == 0


def test_costs_add_up() -> None:
    assert Cost(1, 2, 3, 4, 5.0, 6.0) + Cost(10, 20, 30, 40, 50.0, 60.0) == Cost(11, 22, 33, 44, 55.0, 66.0)


def test_the_sample_rotates_through_every_key() -> None:
    for key_hash in (0, 1, 199, 123_456_789):
        assert sum(is_sampled(key_hash, rotation) for rotation in range(7, 7 + TTL_SAMPLE)) == 1
