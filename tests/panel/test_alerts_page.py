"""The page Alerts: what fires and what can be done about it, what was sent, rules, the event log."""

from __future__ import annotations

import time
import types
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from hybrid.core.alert_desk import Desk, Incident, IncidentState, Quiet
from hybrid.core.alert_rules import Severity
from hybrid.core.outbox import Delivery, DeliveryState, Kind, Message
from hybrid.ops.overview import Overview
from hybrid.types import Store
from panel import actions as panel_actions
from panel import i18n
from panel.alerts import actions, queries, rulesview
from panel.process import PanelProcess
from panel.reads import Known, Unknown

OpenPage = Callable[..., AppTest]
TextOf = Callable[[AppTest], str]
PAGE = "watch/alerts.py"
NOW = time.time()
OPEN = Incident(
    "0a1b2c3d", "store_down", "cloud", Severity.CRITICAL, IncidentState.OPEN, NOW - 60, "timed out", told=True
)
OVER = Incident(
    "99999999", "lag", "", Severity.WARNING, IncidentState.RESOLVED, NOW - 900, "31 s behind", resolved_s=NOW - 600
)
FAILED = Message(
    "0a1b2c3d-alert", Kind.ALERT, Severity.CRITICAL, "Store down: cloud", "", NOW - 60, "0a1b2c3d",
    {
        "json-1f3a": Delivery(DeliveryState.FAILED, 3, NOW - 5, NOW + 20, "error=500"),
        "mailto-77aa": Delivery(DeliveryState.SENT, 1, NOW - 59),
    },
)  # fmt: skip


class FakeStore:
    """Takes edits, or has no store to put them."""

    def __init__(self) -> None:
        self.desk = Desk()
        self.kept: tuple[Store, ...] = (Store.LOCAL,)

    def edit(self, change: Callable[[Desk], Desk]) -> tuple[Store, ...]:
        if self.kept:
            self.desk = change(self.desk)
        return self.kept


@pytest.fixture
def store(panel_process: PanelProcess, set_weather: Callable[[str], Overview | None]) -> FakeStore:
    set_weather("healthy")
    store = FakeStore()
    agent: Any = panel_process.agent
    agent.alerts, agent.is_active = types.SimpleNamespace(store=store), True
    return store


def open_view(open_page: OpenPage, name: str, role: str = "operator") -> AppTest:
    at = open_page(PAGE, role=role)
    if name != "incidents":
        at.segmented_control(key="view").set_value(name).run()
    assert not at.exception
    return at


def test_nothing_fires_and_nobody_is_told(store: FakeStore, open_page: OpenPage, text_of: TextOf) -> None:
    text = text_of(open_view(open_page, "incidents"))
    assert "Nothing fires." in text
    assert "HYBRID_ALERT_URLS" in text


def test_what_fires_is_acknowledged_and_silenced(
    store: FakeStore, open_page: OpenPage, text_of: TextOf, panel_process: PanelProcess
) -> None:
    store.desk = Desk(incidents=(OVER, OPEN), messages=(FAILED,))
    at = open_view(open_page, "incidents")
    assert at.error[0].value == "1 incident is open."
    assert "json-1f3a did not take a message: error=500" in at.warning[0].value
    assert "Store down: cloud" in text_of(at) and "Timed out." in text_of(at)
    at.button(key="ack-0a1b2c3d").click().run()
    assert [toast.value for toast in at.toast] == ["Acknowledged: no more reminders."]
    assert store.desk.active[0].acknowledged_by == "tester"
    assert "tester takes care of it" in text_of(at)
    assert at.button(key="ack-0a1b2c3d").disabled
    at.button(key="silence-0a1b2c3d").click().run()
    [quiet] = store.desk.quiets
    assert (quiet.rules, quiet.subject, round(quiet.until_s - quiet.from_s)) == (("store_down",), "cloud", 3600)
    assert at.run().button(key="silence-0a1b2c3d").disabled
    at.button(key=f"end-{quiet.id}").click().run()
    assert not at.button(key="silence-0a1b2c3d").disabled
    assert store.desk.quiets[0].until_s <= time.time()
    lines: Any = panel_process.agent
    assert [line.what.split()[1] for line in lines.client.lines] == ["ended", "silenced", "acknowledged"]


def test_the_first_page_does_not_say_that_all_is_fine_while_something_fires(
    store: FakeStore, open_page: OpenPage, text_of: TextOf, set_weather: Callable[[str], object]
) -> None:
    """Nothing could be written, both stores answered, and the first page was green."""
    set_weather("healthy")
    nobody = replace(OPEN, rule="no_shipper", subject="", text="no process ships the log")
    store.desk = Desk(incidents=(nobody,))
    text = text_of(open_page())
    assert "1 incident is open: Nobody ships the log." in text and "Everything is fine" not in text
    assert "Start an agent" in text
    store.desk = Desk(incidents=(replace(nobody, rule="budget_near", severity=Severity.WARNING),))
    text = text_of(open_page())
    assert "Everything is fine" not in text and "1 incident is open: Cloud cost near its budget." in text
    for calm in (OPEN, replace(nobody, state=IncidentState.ACKNOWLEDGED)):
        store.desk = Desk(incidents=(calm,))
        assert "incident is open" not in text_of(open_page())


def test_maintenance_is_planned(store: FakeStore, open_page: OpenPage, text_of: TextOf) -> None:
    at = open_view(open_page, "incidents")
    at.segmented_control(key="quiet-kind").set_value(True).run()
    at.selectbox(key="quiet-store").set_value("cloud")
    at.selectbox(key="quiet-for").set_value("4 h")
    at.text_input(key="quiet-reason").set_value("new disk").run()
    at.button(key="quiet-go").click().run()
    [quiet] = store.desk.quiets
    assert quiet.maintenance and quiet.from_s > time.time()
    assert (quiet.subject, quiet.reason, quiet.until_s - quiet.from_s) == ("cloud", "new disk", 4 * 3600)
    assert "**Maintenance**: everything (cloud)" in text_of(at.run())


def test_what_was_sent_and_why_not(store: FakeStore, open_page: OpenPage) -> None:
    store.desk = Desk(incidents=(OPEN,), messages=(FAILED,))
    table = open_view(open_page, "sent").dataframe[0].value
    assert list(table["Receiver"]) == ["json-1f3a", "mailto-77aa"]
    assert list(table["Result"]) == ["failed, tried again", "sent"]
    assert list(table["Why it failed"]) == ["error=500", ""]


def test_a_test_alert_is_put_into_the_outbox(store: FakeStore, open_page: OpenPage) -> None:
    at = open_view(open_page, "sent")
    at.button(key="send-test").click().run()
    assert [message.kind for message in store.desk.messages] == [Kind.TEST]


def test_no_store_takes_it(store: FakeStore, open_page: OpenPage) -> None:
    store.kept = ()
    at = open_view(open_page, "incidents")
    at.button(key="send-test").click().run()
    assert [toast.value for toast in at.toast] == ["Nothing was changed: no store takes the change now"]


def test_edited_rows_become_changes_and_can_be_reset(store: FakeStore, open_page: OpenPage) -> None:
    at = open_view(open_page, "rules")
    assert at.button(key="rules-apply").disabled
    found = queries.snapshot()
    assert found is not None
    rows = [rulesview._rule_row(row.rule) for row in found.rules]
    names = [row.rule.name for row in found.rules]
    assert rulesview.changed_values(found, rows) == {}
    rows[names.index("lag")] |= {"threshold": 60.0, "remind_after_h": 1.0}
    rows[names.index("memory")] |= {"threshold": 95.0, "enabled": False}
    changes = rulesview.changed_values(found, rows)
    assert changes == {
        "lag": {"threshold": 60.0, "remind_after_s": 3600.0},
        "memory": {"threshold": 0.95, "enabled": False},
    }


def test_numbers_of_rules_are_written_as_the_browser_does() -> None:
    kinds = [column["type_config"] for column in rulesview._columns().values()]
    numbers = [kind for kind in kinds if kind["type"] == "number"]
    assert len(numbers) == 5 and {kind["format"] for kind in numbers} == {"localized"}


def test_rules_are_applied_all_or_none(
    store: FakeStore, open_page: OpenPage, monkeypatch: pytest.MonkeyPatch, panel_process: PanelProcess
) -> None:
    monkeypatch.setattr(st, "user", {"name": "ana", "role": "operator"})
    refused = actions.change_rules({"memory": {"threshold": 0.5}, "lag": {"clear_at": 99.0}})
    assert not refused.done and "it must clear at or below its threshold" in refused.sentence
    assert store.desk.changes == {}
    assert actions.change_rules({"lag": {"threshold": 60.0}}).done
    assert store.desk.changes["lag"].author == "ana"
    at = open_view(open_page, "rules")
    at.button(key="reset-lag").click().run()
    assert store.desk.rules()["lag"].threshold == 30.0


def test_the_daily_summary_is_switched_on(store: FakeStore, open_page: OpenPage) -> None:
    at = open_view(open_page, "rules")
    at.toggle(key="summary-on-None").set_value(True).run()
    at.button(key="summary-save").click().run()
    assert store.desk.summary.minute == 480


ROWS: list[queries.EventRow] = [
    {
        "at_s": NOW - 9,
        "process": "web:1",
        "event": "StoreDown",
        "level": "warning",
        "message": "cloud store unavailable",
    },
    {"at_s": NOW - 5, "process": "web:2", "event": "Recovered", "level": "info", "message": "cloud store recovered"},
    {"at_s": NOW - 2, "process": "web:2", "event": "ShipperStarted", "level": "debug", "message": "this one ships"},
]


def test_the_event_log_is_filtered(store: FakeStore, open_page: OpenPage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "measured", lambda span_s: Known(None, NOW))
    monkeypatch.setattr(queries, "event_rows", lambda found: ROWS)
    at = open_view(open_page, "events")
    assert list(at.dataframe[0].value["Event"]) == ["Recovered", "StoreDown"], (
        "newest first, and nothing for developers"
    )
    at.multiselect(key="event-process").set_value(["web:1"]).run()
    assert list(at.dataframe[0].value["Event"]) == ["StoreDown"]
    assert at.get_by_key("csv-events") is not None
    at.text_input(key="text").set_value("recovered").run()
    assert not at.dataframe


def test_the_filters_of_the_event_log_are_in_the_address(
    store: FakeStore, open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "measured", lambda span_s: Known(None, NOW))
    monkeypatch.setattr(queries, "event_rows", lambda found: ROWS)
    asked = {"view": "events", "level": "warning,debug", "process": "web:2", "text": "ships"}
    at = open_page(PAGE, query=asked)
    assert list(at.dataframe[0].value["Event"]) == ["ShipperStarted"]
    at.button_group(key="event-level").set_value([]).run()
    at.multiselect(key="event-kind").set_value(["Recovered"])
    at.text_input(key="text").set_value("").run()
    assert list(at.dataframe[0].value["Event"]) == ["Recovered"]
    assert (at.query_params["level"], at.query_params["event"]) == ("all", "Recovered")
    at.query_params["level"] = "warning"
    assert at.run().session_state["event-level"] == ["warning"]
    assert list(open_page(PAGE, query={"view": "events", "level": "all"}).dataframe[0].value["Level"]) == [
        "detail", "information", "warning",
    ]  # fmt: skip


def test_levels_of_events_are_in_the_readers_language(
    store: FakeStore, open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(i18n, "language", lambda: "pt_BR")
    monkeypatch.setattr(queries, "measured", lambda span_s: Known(None, NOW))
    monkeypatch.setattr(queries, "event_rows", lambda found: ROWS)
    at = open_view(open_page, "events")
    assert list(at.dataframe[0].value["Nível"]) == ["informação", "aviso"]
    levels = at.button_group(key="event-level")  # all of them in sight: a list showed one of four on a phone
    assert levels.options == ["detalhe", "informação", "aviso", "erro", "crítico"]


def test_a_silence_names_its_store_as_the_reader_does(
    store: FakeStore, open_page: OpenPage, text_of: TextOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(i18n, "language", lambda: "pt_BR")
    store.desk = Desk(quiets=(Quiet("3f2a", ("lag",), "cloud", NOW, NOW + 3600, "ana", ""),))
    at = open_view(open_page, "incidents")
    assert "Replicação atrasada (nuvem)" in text_of(at)
    assert at.selectbox(key="quiet-store").options == ["ambos", "local", "nuvem"]


def test_the_event_log_without_the_local_store(
    store: FakeStore, open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "measured", lambda span_s: Unknown("The local store does not answer.", NOW))
    assert "The local store does not answer." in open_view(open_page, "events").warning[0].value


def test_viewers_look_and_change_nothing(
    store: FakeStore, open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.desk = Desk(incidents=(OPEN,))
    at = open_view(open_page, "incidents", role="viewer")
    assert all(at.button(key=key).disabled for key in ("ack-0a1b2c3d", "silence-0a1b2c3d", "quiet-go", "send-test"))
    rules = open_view(open_page, "rules", role="viewer")
    assert rules.toggle(key="summary-on-None").disabled and rules.button(key="summary-save").disabled
    monkeypatch.setattr(st, "user", {"name": "v", "role": "viewer"})
    with pytest.raises(panel_actions.NotAllowed):
        actions.acknowledge("0a1b2c3d")
    assert store.desk.active[0].state is IncidentState.OPEN
