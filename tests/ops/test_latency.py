from __future__ import annotations

from hybrid.observe.latency import LatencySummary, LatencyWindow, percentile


def test_nothing_recorded_is_unknown_rather_than_zero() -> None:
    assert LatencyWindow().summary() is None


def test_a_percentile_is_a_value_that_occurred() -> None:
    ordered = [float(value) for value in range(1, 101)]
    assert (percentile(ordered, 0.5), percentile(ordered, 0.99), percentile(ordered, 1.0)) == (50.0, 99.0, 100.0)
    assert percentile([7.0], 0.5) == 7.0


def test_the_summary_is_of_the_latest_calls_only() -> None:
    window = LatencyWindow(keep=10)
    for _ in range(50):
        window.record(9.0)
    for value in range(1, 11):
        window.record(value / 1000)
    assert window.summary() == LatencySummary(10, 5.0, 10.0)


def test_old_calls_no_longer_count() -> None:
    window = LatencyWindow(horizon_s=-1.0)
    window.record(0.001)
    assert window.summary() is None
