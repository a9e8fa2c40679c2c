"""What the library says is shown in the reader's language: the panel knows all of it."""

from __future__ import annotations

import ast
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from hybrid.core.alert_rules import RULES
from hybrid.core.alert_texts import title_of
from hybrid.core.commands import COMMANDS
from hybrid.core.divergence import Divergence
from hybrid.core.health import Evidence
from hybrid.core.live import Edit
from hybrid.core.refusals import Refusal
from hybrid.core.spending import CostSummary
from hybrid.errors import ConfigurationConflict
from hybrid.events import CatchingUp, ConflictsArchived, Event, LogFolded
from hybrid.observe.alert_readings import Facts, readings_of
from hybrid.ops import first_run
from hybrid.ops.drills import parse_schedule, require_known
from hybrid.ops.first_run import check_url
from hybrid.ops.keys import edits
from hybrid.ops.overview import Overview
from hybrid.ops.sync.one_key import FIELDS
from hybrid.stores.capabilities import Capabilities
from hybrid.stores.wire import plain_reason
from hybrid.types import Store
from panel import i18n
from panel.command_phrases import GROUPS, NOTES
from panel.format import money, sentence
from panel.metrics.queries import NOT_READ
from panel.process import PanelProcess
from panel.repair.weather import obstacle
from panel.said import said
from panel.setup.queries import plan

ROOT = Path(__file__).resolve().parents[2]
PAPER = (ROOT / "docs" / "events.md").read_text()
EVENTS = re.findall(r"^\| `\w+` \|.*\| `(.+)` \|$", PAPER, re.MULTILINE)
ERRORS = (
    "Connection refused", "Timeout reading from socket", "Name or service not known", "certificate verify failed",
    "WRONGPASS invalid", "NOAUTH", "LOADING", "READONLY", "NOPERM", "reset by peer", "certificate required",
    "Hostname mismatch, certificate", "certificate has expired", "[Errno 2] No such file",
    "No permissions to access a key",
)  # fmt: skip
NOW = time.time()
SPENT = CostSummary("2026-11", 10, 1.0, 20, 2.0, 5.0, 0.4)
KNOWN = Facts(SPENT, Divergence(open_differences=3, oldest_since_s=NOW - 60, checked_at_s=NOW), 2, {Store.CLOUD: 9.0})


@pytest.fixture
def portuguese(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(i18n, "language", lambda: "pt_BR")


@pytest.fixture
def findings(weathers: Mapping[str, Overview | None]) -> list[str]:
    """What the alert rules find in every weather, with and without numbers."""
    unlucky = {"lag_entries": 3, "lag_s": 40.0, "conflicts": 2, "folded_keys": 5, "refused_keys": 7}
    once = {**dict.fromkeys(unlucky, 1), "lag_s": 40.0}
    one = replace(KNOWN, divergence=replace(KNOWN.divergence, open_differences=1), refused=1)
    found: set[str] = set()
    for weather in filter(None, weathers.values()):
        changed = (unlucky, once, {"shipper": None})
        for status in (weather.status, *(replace(weather.status, **changes) for changes in changed)):
            for facts in (Facts(), Facts(refused=0), KNOWN, one, replace(KNOWN, cost=replace(SPENT, budget_usd=None))):
                found |= {reading.text for reading in readings_of(replace(weather, status=status), facts, NOW)}
        evicting = replace(weather.local, eviction_policy="allkeys-lru", memory_limit_bytes=1)
        found |= {reading.text for reading in readings_of(replace(weather, local=evicting), Facts(), NOW)}
    return sorted(found - {""})


def test_one_is_one(findings: list[str]) -> None:
    assert [text for text in findings if re.search(r"\b1 (\w+s|entries)\b", text)] == []
    assert "1 value that lost a conflict is in the archive" in findings


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (CatchingUp(store=Store.CLOUD, keys=1), "cloud store catching up: 1 key to copy"),
        (CatchingUp(store=Store.CLOUD, keys=0), "cloud store catching up: no keys to copy"),
        (
            ConflictsArchived(count=1),
            "1 key was written on both stores while apart: one value kept, the other archived",
        ),
        (LogFolded(source=Store.LOCAL, entries=1), "local store's log folded: 1 entry is now the key it names"),
    ],
)
def test_events_of_one(event: Event, message: str, portuguese: None) -> None:
    assert event.message == message
    assert said(message) != message
    assert "store" not in said(message)


def test_every_event(portuguese: None) -> None:
    assert len(EVENTS) >= 19
    assert [text for text in EVENTS if said(text) == text or "store" in said(text)] == []


def test_every_reason_and_advice(portuguese: None) -> None:
    reasons = [*Evidence, *(plain_reason(Exception(error)) for error in ERRORS), *(kind.value for kind in Refusal)]
    advice = [rule.advice for rule in RULES.values()]
    assert [text for text in map(str, [*reasons, *advice]) if said(text) == text] == []


def test_everything_that_the_rules_find(findings: list[str], portuguese: None) -> None:
    assert len(findings) > 20
    assert [text for text in findings if said(text) == text or "store" in said(text)] == []


def test_parts_are_translated_each_by_itself_and_the_unknown_stays(portuguese: None) -> None:
    assert said("cloud store unavailable: ERR odd; the local store carries on") == (
        "armazenamento nuvem indisponível: ERR odd; o armazenamento local segue"
    )
    assert said("consumer groups differ; something new") == "os grupos de consumidores diferem; something new"
    assert said("The cloud store did not answer: no answer in time.") == (
        "O armazenamento nuvem não respondeu: sem resposta a tempo."
    )
    assert said("Something new.") == "Something new."
    assert said("") == ""


def test_titles_of_jobs_and_the_numbers_in_what_they_say(portuguese: None) -> None:
    assert said("Delete 1,200 keys") == "Apagar 1.200 chaves"
    assert said("Compare everything (hash)") == "Comparar tudo (hash)"
    assert said("Sync, local to cloud") == "Sincronização, local para nuvem"
    assert said("12,000 copied, 3 deleted, about 1,340 cloud commands") == (
        "12.000 copiadas, 3 apagadas, cerca de 1.340 comandos na nuvem"
    )
    assert said("cloud store recovered after 3.2 s").endswith("3,2 s")


def test_deeds(portuguese: None) -> None:
    key, name, text = b"k", b"f", b"v"
    deeds = (
        edits.create_key(key, "set", [text]), edits.delete_key(key, "set"), edits.rename_key(key, name, "set"),
        edits.expire_key(key, "set", None), edits.expire_key(key, "set", 1), edits.set_text(key, text, text),
        edits.set_document(key, text, text), edits.set_field(key, name, text, text),
        edits.delete_field(key, name, text), edits.expire_field(key, name, text, 1), edits.set_item(key, 0, text, text),
        edits.push_item(key, text), edits.delete_item(key, 0, text), edits.add_member(key, text),
        edits.remove_member(key, "set", text),
        edits.set_score(key, text, 1.0, 2.0), edits.add_entry(key, [name, text]), edits.delete_entry(key, b"1-1"),
        edits.acknowledge_entries(key, name, [b"1-1"]), edits.claim_entries(key, name, text, [b"1-1"], 1),
        edits.create_group(key, name, "0"), edits.move_group(key, name, "$"), edits.delete_group(key, name),
        edits.delete_consumer(key, name, text),
    )  # fmt: skip
    assert [each.words for each in deeds if said(each.words) == each.words] == []
    assert said("undo of set the expiry of field f0") == "desfazer: definir a expiração do campo f0"
    assert [text for text in ("cloud-to-local", "periodic", "periodic sync", "equalized") if said(text) == text] == []


def test_what_is_done_about_alerts_and_servers(portuguese: None) -> None:
    deeds = (
        "silenced lag for 30 min", "silenced everything for 1.0 h on cloud", "maintenance for 4.0 h",
        "maintenance for 2.0 d on local", "ended silence 3f2a", "ended maintenance 3f2a", "rule lag: as built in",
        "rule lag: threshold=120.0, enabled=False", "daily summary off", "daily summary at 08:00 UTC", "test alert",
        *(f"acknowledged {title_of(name, 'cloud')} (b9981cad)" for name in RULES),
    )  # fmt: skip
    known = [said(f"alerts: {deed}") for deed in deeds]
    known += [said("client 127.0.0.1:1 of the cloud store disconnected"), said("slow log of the cloud store emptied")]
    words = re.compile(r"\b(alerts|silenced|for|on cloud|ended|rule|daily|test|acknowledged|store|of)\b", re.IGNORECASE)
    assert [text for text in known if words.search(text)] == []
    assert known[-3].endswith("Certificado perto do fim: nuvem (b9981cad)")


def test_who_was_faster_with_the_settings(portuguese: None) -> None:
    conflict = ConfigurationConflict(1, 3, ("Ana changed ack (version 2)", "Bea changed write_both (version 3)"))
    assert [text for text in (str(conflict), str(ConfigurationConflict(1, 2, ()))) if ENGLISH.search(said(text))] == []
    assert "Ana" in said(str(conflict)) and "changed" not in said(str(conflict))


@pytest.mark.parametrize(
    "text", ["sometimes", "every Monday", "every 31st 07:00", "every 07:00", "every Mo 07:00", "x every day 7:00"]
)
def test_what_is_wrong_with_a_schedule(text: str, portuguese: None) -> None:
    with pytest.raises(ValueError) as raised:
        require_known(parse_schedule(text))
    assert said(str(raised.value)) != str(raised.value)


def test_obstacles_name_the_stores(weathers: Mapping[str, Overview | None], portuguese: None) -> None:
    for name in ("cloud down", "catching up", "wiped", "unknown"):
        found = obstacle(weathers[name])
        assert found is not None and "cloud" not in found.sentence


def test_nothing_is_being_filled_while_the_store_that_has_it_is_down(
    weathers: Mapping[str, Overview | None],
) -> None:
    found = obstacle(weathers["wiped, other down"])
    assert found is not None and "No store can serve" in found.sentence


def test_why_nothing_is_measured(portuguese: None) -> None:
    assert said(NOT_READ) != NOT_READ


WRONG = (
    (Store.LOCAL, ""), (Store.CLOUD, ""), (Store.LOCAL, "http://host"), (Store.CLOUD, "redis://:a/b@host"),
    (Store.CLOUD, "redis://a,b"), (Store.CLOUD, "redis+cluster://host:1/3"), (Store.LOCAL, "redis+cluster://host:1"),
    (Store.CLOUD, "redis+sentinel://host"), (Store.CLOUD, "redis+sentinel://host/name?sentinel_x=1"),
    (Store.LOCAL, "redis://host:port"), (Store.LOCAL, "redis://:1"),
)  # fmt: skip
ENGLISH = re.compile(r"\b(the|is|its|must|write|give|wants|look|has|names|such)\b")


def test_what_is_said_of_a_url(portuguese: None) -> None:
    """Problems with their advice, warnings, what a store can do, and what is wrong with an address."""
    reasons = (*(plain_reason(Exception(error)) for error in ERRORS), *first_run.ADVICE)
    advices = (*first_run.ADVICE.values(), first_run.WANTS_TLS, first_run.LOOK)
    problems = [f"{reason}: {advice}" for reason in reasons for advice in advices]
    problems += [check_url(store, url).problem for store, url in WRONG]
    problems += [f"it lacks functions, JSON: {first_run.NEWER}", *two_of_one()]
    assert [said(text) for text in problems if ENGLISH.search(said(text))] == []
    nothing = Capabilities((0, 0, 0), "unknown", *[False] * 6)
    rows = first_run.abilities(nothing)
    assert [text for row in rows for text in (row.name, row.meaning) if said(text) == text] == ["JSON"]
    asked = ((Store.CLOUD, "redis://far:1"), (Store.CLOUD, "redis://localhost:1"), (Store.LOCAL, "redis://far:1"))
    warnings = [text for store, url in asked for text in first_run.warnings_of(store, url, 42.0)]
    assert len(warnings) == 3
    assert [text for text in warnings if said(text) == text] == []


def two_of_one() -> list[str]:
    """Why no `.env` is planned."""
    answer = plan("redis://one:1", "redis://one:1", None)
    assert isinstance(answer, str)
    return [answer]


def test_in_english_it_is_what_was_said(findings: list[str]) -> None:
    for text in (*EVENTS, *findings):
        assert said(text) == text


def test_overview_speaks_portuguese_throughout(
    set_weather: Callable[[str], Overview | None], open_page: Callable[..., AppTest],
    text_of: Callable[[AppTest], str], portuguese: None,
) -> None:  # fmt: skip
    set_weather("cloud down")
    at = open_page()
    assert not at.exception
    labels = " ".join(expander.label for expander in at.expander)
    assert "Armazenamento nuvem indisponível" in labels
    assert "timed out after" in text_of(at), "what a store itself says is not translated"


def test_why_a_change_of_settings_is_refused(portuguese: None) -> None:
    why = "dual write cannot be switched off while the cloud store takes the writes: wait for the local store"
    assert "escrita dupla" in said(why)


REFUSING = (
    *(f"hybrid/ops/{name}" for name in ("conflicts.py", "env_file.py", "transfer.py", "keys", "sync", "drills")),
    *(f"hybrid/core/{name}.py" for name in ("shell", "live", "export")),
    "panel/repair", "panel/keys", "panel/insights", "panel/metrics", "panel/drills",
)  # fmt: skip
NO_FORM_ASKS = re.compile(
    "author must not be empty|expires_at_ms|say from which store|only fields, members, scores|there is no drill|"
    "deletes much|is there already|has none of these keys|a value of several lines| 7$|s7$"
)
"""What only code can get wrong, and what is put together of parts that are known."""


def refusals() -> Iterator[str]:
    """The sentences of errors that an operator can meet, with 7 for every value."""
    paths = [
        path for name in REFUSING for path in ([ROOT / name] if name[-3:] == ".py" else (ROOT / name).glob("*.py"))
    ]
    for node in (node for path in paths for node in ast.walk(ast.parse(path.read_text()))):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and node.exc.args:
            parts = node.exc.args[0].values if isinstance(node.exc.args[0], ast.JoinedStr) else node.exc.args[:1]
            words = "".join(str(part.value) if isinstance(part, ast.Constant) else "7" for part in parts)
            if re.search(r"Error|Failed|Down", ast.unparse(node.exc.func)) and " " in words:
                yield words


def test_every_refusal(portuguese: None) -> None:
    found = [text for text in refusals() if not NO_FORM_ASKS.search(text)]
    assert len(found) > 30
    assert [text for text in found if said(sentence(text)) == sentence(text)] == []


def test_everything_that_the_table_says_of_commands(portuguese: None) -> None:
    """Every group and note is marked for translation, and `test_i18n` holds that what is marked is translated; none
    marked is said no more."""
    assert set(GROUPS) == {command.group for command in COMMANDS.values()}
    assert set(NOTES) == {command.note for command in COMMANDS.values()} - {""}
    assert [note for note in NOTES if said(note) == note] == []
    assert said("Sorted sets and geo") == "Conjuntos ordenados e geo"


def test_money_says_whose_dollars(portuguese: None) -> None:
    assert money(0.25) == "US$ 0,25"
    assert money(0) == "US$ 0"


def test_who_has_reverted_an_override(
    set_weather: Callable[[str], Overview | None], panel_process: PanelProcess, open_page: Callable[..., AppTest]
) -> None:
    set_weather("healthy")
    client: Any = panel_process.agent.client  # type: ignore[union-attr]
    client.edit(Edit("Ana (by the clock)", NOW, {"read_preference": "cloud"}), None)
    at = open_page("admin/settings.py")
    at.sidebar.selectbox(key="lang").set_value("pt_BR").run()
    assert any("por Ana (pelo relógio)" in caption.value for caption in at.caption)


@pytest.mark.usefixtures("portuguese")
def test_a_merge_by_field_in_the_history_of_syncs() -> None:
    assert said(FIELDS) == "por campo"
