"""Plain words for moments: what is understood, what is refused with advice, and when something is due."""

from __future__ import annotations

from datetime import datetime, time

import pytest

from hybrid.core.schedule import Rule, due_slots, next_slot, parse_schedule

SUNDAY = datetime(2026, 11, 22, 12, 0)


def days(*numbers: int) -> frozenset[int]:
    return frozenset(numbers)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("every Monday 09:00", Rule((), days(0), None, time(9))),
        ("  Every   monday at 9:00 ", Rule((), days(0), None, time(9))),
        ("all every day 03:30", Rule((), days(*range(7)), None, time(3, 30))),
        ("every weekday 23:59", Rule((), days(*range(5)), None, time(23, 59))),
        ("every weekend 0:00", Rule((), days(5, 6), None, time(0))),
        ("every mon, wed and Fridays 7:30", Rule((), days(0, 2, 4), None, time(7, 30))),
        ("every 1st 07:00", Rule((), days(), 1, time(7))),
        ("every 22nd at 07:00", Rule((), days(), 22, time(7))),
        ("cloud-hung, local-cut every tue 12:00", Rule(("cloud-hung", "local-cut"), days(1), None, time(12))),
    ],
)
def test_words_that_are_understood(text: str, rule: Rule) -> None:
    assert parse_schedule(text) == (rule,)


def test_an_empty_schedule_is_none_and_a_semicolon_makes_two_rules() -> None:
    assert parse_schedule(None) == parse_schedule(" ; ") == ()
    assert len(parse_schedule("every day 01:00; cloud-cut every 2nd 02:00")) == 2


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("Monday 09:00", "does not say when"),
        ("every Monday", "no time of day"),
        ("every Monday 25:00", "is no day|no time of day"),
        ("every 09:00", "names no day"),
        ("every moonday 09:00", "'moonday' is no day"),
        ("every 31st 09:00", "not every month"),
        ("every 0th 09:00", "not every month"),
        ("every t 09:00", "'t' is no day"),
    ],
)
def test_what_is_not_understood_says_how_to_write_it(text: str, advice: str) -> None:
    with pytest.raises(ValueError, match=advice):
        parse_schedule(text)


def test_the_next_moment_is_after_now_and_not_now() -> None:
    rules = parse_schedule("every Monday 09:00; every 1st 07:00")
    assert next_slot(rules, SUNDAY) == datetime(2026, 11, 23, 9)
    assert next_slot(rules, datetime(2026, 11, 23, 9)) == datetime(2026, 11, 30, 9)
    assert next_slot(parse_schedule("every 28th 09:00"), datetime(2026, 1, 28, 9)) == datetime(2026, 2, 28, 9)
    assert next_slot((), SUNDAY) is None


def test_what_fell_due_meanwhile_is_told_in_order_and_once() -> None:
    rules = parse_schedule("late every day 20:00; early every day 06:00")
    found = [(slot, rule.names) for slot, rule in due_slots(rules, SUNDAY, datetime(2026, 11, 23, 6))]
    assert found == [(datetime(2026, 11, 22, 20), ("late",)), (datetime(2026, 11, 23, 6), ("early",))]
    assert due_slots(rules, datetime(2026, 11, 23, 6), datetime(2026, 11, 23, 19, 59)) == []
