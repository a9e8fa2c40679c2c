from __future__ import annotations

from dataclasses import replace

from hybrid.core.registry import BEAT_S, DROP_S, Presence, Process, Role, dropped, seen

NOW_S = 1_700_000_000.0
SHOP = Process("1", "shop", "web1", 7, "0.1.0", NOW_S - 60, 3, Role.SHIPS, True, ("ack",), NOW_S - 1)


def test_a_record_is_read_back_as_it_was_written() -> None:
    assert Process.parse(SHOP.record) == SHOP
    newer = SHOP.record[:-1] + b',"mood":"sunny"}'
    assert Process.parse(newer) == SHOP


def test_three_reports_missed_is_gone_and_a_long_time_is_dropped() -> None:
    late = replace(SHOP, id="2", name="api", seen_s=NOW_S - 3 * BEAT_S - 1)
    lost = replace(SHOP, id="3", name="old", seen_s=NOW_S - DROP_S - 1)
    records = [process.record for process in (late, lost, SHOP)]
    assert [(process.name, presence) for process, presence in seen([*records, b"rubbish"], NOW_S)] == [
        ("shop", Presence.CONNECTED),
        ("api", Presence.GONE),
    ]
    pairs = [(b"2", late.record), (b"3", lost.record), (b"1", SHOP.record), (b"4", b"rubbish")]
    assert dropped(pairs, NOW_S) == (b"3", b"4")


def test_who_reports_rarely_is_given_longer() -> None:
    rare = replace(SHOP, beat_s=60.0, seen_s=NOW_S - 100)
    assert rare.presence(NOW_S) is Presence.CONNECTED
