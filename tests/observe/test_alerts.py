"""The document of alerts on real stores, and messages to real receivers."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from receivers import HttpReceiver, SmtpReceiver
from servers import Pool, Stores, client, wait_until

from hybrid import HybridRedis, events
from hybrid.agent import Agent
from hybrid.core import outbox
from hybrid.core.alert_desk import Desk, IncidentState
from hybrid.core.alert_texts import trial_message
from hybrid.core.divergence import Divergence
from hybrid.core.outbox import DeliveryState, Kind
from hybrid.core.spending import CostSummary
from hybrid.errors import AllStoresDown, ConfigurationError
from hybrid.observe import alert_courier, alerts
from hybrid.observe.alert_readings import Facts, Refusals, certificate_days, pulses_of, readings_of
from hybrid.observe.alert_send import Sender, masked_reason, receiver_name
from hybrid.observe.alert_store import DeskStore
from hybrid.ops.alerts import AlertControl
from hybrid.replication import election
from hybrid.settings import Settings
from hybrid.types import NEW, Purpose, Store, StoreState


@pytest.fixture
def stores(server_pool: Pool) -> Stores:
    return Stores(server_pool.get("valkey", "local"), server_pool.get("valkey", "cloud"))


@pytest.fixture
def urls(stores: Stores) -> dict[str, Any]:
    patience = {"local_timeout_s": 2.0, "cloud_timeout_s": 2.0}
    return {"local_url": stores.local.url, "cloud_url": stores.cloud.url, **patience}


@pytest.fixture
def hybrid(urls: dict[str, Any]) -> Iterator[HybridRedis]:
    with HybridRedis.from_env(None, **urls) as opened:
        opened.start()
        wait_until(lambda: opened.status().cloud.state is StoreState.UP, "both stores are there")  # type: ignore[union-attr]
        yield opened


@pytest.fixture(scope="module")
def http() -> Iterator[HttpReceiver]:
    receiver = HttpReceiver()
    yield receiver
    receiver.close()


@pytest.fixture(scope="module")
def smtp() -> Iterator[SmtpReceiver]:
    receiver = SmtpReceiver()
    yield receiver
    receiver.close()


@pytest.fixture
def fresh(http: HttpReceiver, smtp: SmtpReceiver) -> tuple[HttpReceiver, SmtpReceiver]:
    http.got.clear()
    smtp.got.clear()
    http.broken, http.refused = False, 0
    return http, smtp


@pytest.fixture
def agent(
    urls: dict[str, Any], fresh: tuple[HttpReceiver, SmtpReceiver], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Agent]:
    monkeypatch.setattr(election, "RENEW_S", dict.fromkeys(Store, 0.05))
    monkeypatch.setattr(alerts, "TICK_S", 0.05)
    monkeypatch.setattr(alert_courier, "LOOK_S", 0.05)
    monkeypatch.setattr(outbox, "BACKOFF_S", (0.1, 0.2))
    receivers = tuple(receiver.url for receiver in fresh)
    with Agent.open(None, standing=True, alert_urls=receivers, **urls) as opened:
        opened.start()
        wait_until(lambda: opened.alerts and opened.alerts.may_send, "it is in office")
        yield opened


def desk_on(url: str) -> Desk:
    with client(url) as connection:
        return Desk.parse(connection.hget("hybrid:alerts", "desk"))


def trial(desk: Desk, number: int) -> Desk:
    return desk.with_message(replace(trial_message("ana", 1e9 + number), id=f"m{number}"))


# -- the document


def test_edits_of_many_processes_at_once_are_all_kept_on_both_stores(hybrid: HybridRedis, stores: Stores) -> None:
    copies = [DeskStore(hybrid._engine) for _ in range(4)]

    def edit(place: int, copy: DeskStore) -> None:
        for number in range(5):
            copy.edit(partial(trial, number=place * 10 + number))

    threads = [threading.Thread(target=edit, args=each) for each in enumerate(copies)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for copy in copies:
        copy.look(everywhere=True)
        copy.repair()
        copy.close()
    expected = {f"m{place * 10 + number}" for place in range(4) for number in range(5)}
    for url in (stores.local.url, stores.cloud.url):
        assert {message.id for message in desk_on(url).messages} == expected


def test_a_wiped_store_and_one_that_forgot_get_it_back(hybrid: HybridRedis, stores: Stores) -> None:
    store = DeskStore(hybrid._engine)
    assert store.edit(lambda desk: trial(desk, 1)) == (Store.LOCAL, Store.CLOUD)
    with client(stores.local.url) as local:
        old = local.dump("hybrid:alerts")
    store.edit(lambda desk: trial(desk, 2))
    for spoil in (lambda each: each.delete("hybrid:alerts"), lambda each: each.restore("hybrid:alerts", 0, old, True)):
        with client(stores.local.url) as local:
            spoil(local)
        store.look()
        store.repair()
        assert desk_on(stores.local.url) == store.desk
        assert len(store.desk.messages) == 2
    store.close()


def test_a_document_that_cannot_be_read_is_replaced(hybrid: HybridRedis, stores: Stores) -> None:
    with client(stores.local.url) as local:
        local.hset("hybrid:alerts", mapping={"mark": "x", "desk": "nonsense"})
    store = DeskStore(hybrid._engine)
    store.edit(lambda desk: trial(desk, 1))
    assert desk_on(stores.local.url) == desk_on(stores.cloud.url) == store.desk
    store.close()


def test_looking_costs_the_cloud_nothing(hybrid: HybridRedis) -> None:
    store = DeskStore(hybrid._engine)
    store.look(everywhere=True)
    before = hybrid._engine.endpoints[Store.CLOUD].meter.totals()[Purpose.HEALTH]
    for _ in range(50):
        store.look()
        store.repair()
    after = hybrid._engine.endpoints[Store.CLOUD].meter.totals()[Purpose.HEALTH]
    assert after[0] - before[0] <= 2, "at most a PING of the watcher's own"
    store.close()


# -- sending


def test_a_real_mail_and_a_real_post(fresh: tuple[HttpReceiver, SmtpReceiver]) -> None:
    http, smtp = fresh
    sender, message = Sender([http.url, smtp.url]), trial_message("ana", time.time())
    assert [sender.send(message, name) for name in sender.receivers] == ["", ""]
    assert http.titles() == smtp.subjects() == ["[TEST] Test alert"]
    assert http.got[0]["type"] == "info"
    assert smtp.got[0]["To"] == "ops@example.com"
    assert smtp.got[0]["Idempotency-Key"] == message.id
    assert "ana asked for it" in str(smtp.got[0].get_payload(decode=True))
    sender.send(message, sender.receivers[0], repeated=True)
    assert "may have arrived before" in http.got[1]["message"]


def test_failures_are_words_without_secrets(fresh: tuple[HttpReceiver, SmtpReceiver]) -> None:
    http, _ = fresh
    http.broken = True
    sender = Sender([http.url, "json://user:p4ssw0rd@127.0.0.1:1/t0ken-of-mine", "nonsense://x"])
    message = trial_message("ana", time.time())
    refused, closed, unknown = (sender.send(message, name) for name in sender.receivers)
    assert "500" in refused
    assert closed
    assert "does not understand" in unknown
    everything = f"{refused} {closed} {unknown} {sender!r} {sender.receivers}"
    assert not [word for word in ("hook-secret", "p4ssw0rd", "t0ken-of-mine", "127.0.0.1:1/") if word in everything]


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("failed for https://hooks.example/T0KEN/X9Y8Z7", "slack://T0KEN/X9Y8Z7"),
        ("login of ana@example.com with s3cr3t! failed", "mailto://ana:s3cr3t%21@example.com"),
        ("refused: key=abcdef", "json://host/?key=abcdef"),
    ],
)
def test_no_part_of_a_url_that_may_be_secret_is_shown(text: str, url: str) -> None:
    shown = masked_reason(text, url)
    assert not [word for word in ("T0KEN", "X9Y8Z7", "s3cr3t", "abcdef") if word in shown]
    assert "***" in shown


def test_the_lists_of_urls_may_hold_commas() -> None:
    text = "mailto://u:p@h?to=a@x.org,b@x.org, slack://t/o,json://h"
    found = Settings.from_env(None, {"HYBRID_ALERT_URLS": text}).alert_urls
    assert found == ("mailto://u:p@h?to=a@x.org,b@x.org", "slack://t/o", "json://h")
    assert len({receiver_name(url) for url in found}) == 3


# -- an agent


def test_an_incident_from_beginning_to_end(
    agent: Agent, stores: Stores, fresh: tuple[HttpReceiver, SmtpReceiver]
) -> None:
    http, smtp = fresh
    assert agent.alerts is not None
    alert_control = AlertControl(agent.client, agent.alerts.store)
    alert_control.change_rule("ana", "store_down", raise_after_s=0.1, clear_after_s=0.1)
    alert_control.change_rule("ana", "wiped", enabled=False)  # this server keeps nothing over a restart
    http.broken = True
    stores.cloud.kill()
    wait_until(lambda: smtp.got and http.refused > 1, "one has it, for the other it is tried again")
    [incident] = alert_control.incidents()
    failed = next(row for row in alert_control.deliveries() if row.delivery.error)
    assert failed.receiver == receiver_name(http.url)
    assert failed.delivery.state in (DeliveryState.FAILED, DeliveryState.SENDING)
    assert agent.health()[1]["alerts"]["open"] == ["Store down: cloud"]

    with HybridRedis.from_env(None, local_url=stores.local.url) as other, AlertControl(other) as elsewhere:
        elsewhere.acknowledge("bob", incident.id[:4])
        wait_until(lambda: alert_control.incidents()[0].acknowledged_by == "bob", "the agent hears of it")
        with pytest.raises(ConfigurationError, match="no incident"):
            elsewhere.acknowledge("bob", "zz")
    http.broken = False
    stores.cloud.start()
    told = ["[CRITICAL] Store down: cloud", "[RECOVERED] Store down: cloud"]
    wait_until(lambda: http.titles() == smtp.subjects() == told, "both know that it is over", 20)
    assert "bob took care of it" in http.got[1]["message"]
    assert stores.cloud.url.rpartition(":")[2] in http.got[0]["message"]
    wait_until(lambda: desk_on(stores.cloud.url) == desk_on(stores.local.url), "the cloud store has the document again")
    assert alert_control.incidents()[0].state is IncidentState.RESOLVED
    lines = [entry.what for entry in agent.client.live.audit.history(10)]
    assert any(line.startswith("alerts: acknowledged Store down: cloud") for line in lines)


def test_a_test_alert_and_a_summary_through_the_agent(agent: Agent, fresh: tuple[HttpReceiver, SmtpReceiver]) -> None:
    http, smtp = fresh
    assert agent.alerts is not None
    control = AlertControl(agent.client, agent.alerts.store)
    control.send_test("ana")
    wait_until(lambda: http.got and smtp.got, "the test alert")
    now = time.gmtime()
    control.set_summary("ana", now.tm_hour * 60 + now.tm_min)
    wait_until(lambda: len(http.got) == 2 and len(smtp.got) == 2, "the summary")
    assert http.titles()[1].startswith("[SUMMARY]")
    assert "State: healthy" in http.got[1]["message"]
    kinds = [row.message.kind for row in control.deliveries()]
    assert kinds == [Kind.SUMMARY, Kind.SUMMARY, Kind.TEST, Kind.TEST]


def test_a_test_alert_without_an_agent(urls: dict[str, Any], fresh: tuple[HttpReceiver, SmtpReceiver]) -> None:
    http, _ = fresh
    with HybridRedis.from_env(None, alert_urls=(http.url,), **urls) as opened, AlertControl(opened) as control:
        assert control.send_test_now("ana") == {receiver_name(http.url): ""}
        assert [row.delivery.state for row in control.deliveries()] == [DeliveryState.SENT]
    with HybridRedis.from_env(None, **urls) as opened, AlertControl(opened) as control:
        with pytest.raises(ConfigurationError, match="HYBRID_ALERT_URLS"):
            control.send_test_now("ana")
        with pytest.raises(ConfigurationError, match="author"):
            control.send_test(" ")


def test_without_stores_nothing_is_pretended() -> None:
    with HybridRedis.from_env(None, local_url="redis://127.0.0.1:1") as opened, AlertControl(opened) as control:
        with pytest.raises(AllStoresDown):
            control.incidents()
        with pytest.raises(AllStoresDown):
            control.silence("ana", 60.0)


# -- readings


def test_readings_say_what_is_known(agent: Agent) -> None:
    wait_until(lambda: agent.observer.ready, "a first status")
    overview = agent.observer.overview()
    cost = CostSummary("2026-01", 100, 9.0, 200, 18.0, 10.0, 1.8)
    drifted = Divergence(sampled=10, open_differences=2, oldest_since_s=100.0, checked_at_s=200.0)
    facts = Facts(cost, drifted, 3, {Store.CLOUD: 9.5, Store.LOCAL: None})
    found = {(each.rule, each.subject): each for each in readings_of(overview, facts, 1000.0)}
    expected = {
        ("store_down", "cloud"): 0.0, ("no_store", ""): 0.0, ("divergence", ""): 900.0, ("budget_near", ""): 1.8,
        ("budget_over", ""): 0.9, ("refused", ""): 3, ("certificate", "cloud"): 9.5, ("certificate", "local"): None,
    }  # fmt: skip
    assert {key: found[key].value for key in expected} == expected
    for policy, limit, evicts in (
        ("allkeys-lru", 1, 1.0), ("allkeys-lru", None, 0.0), ("volatile-ttl", 1, 0.0), (None, 1, None)
    ):  # fmt: skip
        local = replace(overview.local, eviction_policy=policy, memory_limit_bytes=limit)
        shown = readings_of(replace(overview, local=local), Facts(), 1.0)
        assert next(each.value for each in shown if (each.rule, each.subject) == ("evicts", "local")) == evicts
    down = replace(overview.status.local, state=StoreState.DOWN, reason="refused")
    status = replace(
        overview.status, local=down, cloud=replace(down, store=Store.CLOUD), lag_entries=None, shipper=None
    )
    unlit = list(readings_of(replace(overview, status=status), Facts(), 1.0))
    assert "is not in use: refused" in next(each.text for each in unlit if each.rule == "store_down")
    dark = {(each.rule, each.subject): each.value for each in unlit}
    assert (dark["no_store", ""], dark["store_down", "local"], dark["no_shipper", ""]) == (1.0, 1.0, None)
    assert dark["divergence", ""] is None
    for reason, lost in (("its data is gone", 1.0), (NEW, None)):
        empty = replace(overview.status.local, state=StoreState.WIPED, reason=reason)
        shown = replace(overview, status=replace(overview.status, local=empty))
        found = {(each.rule, each.subject): each for each in readings_of(shown, Facts(), 1.0)}
        assert found["wiped", "local"].value == lost


def test_refused_commands_of_the_last_minute() -> None:
    refusals = Refusals()
    errors = {("client", "OutOfMemoryError"): (5,), ("client", "ResponseError"): (70,), ("local", "refused"): (9,)}
    assert refusals.take(errors, 0.0) == 0, "what was before is not of this minute"
    errors["client", "OutOfMemoryError"] = (8,)
    assert refusals.take(errors, 30.0) == 3
    assert refusals.take(errors, 200.0) == 0


def test_events_that_are_over_soon_are_pulses() -> None:
    wiped = events.WipeDetected(store=Store.LOCAL)
    [pulse] = pulses_of([wiped, events.StoreUp(store=Store.LOCAL)])
    assert (pulse.rule, pulse.subject, pulse.pulse_s) == ("wiped", "local", wiped.at_s)
    unknown = events.CommandUnknown(store=Store.CLOUD, command="FT.CREATE")
    [pulse] = pulses_of([unknown])
    assert (pulse.rule, pulse.text) == ("refused", unknown.message)


def test_days_left_of_a_certificate() -> None:
    ends = time.strftime("%b %d %H:%M:%S %Y GMT", time.gmtime(time.time() + 10 * 86400))
    wire = SimpleNamespace(certificate={"notAfter": ends}, disconnect=lambda: None)
    endpoint = SimpleNamespace(url="rediss://host", connect_raw=lambda purpose: wire)
    board = SimpleNamespace(reachable=lambda store: True)
    engine: Any = SimpleNamespace(endpoints={Store.CLOUD: endpoint}, board=board)
    days = certificate_days(engine, Store.CLOUD)
    assert days is not None and 9.9 < days < 10.1
    assert certificate_days(engine, Store.LOCAL) is None
