"""The page Insights: what is not offered or not known is said, never shown as empty; only operators start work."""

from __future__ import annotations

import time
import types
from collections.abc import Callable
from typing import Any

import pytest
import redis
import streamlit as st
from servers import client, wait_until
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Block, Node

from hybrid.ops.insights import Channel, ClientRow, CommandUse, NotOffered, ServerInsights, SlowCall
from hybrid.ops.keyspace import NO_PREFIX, Keyspace, KeyUse, NamespaceUse, ScanLimits
from hybrid.ops.listen import HotKey, ListenLimits, MonitorLine
from hybrid.ops.overview import Overview
from hybrid.ops.server_info import info_fields
from hybrid.stores.ports import free_port
from hybrid.types import Store
from panel import i18n
from panel import queries as panel_queries
from panel.actions import NotAllowed
from panel.insights import actions, keysview, queries, view
from panel.insights.queries import Heard
from panel.process import PanelProcess
from panel.reads import Known, Unknown

OpenPage = Callable[..., AppTest]
TextOf = Callable[[AppTest], str]
SetWeather = Callable[[str], Overview | None]
PAGE = "data/insights.py"
NOW = time.time()

LOCAL = ServerInsights(
    Store.LOCAL, NOW,
    (SlowCall(1, NOW, 15.2, "KEYS *", "till"),), 10.0,
    (CommandUse("GET", 900, 1.8, 2.0, 1.0, 7.0, 0, 0),),
    (ClientRow(7, "till", "10.9.8.7:5000", "default", "redis-py", 60, 1, 0, "GET", "normal", 0, 2000),),
    info_fields(
        b"# Server\r\nredis_version:8.2\r\n\r\n# Clients\r\nconnected_clients:3\r\nmaxclients:10000\r\n# Stats\r\n"
        b"slave0:ip=10.9.8.7,port=1\r\n"
        b"keyspace_hits:9\r\nkeyspace_misses:1\r\nevicted_keys:4\r\n# Persistence\r\nrdb_last_bgsave_status:err\r\n"
    ),
    (Channel("news", 2),),
)  # fmt: skip
REFUSED = NotOffered("SLOWLOG", "This store does not offer SLOWLOG.")
CLOUD = ServerInsights(Store.CLOUD, NOW, REFUSED, None, REFUSED, (), info_fields(b"redis_version:7.2\r\n"), ())
SCANNED = Keyspace(
    Store.LOCAL, NOW, 1.0, "finished", 402, 402, 50, 160,
    (KeyUse("queue", "list", 12_000, 2000, None, None), KeyUse("heat", "TSDB-TYPE", 4_000, None, None, None)),
    NotOffered("OBJECT FREQ", "This store does not count how often a key is used."),
    (NamespaceUse("session", 300, 40, 90_000), NamespaceUse("cart", 102, 10, None)),
    (0, 30, 0, 0, 0, 0, 20),
)  # fmt: skip


@pytest.fixture
def healthy(set_weather: SetWeather, monkeypatch: pytest.MonkeyPatch) -> None:
    set_weather("healthy")
    answers = {Store.LOCAL: Known(LOCAL, NOW), Store.CLOUD: Known(CLOUD, NOW)}
    monkeypatch.setattr(queries, "server", answers.__getitem__)


def opened(open_page: OpenPage, view: str, role: str = "operator") -> AppTest:
    at = open_page(PAGE, role)
    at.segmented_control(key="insights-view").set_value(view).run()
    assert not at.exception
    return at


def frames(at: AppTest) -> list[Any]:
    return [frame.value for frame in at.dataframe]


@pytest.mark.usefixtures("healthy")
def test_slow_log_and_commands_with_what_the_cloud_does_not_offer(open_page: OpenPage, text_of: TextOf) -> None:
    at = open_page(PAGE)
    assert not at.exception
    slow, used = frames(at)
    assert slow["Command"].tolist() == ["KEYS *"]
    assert used["Calls"].tolist() == [900] and used["Share of time"].tolist() == [100.0]
    assert text_of(at).count("This store does not offer SLOWLOG.") == 2
    assert "Asking the cloud store costs" not in text_of(at)


@pytest.mark.usefixtures("healthy")
def test_a_slow_log_is_emptied_from_the_line_of_its_title(open_page: OpenPage) -> None:
    line = line_of(open_page(PAGE).main, "slow-empty-local")
    assert [child.key for child in line if child.type in ("button", "download_button")] == [
        "slow-empty-local", "csv-slow-local",
    ]  # fmt: skip
    assert "markdown" not in [child.type for child in line], "a text that does not give way pushes buttons off the line"


def line_of(block: Block, key: str) -> list[Node]:
    """What stands beside the button of this key."""
    children = list(block.children.values())
    if any(child.type == "button" and child.key == key for child in children):
        return children
    return next(filter(None, (line_of(child, key) for child in children if isinstance(child, Block))), [])


@pytest.mark.usefixtures("healthy")
def test_what_the_cloud_bills_is_said_before(
    open_page: OpenPage, text_of: TextOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "is_billed", lambda store: store is Store.CLOUD)
    assert "Asking the cloud store costs at most 8 commands" in text_of(open_page(PAGE))
    assert "At most 5,049 commands, about $0.01" in text_of(opened(open_page, "keys"))
    at = opened(open_page, "live")
    at.segmented_control(key="channel-store").set_value(Store.CLOUD).run()
    assert "bills every message" in at.warning[0].value


@pytest.mark.usefixtures("healthy")
def test_how_each_server_fares_and_all_that_it_says(open_page: OpenPage, text_of: TextOf) -> None:
    at = opened(open_page, "server")
    shown = {(metric.label, metric.value) for metric in at.metric}
    assert {("Hit rate", "90.0%"), ("Evicted", "4"), ("Clients", "3")} <= shown
    assert ("Evicted", ":gray[unknown]") in shown, "what the cloud store does not say is no zero"
    assert "The last snapshot failed" in text_of(at)
    assert "Persistence unknown" in text_of(at)
    [table] = frames(at)
    versions = table[table["Field"] == "redis_version"][["Section", "Local", "Cloud"]].to_numpy().tolist()
    assert versions == [["Server", "8.2", ""], ["", "", "7.2"]]
    assert "10.9.8.7" in str(table["Local"].tolist())
    assert "10.9.8.7" not in str(frames(opened(open_page, "server", "viewer"))[0]["Local"].tolist())


@pytest.mark.usefixtures("healthy")
def test_addresses_of_clients_are_for_operators(open_page: OpenPage) -> None:
    assert frames(opened(open_page, "clients"))[0]["Address"].tolist() == ["10.9.8.7:5000"]
    assert frames(opened(open_page, "clients", "viewer"))[0]["Address"].tolist() == ["10.9.*.*"]


@pytest.mark.usefixtures("healthy")
@pytest.mark.parametrize(("role", "address"), [("operator", "10.9.8.7:5000"), ("viewer", "10.9.*.*")])
def test_clients_are_downloaded_as_numbers(
    open_page: OpenPage, monkeypatch: pytest.MonkeyPatch, role: str, address: str
) -> None:
    taken: dict[str, Any] = {}
    monkeypatch.setattr(view, "csv_button", lambda rows, name, title: taken.update({name: list(rows)}))
    opened(open_page, "clients", role)
    (row,) = taken["clients-local"]
    assert (row["address"], row["memory_bytes"], row["age_s"]) == (address, 2000, 60)


def test_a_store_that_does_not_answer_is_unknown_and_not_empty(
    set_weather: SetWeather, open_page: OpenPage, text_of: TextOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_weather("cloud down")
    down: Unknown[ServerInsights] = Unknown("The cloud store does not answer (TimeoutError).", NOW)
    answers = {Store.LOCAL: Known(LOCAL, NOW), Store.CLOUD: down}
    monkeypatch.setattr(queries, "server", answers.__getitem__)
    at = open_page(PAGE)
    assert not at.exception
    assert len(frames(at)) == 2
    assert text_of(at).count("The cloud store does not answer (TimeoutError).") == 2


@pytest.mark.usefixtures("healthy")
def test_keyspace_says_the_cost_before_and_shows_a_scan(
    open_page: OpenPage, text_of: TextOf, panel_process: PanelProcess
) -> None:
    job = panel_process.jobs.start(queries.SCAN_JOBS[Store.LOCAL], lambda job: SCANNED)
    assert job.wait(5)
    at = opened(open_page, "keys")
    text = text_of(at)
    assert "402 of 402 keys, 50 measured" in text
    assert "not scanned since the panel was started" in text
    assert "At most 5,049 commands. This store does not bill them." in text
    biggest, spaces = frames(at)
    assert biggest["Key"].tolist() == ["queue", "heat"] and biggest["Expires in"].tolist() == ["never", "never"]
    assert biggest["Type"].tolist() == ["list", "time series"]
    assert spaces["Memory"].tolist() == ["87.9 KB", "unknown"]
    assert "does not count how often" in text and "352 keys were not measured: a bigger one may be" in text
    at.selectbox(key="measure-local").set_value(1000).run()
    assert "At most 3,105 commands" in text_of(at)


@pytest.mark.usefixtures("healthy")
def test_monitor_shows_what_was_heard(open_page: OpenPage, text_of: TextOf, panel_process: PanelProcess) -> None:
    line = MonitorLine(NOW, 0, "10.9.8.7:5000", (b"GET", b"cart:1"))
    heard = Heard((line,), 1, (HotKey("cart:1", 1, 0),), "lines")
    assert panel_process.jobs.start(queries.MONITOR_JOB, lambda job: heard).wait(5)
    at = opened(open_page, "live")
    shown = frames(at)
    assert shown[0]["Command"].tolist() == ["GET cart:1"]
    assert shown[1]["Key"].tolist() == ["cart:1"]
    assert shown[2]["Channel"].tolist() == ["news"]
    assert "the limit of lines was reached" in text_of(at)
    assert "never monitored" in text_of(at)


@pytest.mark.usefixtures("healthy")
def test_viewer_starts_nothing(open_page: OpenPage, monkeypatch: pytest.MonkeyPatch) -> None:
    assert opened(open_page, "keys", "viewer").button(key="start-scan-local").disabled
    live = opened(open_page, "live", "viewer")
    assert live.button(key="start-monitor").disabled and live.button(key="start-subscription").disabled
    monkeypatch.setattr("streamlit.user", {"name": "v", "role": "viewer"})
    for start in (
        lambda: actions.start_scan(Store.LOCAL, ScanLimits()),
        lambda: actions.start_monitor(ListenLimits(), with_own=False),
        lambda: actions.start_subscription(Store.LOCAL, "*", ListenLimits()),
        lambda: actions.post("news", "hello"),
    ):
        with pytest.raises(NotAllowed):
            start()
    assert not panel_queries.jobs()


@pytest.mark.usefixtures("as_operator")
def test_a_posted_message_is_heard(real_panel: types.SimpleNamespace) -> None:
    with real_panel.agent.client.pubsub(ignore_subscribe_messages=True) as listening:
        listening.subscribe("news")
        wait_until(lambda: actions.post(" news ", "hello").sentence == "1 subscriber heard it.", "the subscription")
        wait_until(lambda: (listening.get_message(timeout=0.1) or {}).get("data") == "hello", "the message")
    assert real_panel.agent.client.live.audit.history(1)[0].what == "message posted to news"
    assert not actions.post("  ", "hello").done


@pytest.mark.usefixtures("as_operator")
def test_what_is_heard_is_shown_while_more_is_awaited(real_panel: types.SimpleNamespace) -> None:
    """Beyond the first twenty lines nothing was shown before the two hundredth, or the end."""
    application = real_panel.agent.client
    actions.start_subscription(Store.LOCAL, "news", ListenLimits(20.0, 1000))
    [job] = panel_queries.jobs(queries.SUBSCRIBE_JOB)
    wait_until(lambda: application.publish("news", "first"), "the subscription")
    for number in range(30):
        application.publish("news", f"{number}")
    wait_until(lambda: (heard := job.noted("heard")) and heard.lines[-1].text == "29", "the last message")
    assert job.running
    job.cancel.set()
    assert job.wait(10)


@pytest.mark.usefixtures("as_operator")
def test_a_client_is_disconnected_and_the_slow_log_emptied(
    real_panel: types.SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = real_panel.agent.client.settings.cloud_url
    with client(url, client_name="stuck") as stuck, client(url) as other:
        stuck.ping()
        other.config_set("slowlog-log-slower-than", 0)
        [row] = [each for each in other.client_list() if each["name"] == "stuck"]
        found = actions.cut_off(Store.CLOUD, int(row["id"]), row["addr"])
        assert (found.done, found.sentence) == (True, f"{row['addr']} is disconnected.")
        assert "stuck" not in [each["name"] for each in other.client_list()]
        assert "had gone already" in actions.cut_off(Store.CLOUD, int(row["id"]), row["addr"]).sentence
        other.config_set("slowlog-log-slower-than", 10_000_000)
        assert other.slowlog_len() > 0
        assert actions.forget_slow_calls(Store.CLOUD).done
        assert other.slowlog_len() == 0
        other.config_set("slowlog-log-slower-than", 10_000)
    said = [entry.what for entry in panel_queries.audit() or ()]
    assert f"client {row['addr']} of the cloud store disconnected" in said
    assert "slow log of the cloud store emptied" in said
    monkeypatch.setattr(st, "user", {"name": "guest", "role": "viewer"})
    with pytest.raises(NotAllowed):
        actions.cut_off(Store.CLOUD, 1, "nobody")


@pytest.mark.usefixtures("as_operator")
def test_that_a_store_is_lost_is_told_in_words(
    real_panel: types.SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(real_panel.agent.client, "store", lambda store: redis.Redis(port=free_port()))
    actions.start_scan(Store.CLOUD, ScanLimits())
    [job] = panel_queries.jobs(queries.SCAN_JOBS[Store.CLOUD])
    assert job.wait(10) and job.problem == "The cloud store was lost: connection refused."
    assert actions.forget_slow_calls(Store.CLOUD).sentence == "The cloud store was lost: connection refused."


@pytest.mark.usefixtures("healthy")
def test_a_view_has_an_address(open_page: OpenPage) -> None:
    at = opened(open_page, "clients")
    assert at.query_params["show"] in ("clients", ["clients"])
    at.segmented_control(key="insights-view").set_value("commands").run()
    assert "show" not in at.query_params


def test_keys_without_a_prefix_are_named_in_the_readers_language(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(i18n, "language", lambda: "pt_BR")
    rows = [keysview._space_row(NamespaceUse(name, 1, 64, 1), 64) for name in (NO_PREFIX, "cloud")]
    assert [row["Prefixo"] for row in rows] == ["(sem prefixo)", "cloud"]


def test_shares_are_rounded_in_what_is_downloaded_of_a_table() -> None:
    assert keysview._space_row(NamespaceUse("user:", 1, 64, 1), 3)["Share"] == 33.3
    assert view._use_row(CommandUse("GET", 900, 2.0, 2.0, 1.0, 7.0, 0, 0), 3.0)["Share of time"] == 66.7
