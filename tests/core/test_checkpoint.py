"""Which of two stores came back with older data, by the notes that both keep."""

from __future__ import annotations

import pytest

from hybrid.core.checkpoint import Checkpoint, is_cloud_older, is_local_older

LIFE = b"host:1:ab cd"
EARLY, LATE = Checkpoint(LIFE, (5, 0)), Checkpoint(LIFE, (5, 1))
OTHER = Checkpoint(b"another", (4, 0))


def test_it_is_read_as_it_was_written() -> None:
    assert Checkpoint.parse(LATE.packed) == LATE
    assert Checkpoint.parse(None) is None


@pytest.mark.parametrize(
    ("end", "on_cloud", "older"),
    [((5, 0), LATE, True), ((5, 1), LATE, False), ((6, 0), LATE, False), ((3, 0), OTHER, False), ((0, 0), None, False)],
)
def test_a_local_log_that_ends_too_early(end: tuple[int, int], on_cloud: Checkpoint | None, older: bool) -> None:
    assert is_local_older(LIFE, end, on_cloud) is older


@pytest.mark.parametrize(
    ("on_local", "on_cloud", "older"),
    [(LATE, EARLY, True), (LATE, LATE, False), (EARLY, LATE, False), (LATE, None, True), (None, LATE, False)],
)
def test_a_cloud_store_that_has_forgotten_a_checkpoint(
    on_local: Checkpoint | None, on_cloud: Checkpoint | None, older: bool
) -> None:
    assert is_cloud_older(on_local, on_cloud) is older


def test_another_life_of_the_local_store_says_nothing() -> None:
    assert not is_cloud_older(LATE, OTHER)
