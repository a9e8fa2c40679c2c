from __future__ import annotations

import pytest

from hybrid.core.cost import FREE, UPSTASH, Cost, Strategy
from hybrid.core.estimate import Census, Sampled, diff_cost

STRING = Sampled("string", 42, 100)
HASH = Sampled("hash", 42, 100)
BIG_HASH = Sampled("hash", 2_000_000, 10_000_000, 100_000)
STRINGS = Census(100_000, 100_000, 20.0, (STRING,), 0.06)
MIXED = Census(100_000, 100_000, 20.0, (STRING, HASH), 0.06)


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
    assert digests.cloud_bytes <= 200_000 * 21 < values.cloud_bytes
    assert digests.usd == 0 and digests.seconds < values.seconds


def test_a_list_of_keys_needs_no_scan() -> None:
    assert diff_cost(STRINGS, Strategy.BILLED, UPSTASH, all_ttls=False, listed=True).cloud_commands == 700


def test_nothing_costs_nothing() -> None:
    empty = Census(0, 0, 0.0, (), 0.06)
    for strategy in Strategy:
        assert diff_cost(empty, strategy, UPSTASH, all_ttls=True) == Cost()


@pytest.mark.parametrize(
    ("key", "pieces"),
    [
        (HASH, 0),
        (BIG_HASH, 250),
        (Sampled("stream", 2_000_000, 4_000_000, 100_000), 500),
        (Sampled("list", 100_000_000, 100_000_000, 1000), 382),
        (Sampled("string", 100_000_000, 100_000_000, 6104), 382),
    ],
)
def test_a_big_key_is_digested_piece_by_piece(key: Sampled, pieces: int) -> None:
    assert key.pieces == pieces
    cost = diff_cost(Census(10, 10, 20.0, (key,), 0.06), Strategy.DIGEST, FREE, all_ttls=False)
    assert cost.cloud_commands >= 10 * pieces
    assert cost.seconds >= pieces * 0.06


def test_a_value_beyond_a_reply_is_read_in_chunks() -> None:
    string = Sampled("string", 100 * 1024 * 1024, 100 * 1024 * 1024, 6400)
    assert 100 < string.read_commands < 120
    assert 100 < Sampled("hash", 5_000_000, 9_000_000, 100_000).read_commands < 120
    assert BIG_HASH.read_commands == 1


def test_the_sample_stands_for_all_keys() -> None:
    some = Census(1000, 1000, 20.0, (*[STRING] * 9, BIG_HASH), 0.0)
    assert diff_cost(some, Strategy.DIGEST, FREE, all_ttls=False).cloud_commands == pytest.approx(25_200, rel=0.05)


def test_memory_that_the_sample_does_not_explain_is_taken_for_big_keys() -> None:
    def commands(memory_bytes: int | None) -> int:
        census = Census(100_000, 100_000, 20.0, (STRING,), 0.0, memory_bytes)
        return diff_cost(census, Strategy.DIGEST, FREE, all_ttls=False).cloud_commands

    assert commands(None) == commands(12_000_000) == commands(20_000_000) == 1100
    assert commands(500_000_000) > 5000


def test_where_both_have_digest_a_long_string_is_one_command_and_does_not_travel() -> None:
    census = Census(10, 10, 20.0, (Sampled("string", 100 * 1024 * 1024, 100 * 1024 * 1024, 6400),), 0.0)
    cost = diff_cost(census, Strategy.BILLED, UPSTASH, all_ttls=False, digests=True)
    assert (cost.cloud_commands, cost.cloud_bytes < 10_000) == (1 + 10 + 1, True)
