"""What fires and what is told, decided without asking or sending anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.core.alert_desk import Desk, Incident, IncidentState, Quiet, SummaryTime, merged_desk
from hybrid.core.alert_rules import RULES, Rule, RuleChange, Severity, changed_rule
from hybrid.core.alert_texts import summary_message
from hybrid.core.alerting import TRANSITIONS, Pending, Reading, Signal, acknowledged, evaluated
from hybrid.core.outbox import (
    CLAIM_S,
    GIVEN_UP_S,
    Delivery,
    DeliveryState,
    Kind,
    Message,
    addressed,
    claimed,
    due_deliveries,
    settled,
    with_delivery,
)
from hybrid.errors import ConfigurationError

EMPTY = Desk()


class Watch:
    """Judges one reading after the other, as an agent does."""

    def __init__(self, desk: Desk = EMPTY, **changes: Mapping[str, object]) -> None:
        self.desk = desk
        self.rules = {name: changed_rule(rule, changes.get(name, {})) for name, rule in RULES.items()}
        self.pending: Pending = {}

    def judge(self, now_s: float, *readings: Reading) -> list[tuple[Kind, str]]:
        """What is told newly."""
        before = {message.id for message in self.desk.messages}
        self.desk, self.pending = evaluated(self.desk, readings, self.rules, self.pending, now_s)
        return [(each.kind, each.incident) for each in self.desk.messages if each.id not in before]

    def kinds(self, now_s: float, *readings: Reading) -> list[Kind]:
        return [kind for kind, _ in self.judge(now_s, *readings)]


def down(value: float | None, store: str = "cloud") -> Reading:
    return Reading("store_down", store, value, "connection refused" if value else "back")


def test_one_alert_one_recovery_after_patience() -> None:
    watch = Watch()
    assert watch.kinds(0.0, down(1)) == []
    assert watch.kinds(4.0, down(1)) == []
    assert watch.kinds(5.0, down(1)) == [Kind.ALERT]
    assert watch.kinds(6.0, down(1)) == []
    assert watch.kinds(10.0, down(0)) == []
    assert watch.kinds(12.0, down(1)) == []
    assert watch.kinds(20.0, down(0)) == [], "the time to clear began anew"
    assert watch.kinds(30.0, down(0)) == [Kind.RECOVERY]
    [incident] = watch.desk.incidents
    assert (incident.state, incident.opened_s, incident.resolved_s) == (IncidentState.RESOLVED, 5.0, 30.0)


def test_a_blip_is_no_incident() -> None:
    watch = Watch()
    for now_s in range(0, 60, 4):
        assert watch.kinds(now_s, down(1)) == []
        assert watch.kinds(now_s + 2, down(0)) == []
    assert watch.desk == EMPTY


def test_unknown_neither_raises_nor_clears() -> None:
    watch = Watch()
    watch.judge(0.0, down(1))
    assert watch.kinds(9.0, down(None)) == []
    assert watch.kinds(10.0, down(1)) == [], "it was not known to be down all the time"
    assert watch.kinds(15.0, down(1)) == [Kind.ALERT]
    assert watch.kinds(1000.0, down(None)) == []
    assert watch.kinds(2000.0) == []
    assert watch.desk.of("store_down", "cloud")


def test_what_takes_over_does_not_wait_once_more() -> None:
    long_since = [replace(down(value), since_s=since_s) for value, since_s in ((1, 100.0), (0, 130.0))]
    watch = Watch()
    assert watch.kinds(104.0, long_since[0]) == []
    assert watch.kinds(105.0, long_since[0]) == [Kind.ALERT]
    watch = Watch(watch.desk)
    assert watch.kinds(139.0, long_since[1]) == []
    watch = Watch(watch.desk)
    assert watch.kinds(140.0, long_since[1]) == [Kind.RECOVERY]


def test_hysteresis_between_two_thresholds() -> None:
    watch = Watch(lag={"raise_after_s": 0, "clear_after_s": 0})
    told = [watch.kinds(now_s, Reading("lag", "", lag_s)) for now_s, lag_s in enumerate([30, 31, 29, 31, 16, 15, 29])]
    assert told == [[], [Kind.ALERT], [], [], [], [Kind.RECOVERY], []]


def test_a_rule_below_its_threshold() -> None:
    watch = Watch()
    told = [
        watch.kinds(day, Reading("certificate", "cloud", days)) for day, days in enumerate([15, 14, 13, 15, 16, 80])
    ]
    assert told == [[], [], [Kind.ALERT], [], [Kind.RECOVERY], []]


def test_what_follows_from_a_dead_store_is_no_incident_of_its_own() -> None:
    watch = Watch()
    lag = Reading("lag", "", 500.0)
    for now_s in range(60):
        watch.judge(now_s, down(1), lag)
    assert [incident.rule for incident in watch.desk.incidents] == ["store_down"]
    both = Watch()
    none = Reading("no_store", "", 1)
    for now_s in range(60):
        both.judge(now_s, none, down(1), down(1, "local"))
    assert [incident.rule for incident in both.desk.incidents] == ["no_store"]


def test_silenced_is_told_when_the_silence_ends_and_a_told_recovery_always() -> None:
    quiet = Quiet("q", ("wiped",), "cloud", 0.0, 100.0, "ana", "")
    wiped, well = Reading("wiped", "cloud", 1), Reading("wiped", "cloud", 0)
    watch = Watch(Desk(quiets=(quiet,)))
    assert watch.kinds(10.0, wiped) == []
    assert watch.kinds(99.0, wiped) == []
    assert watch.kinds(100.0, wiped) == [Kind.ALERT]
    again = Watch(Desk(quiets=(replace(quiet, from_s=20.0),)))
    assert again.kinds(10.0, wiped) == [Kind.ALERT]
    again.judge(30.0, well)
    assert again.kinds(40.0, well) == [Kind.RECOVERY]
    never = Watch(Desk(quiets=(quiet,)))
    never.judge(10.0, wiped)
    never.judge(20.0, well)
    assert never.kinds(30.0, well) == [], "nobody has heard that it began"


@pytest.mark.parametrize(
    ("quiet", "covers"),
    [
        (Quiet("q", (), "", 0, 9, "a", ""), True),
        (Quiet("q", ("lag",), "", 0, 9, "a", ""), False),
        (Quiet("q", (), "local", 0, 9, "a", ""), False),
        (Quiet("q", (), "cloud", 6, 9, "a", "", maintenance=True), False),
        (Quiet("q", (), "cloud", 0, 5, "a", ""), False),
    ],
)
def test_what_a_quiet_time_covers(quiet: Quiet, covers: bool) -> None:
    watch = Watch()
    watch.judge(1.0, Reading("wiped", "cloud", 1))
    assert quiet.covers(watch.desk.incidents[0], 5.0) is covers


def test_reminders_until_somebody_acknowledges() -> None:
    watch = Watch(wiped={"remind_after_s": 100})
    wiped = Reading("wiped", "cloud", 1)
    told = [watch.kinds(now_s, wiped) for now_s in (0, 50, 100, 150, 200)]
    assert told == [[Kind.ALERT], [], [Kind.REMINDER], [], [Kind.REMINDER]]
    watch.desk = acknowledged(watch.desk, watch.desk.active[0], "ana", 210.0)
    assert watch.kinds(900.0, wiped) == []
    watch.judge(1000.0, Reading("wiped", "cloud", 0))
    assert watch.kinds(1010.0, Reading("wiped", "cloud", 0)) == [Kind.RECOVERY]
    assert "ana took care of it" in watch.desk.messages[-1].body


def test_what_flaps_is_told_less_and_less_often() -> None:
    watch = Watch(store_down={"raise_after_s": 0, "clear_after_s": 10})
    alerts = sum(watch.kinds(now_s, down(now_s // 15 % 2)).count(Kind.ALERT) for now_s in range(900))
    assert 2 <= alerts <= 4, "30 outages of 15 s within 15 minutes"


def test_an_event_that_is_over_already_is_told_once() -> None:
    watch = Watch()
    pulse = Reading("wiped", "local", 0.0, "lost its data", pulse_s=100.0)
    assert watch.kinds(101.0, pulse) == [Kind.ALERT]
    told = [watch.kinds(101.0 + step, pulse) for step in range(1, 10)]
    assert [Kind.RECOVERY] in told and sum(map(len, told)) == 1
    later = replace(pulse, pulse_s=120.0)
    assert watch.kinds(121.0, later) == [], "another process met the same event"
    assert watch.kinds(500.0, replace(pulse, pulse_s=499.0)) == [Kind.ALERT]


def test_a_rule_that_is_switched_off_resolves() -> None:
    watch = Watch()
    watch.judge(0.0, Reading("wiped", "cloud", 1))
    watch.rules["wiped"] = replace(watch.rules["wiped"], enabled=False)
    assert watch.kinds(1.0, Reading("wiped", "cloud", 1)) == [Kind.RECOVERY]
    assert watch.kinds(2.0, Reading("wiped", "cloud", 1)) == []


def test_two_agents_that_opened_the_same_incident() -> None:
    first, second = Watch(), Watch()
    first.judge(1.0, Reading("wiped", "cloud", 1))
    second.judge(2.0, Reading("wiped", "cloud", 1))
    watch = Watch(merged_desk(first.desk, second.desk))
    assert watch.kinds(3.0, Reading("wiped", "cloud", 1)) == []
    assert [incident.opened_s for incident in watch.desk.active] == [1.0]
    watch.judge(4.0, Reading("wiped", "cloud", 0))
    assert len(watch.judge(30.0, Reading("wiped", "cloud", 0))) == 1


def test_every_transition_leads_on_and_ends() -> None:
    reachable = {state for state, _ in TRANSITIONS.values()}
    assert reachable == set(IncidentState)
    assert not [state for state, _ in TRANSITIONS if state is IncidentState.RESOLVED], "what is over stays over"
    assert {signal for _, signal in TRANSITIONS} == set(Signal)


def test_rules_refuse_nonsense() -> None:
    for values in ({"threshold": -1}, {"enabled": "yes"}, {"severity": "loud"}, {"name": "x"}, {"clear_at": 31.0}):
        with pytest.raises(ConfigurationError):
            changed_rule(RULES["lag"], values)
    with pytest.raises(ConfigurationError):
        changed_rule(RULES["certificate"], {"clear_at": 13.0})
    with pytest.raises(ConfigurationError):
        changed_rule(RULES["store_down"], {"threshold": 2.0})
    assert changed_rule(RULES["lag"], {"threshold": 60}).clears_at == 30.0


def test_a_change_of_another_version_counts_as_none() -> None:
    desk = Desk(changes={"lag": RuleChange({"colour": "red"}, "ana", 1.0), "gone": RuleChange({}, "ana", 1.0)})
    assert desk.rules({"lag": {"threshold": 90.0}})["lag"].threshold == 90.0


# -- the outbox


def message(number: int = 1, kind: Kind = Kind.ALERT, made_s: float = 0.0) -> Message:
    return Message(f"m{number}-{kind}", kind, Severity.CRITICAL, "title", "body", made_s, f"m{number}")


def test_a_recovery_waits_for_its_alert_and_for_no_other() -> None:
    alert, recovery, other = message(), message(kind=Kind.RECOVERY, made_s=5.0), message(2, made_s=6.0)
    alert = addressed(alert, ["a", "b"], 0.0)
    alert = with_delivery(alert, "a", settled(claimed(Delivery(), 0.0), "refused", 0.0, 10.0))
    due = due_deliveries([alert, recovery, other], ["a", "b"], 11.0)
    assert [(each.id, name) for each, name in due] == [("m1-alert", "b"), ("m2-alert", "a"), ("m2-alert", "b")]
    later = due_deliveries([alert, recovery, other], ["a", "b"], 16.0)
    assert next((each.id, name) for each, name in later) == ("m1-alert", "a")


def test_a_claim_that_was_never_settled_is_sent_again_and_says_so() -> None:
    first = claimed(Delivery(), 0.0)
    assert not first.is_due(CLAIM_S - 1)
    assert first.is_due(CLAIM_S)
    assert claimed(first, CLAIM_S).repeated
    assert not claimed(settled(first, "refused", 0.0, 1.0), 20.0).repeated


def test_failures_are_tried_ever_less_often_and_given_up_after_a_day() -> None:
    delivery, now_s, pauses = Delivery(), 0.0, []
    while not delivery.is_over:
        delivery = settled(claimed(delivery, now_s), "refused", 0.0, now_s)
        pauses.append(delivery.next_s - now_s)
        now_s = max(delivery.next_s, now_s)
    assert pauses[:4] == [5.0, 10.0, 20.0, 40.0]
    assert max(pauses) == 900.0
    assert now_s > GIVEN_UP_S
    assert delivery.state is DeliveryState.GIVEN_UP


def test_other_receivers_get_what_nobody_got_and_only_that() -> None:
    sent = with_delivery(message(), "a", settled(claimed(Delivery(), 0.0), "", 0.0, 0.0))
    lost = addressed(message(2), ["a"], 0.0)
    assert [each.id for each, _ in due_deliveries([sent, lost], ["b"], 10.0)] == ["m2-alert"]
    assert due_deliveries([sent, lost], ["b"], 9999.0) == [], "too old to be told to somebody new"
    assert set(addressed(lost, ["a", "c"], 0.0).deliveries) == {"a"}


# -- the document

texts = st.sampled_from(["", "a", "b"])
times = st.sampled_from([0.0, 1.0, 2.5, 9.0])
deliveries = st.builds(Delivery, st.sampled_from(DeliveryState), st.integers(0, 3), times, times, texts, st.booleans())
messages = st.builds(
    Message,
    st.sampled_from(["m1", "m2"]), st.just(Kind.ALERT), st.just(Severity.WARNING), st.just("t"), st.just("b"),
    st.just(1.0), st.just("i1"), st.dictionaries(st.sampled_from(["x", "y"]), deliveries, max_size=2),
)  # fmt: skip
incidents = st.builds(
    Incident,
    st.sampled_from(["i1", "i2"]), st.just("lag"), st.just(""), st.just(Severity.WARNING),
    st.sampled_from(IncidentState), st.just(1.0), texts, st.just(0.0), st.booleans(), times, texts, times, times,
)  # fmt: skip
quiets = st.builds(Quiet, st.sampled_from(["q1", "q2"]), st.just(()), st.just(""), times, times, texts, texts)
changes = st.dictionaries(
    st.sampled_from(["lag", "wiped"]),
    st.builds(RuleChange, st.fixed_dictionaries({"clear_after_s": times}), texts, times),
)


def only(items: list[object]) -> tuple[object, ...]:
    return tuple({each.id: each for each in items}.values())  # type: ignore[attr-defined]


def as_one(first: Desk) -> Desk:
    """In the order in which merging puts it."""
    return merged_desk(first, first)


desks = st.builds(
    Desk,
    st.lists(incidents, max_size=3).map(only), st.lists(messages, max_size=3).map(only),
    st.lists(quiets, max_size=3).map(only), changes,
    st.builds(SummaryTime, st.sampled_from([None, 5, 600]), texts, times), st.sampled_from(["", "2026-01-01"]),
).map(as_one)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(desks, desks, desks)
def test_merging_forgets_nothing_in_any_order(first: Desk, second: Desk, third: Desk) -> None:
    both = merged_desk(first, second)
    assert both == merged_desk(second, first)
    assert merged_desk(both, second) == both
    assert merged_desk(both, third) == merged_desk(first, merged_desk(second, third))
    for copy in (first, second):
        assert {each.id for each in copy.incidents} <= {each.id for each in both.incidents}
        sent = {
            (each.id, name) for each in copy.messages for name, one in each.deliveries.items() if one.state == "sent"
        }
        assert all(
            {each.id: each for each in both.messages}[number].deliveries[name].state == "sent" for number, name in sent
        )


@settings(max_examples=15, deadline=None)
@given(desks)
def test_the_document_survives_a_store(desk: Desk) -> None:
    assert Desk.parse(desk.packed) == desk


@pytest.mark.parametrize("packed", [b"{}", b"[]", b"nonsense", b'{"incidents": 3}'])
def test_what_is_no_document_is_refused(packed: bytes) -> None:
    with pytest.raises(ValueError):
        Desk.parse(packed)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 20), st.sampled_from([0, 1, None]), st.booleans()), max_size=60))
def test_alerts_and_recoveries_alternate_whatever_happens(steps: list[tuple[int, float | None, bool]]) -> None:
    """Also when the agent is killed at any moment, and another one goes on from the document."""
    watch, now_s = Watch(), 0.0
    told: list[Kind] = []
    for pause_s, value, killed in steps:
        now_s += pause_s
        told += watch.kinds(now_s, down(value))
        if killed:
            watch = Watch(Desk.parse(watch.desk.packed))
    assert all(kind is (Kind.RECOVERY if number % 2 else Kind.ALERT) for number, kind in enumerate(told))
    assert bool(len(told) % 2) is bool(watch.desk.active)


def test_it_stays_small_and_keeps_what_is_open() -> None:
    watch = Watch(store_down={"raise_after_s": 0, "clear_after_s": 0})
    watch.judge(0.0, Reading("wiped", "local", 1))
    for turn in range(1, 150):
        watch.judge(turn * 2000.0, down(1))
        watch.judge(turn * 2000.0 + 1000.0, down(0))
    assert len(watch.desk.incidents) <= 62
    assert watch.desk.of("wiped", "local")
    assert len(watch.desk.packed) < 200_000


def test_the_summary_says_what_was_and_is() -> None:
    watch = Watch()
    watch.judge(1000.0, Reading("wiped", "cloud", 1, "lost"))
    found = summary_message(watch.desk, {"State": "degraded"}, "1970-01-01", 2000.0)
    assert found.title.endswith("[SUMMARY] 1970-01-01: 1 open")
    assert "State: degraded" in found.body
    assert "Store lost its data: cloud" in found.body


def test_rules_are_named_by_their_key() -> None:
    assert all(isinstance(rule, Rule) and rule.name == name for name, rule in RULES.items())
