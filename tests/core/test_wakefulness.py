"""Whether to stay awake for a reply: what took less is done, and the other way is not forgotten."""

from __future__ import annotations

import pytest

from hybrid.core.wakefulness import LOOK_AGAIN, Wakefulness

MANY = 50 * LOOK_AGAIN


def share_awake(wakefulness: Wakefulness, asleep_us: float, awake_us: float, count: int = MANY) -> float:
    """Of `count` requests, how many were waited for awake, when replies take this long either way."""
    chosen = 0
    for _ in range(count):
        awake = wakefulness.choose()
        chosen += awake
        wakefulness.took((awake_us if awake else asleep_us) / 1e6)
    return chosen / count


@pytest.mark.parametrize(
    ("asleep_us", "awake_us", "stays_awake"),
    [(90, 50, True), (190, 150, True), (100, 150, False), (60_000, 60_000, False), (60_000, 300, False)],
    ids=["a near store", "a slower one", "on the same core", "a far store", "one that is not near"],
)
def test_what_took_less_is_done(asleep_us: float, awake_us: float, stays_awake: bool) -> None:
    share = share_awake(Wakefulness(), asleep_us, awake_us)
    assert share > 0.95 if stays_awake else share < 0.05


def test_it_follows_when_things_change_and_a_single_delay_is_no_change() -> None:
    wakefulness = Wakefulness()
    share_awake(wakefulness, 90, 50)
    wakefulness.choose()
    wakefulness.took(5.0)
    assert share_awake(wakefulness, 90, 50) > 0.95
    share_awake(wakefulness, 60, 150)
    assert share_awake(wakefulness, 60, 150) < 0.05
    share_awake(wakefulness, 90, 50)
    assert share_awake(wakefulness, 90, 50) > 0.95
