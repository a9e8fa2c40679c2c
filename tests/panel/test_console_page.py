"""The page Console, on two real stores: answers, refusals, what asks first, roles, and the trail that it leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import streamlit as st
from servers import Pool, Stores, wait_until
from streamlit.testing.v1 import AppTest

from hybrid import HybridRedis
from hybrid.ops.console import Answer
from hybrid.types import Store
from panel import actions
from panel.access import Access, AccessConfig
from panel.console import actions as console
from panel.console import queries
from panel.console.queries import Run, Target
from panel.process import PanelProcess

OpenPage = Callable[..., AppTest]
TextOf = Callable[[AppTest], str]
PAGE = "admin/console.py"


@pytest.fixture(scope="module")
def client(server_pool: Pool) -> Iterator[HybridRedis]:
    stores = Stores(server_pool.get("valkey", "local"), server_pool.get("valkey", "cloud"))
    with HybridRedis.from_urls(stores.local.url, stores.cloud.url, sync_enabled=False) as opened:
        opened.start()
        assert opened.wait_in_sync(10)
        yield opened


@pytest.fixture
def page(
    client: HybridRedis, panel_process: PanelProcess, set_weather: Callable[[str], object], open_page: OpenPage
) -> Callable[..., AppTest]:
    """The page on real stores, as a person of this role."""
    set_weather("healthy")
    panel_process.agent = SimpleNamespace(client=client, inquire=lambda: None)  # type: ignore[assignment]
    return lambda role="operator": open_page(PAGE, role)


def send(at: AppTest, line: str, target: Target | None = None) -> AppTest:
    if target is not None:
        at.segmented_control(key="console-target").set_value(target).run()
    at.text_input(key="console-line").set_value(line)
    next(button for button in at.button if button.label == "Run").click().run()
    assert not at.exception
    return at


def codes(at: AppTest) -> list[str]:
    return [code.value for code in at.code]


def test_write_is_replicated_and_both_answers_stand_side_by_side(page: Callable[..., AppTest]) -> None:
    at = page()
    send(at, 'SET greeting "hello you"')
    assert codes(at) == ['SET greeting "hello you"', "OK"]
    send(at, "GET greeting", Target.EACH)
    assert codes(at)[:3] == ["GET greeting", '"hello you"', '"hello you"']
    assert at.query_params["target"] in ("each", ["each"])


def test_differing_answers_are_told(page: Callable[..., AppTest], text_of: TextOf, client: HybridRedis) -> None:
    at = page()
    at.segmented_control(key="console-target").set_value(Target.CLOUD).run()
    at.toggle(key="console-past").set_value(True).run()
    assert "goes past hybrid" in text_of(at)
    send(at, "SET only:cloud 1")
    send(at, "GET only:cloud", Target.EACH)
    assert codes(at)[1:3] == ["(nil)", '"1"']
    assert "The answers differ" in text_of(at)


def test_write_past_hybrid_is_refused_with_the_reason(page: Callable[..., AppTest], client: HybridRedis) -> None:
    at = send(page(), "SET alone 1", Target.LOCAL)
    assert "the other store would not learn of it" in at.warning[0].value
    assert client.get("alone") is None


def test_malformed_line_is_one_sentence(page: Callable[..., AppTest]) -> None:
    assert send(page(), 'GET "x').warning[0].value.startswith("The quote at character 5 is never closed")


def test_dangerous_command_waits_for_the_typed_phrase(page: Callable[..., AppTest], client: HybridRedis) -> None:
    client.set("stays", 1)
    at = send(page(), "FLUSHALL")
    (dialog,) = at.get("dialog")
    assert "deletes every key" in dialog.warning[0].value
    assert dialog.button[0].disabled
    assert client.exists("stays")


def test_viewer_reads_and_writes_nothing(page: Callable[..., AppTest], client: HybridRedis, text_of: TextOf) -> None:
    client.set("seen", "yes")
    at = page("viewer")
    assert codes(send(at, "GET seen"))[1] == '"yes"'
    assert "takes an operator" in send(at, "SET seen no").warning[0].value
    assert client.get("seen") in ("yes", b"yes")


def test_read_only_panel_says_so_to_everybody(
    page: Callable[..., AppTest], panel_process: PanelProcess, client: HybridRedis, text_of: TextOf
) -> None:
    client.set("seen", "yes")
    panel_process.access = Access(AccessConfig("127.0.0.1", read_only=True))
    at = send(page("operator"), "SET seen no")
    assert at.warning[0].value.startswith("SET is refused: the panel is read-only")
    assert "takes an operator" not in text_of(at)
    assert codes(send(at, "GET seen"))[1] == '"yes"'


def test_action_itself_checks_the_role(
    page: Callable[..., AppTest], client: HybridRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    state: dict[Any, Any] = {}
    monkeypatch.setattr(st, "user", {"name": "o", "role": "operator"})
    line = console.planned(state, "SET seen no", Target.CLIENT, False)
    assert line is not None
    monkeypatch.setattr(st, "user", {"name": "v", "role": "viewer"})
    with pytest.raises(actions.NotAllowed):
        console.run_line(state, line, "SET seen no")


def test_change_is_in_the_audit_trail_without_passwords_and_a_read_is_not(
    page: Callable[..., AppTest], panel_process: PanelProcess
) -> None:
    at = page()
    send(at, "SET audited 1")
    send(at, "GET audited")
    at.segmented_control(key="console-target").set_value(Target.LOCAL).run()
    at.toggle(key="console-past").set_value(True).run()
    assert panel_process.control is not None
    whats = [(entry.author, entry.what, *entry.changes) for entry in panel_process.control.audit(5)]
    assert ("tester", "console, client", "SET audited 1") in whats
    assert not any("GET audited" in what for what in whats)
    state: dict[Any, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(st, "user", {"name": "tester", "role": "operator"})
        line = console.planned(state, "CONFIG SET masterauth hush", Target.LOCAL, True)
        assert line is not None
        console.run_line(state, line, "CONFIG SET masterauth hush")
    assert "hush" not in repr(panel_process.control.audit(5)) + repr(queries.runs(state)) + repr(
        queries.earlier_lines("tester")
    )


def test_earlier_lines_outlive_the_session_and_can_be_chosen(page: Callable[..., AppTest]) -> None:
    send(page(), "GET greeting")
    at = page()
    assert at.selectbox(key="console-find").options[0] == "GET greeting (earlier)"
    at.selectbox(key="console-find").set_value(("line", "GET greeting")).run()
    assert at.text_input(key="console-line").value == "GET greeting"


def test_a_line_that_was_run_stands_beside_how_its_command_is_written(
    page: Callable[..., AppTest], text_of: TextOf
) -> None:
    at = send(page(), "LLEN one two")
    wait_until(lambda: "`LLEN key`" in text_of(at.run()), "what the store tells")


def test_again_runs_the_line_where_the_choice_says(page: Callable[..., AppTest]) -> None:
    at = send(page(), "DBSIZE")
    at.button(key="again-1").click().run()
    assert codes(at)[0] == codes(at)[2] == "DBSIZE"


def test_an_open_tab_stays_small() -> None:
    state: dict[Any, Any] = {}
    answer = queries.Answer(None, ("x" * 900_000,), False, False, 1.0)
    for number in range(5):
        queries.keep_run(state, Run(number, "GET x", "GET x", Target.CLIENT, (answer,)))
    assert [run.number for run in queries.runs(state)] == [4, 3]


def test_long_answer_comes_in_pages(page: Callable[..., AppTest], client: HybridRedis) -> None:
    client.rpush("long", *range(500))
    at = send(page(), "LRANGE long 0 499")
    assert len(codes(at)[1].splitlines()) == 200
    assert at.get("download_button")


def test_unreachable_client_is_said(
    panel_process: PanelProcess, set_weather: Callable[[str], object], open_page: OpenPage
) -> None:
    set_weather("healthy")
    panel_process.agent = None
    assert "not running" in send(open_page(PAGE), "PING").warning[0].value


def test_only_answers_are_compared() -> None:
    there = Answer(Store.CLOUD, ("(error) no answer in time",), cut=False, failed=True, took_ms=5000.0, silent=True)
    here = Answer(Store.LOCAL, ("v",), cut=False, failed=False, took_ms=1.0)
    assert Run(1, "GET k", "GET k", Target.EACH, (here, there)).agree is None
    assert Run(1, "GET k", "GET k", Target.EACH, (here, replace(there, silent=False))).agree is False


def test_a_set_in_another_order_is_not_told_as_different() -> None:
    """No store promises an order for the members of a set; what is cut may lack other ones."""
    here = Answer(Store.LOCAL, ('1) "a"', '2) "b"'), cut=False, failed=False, took_ms=1.0)
    there = Answer(Store.CLOUD, ('1) "b"', '2) "a"'), cut=False, failed=False, took_ms=1.0)
    assert Run(1, "SMEMBERS k", "SMEMBERS k", Target.EACH, (here, there)).reordered
    for other in (replace(there, cut=True), replace(there, lines=('1) "b"', '2) "c"')), replace(there, silent=True)):
        assert not Run(1, "SMEMBERS k", "SMEMBERS k", Target.EACH, (here, other)).reordered


def test_what_is_cut_is_not_told_as_different(
    page: Callable[..., AppTest], client: HybridRedis, text_of: TextOf
) -> None:
    """Only what is shown was compared, and a set shows any of its members."""
    members = [f"member:{number}" for number in range(6000)]
    client.sadd("wide", *members)
    with client.store(Store.CLOUD) as cloud:
        cloud.srem("wide", *members[:3000])
    assert client.wait_in_sync(10)
    text = text_of(send(page(), "SMEMBERS wide", Target.EACH))
    assert "What is shown differs" in text and "The answers differ" not in text
