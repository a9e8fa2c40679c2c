"""What docs/ says of events, of hybrid's own keys and of tests agrees with the code."""

from __future__ import annotations

import logging
import re
from collections import defaultdict
from dataclasses import fields
from pathlib import Path

import pytest
from servers import Stores

from hybrid import Store, client, events
from hybrid.core import expiry_guard, registry, shipping, tokens, transaction
from hybrid.core.names import Names
from hybrid.core.refusals import Refusal
from hybrid.events import (
    AuthorityMoved,
    CatchingUp,
    CommandUnknown,
    ConflictsArchived,
    Degraded,
    DualWriteResumed,
    Event,
    InSync,
    KeyRefused,
    LogFolded,
    Recovered,
    SettingsChanged,
    ShipperStarted,
    ShipperStuck,
    ShippingRefused,
    Started,
    Stopped,
    StoreDown,
    StoreNew,
    StoreUp,
    WipeDetected,
)
from hybrid.replication import board, confirmations, engine, lease, relay, shipper, watcher
from hybrid.replication.messages import Word

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
EVENTS = (ROOT / "docs" / "events.md").read_text()
REPLICATION = (ROOT / "docs" / "replication.md").read_text()
PAPERS = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/*.md"))]
EXAMPLES: list[Event] = [
    Started(local="up", cloud="up", sync="on"),
    Stopped(unshipped=0),
    StoreDown(store=Store.CLOUD, reason="connection refused"),
    StoreUp(store=Store.CLOUD),
    Recovered(store=Store.CLOUD, down_s=12.5),
    CatchingUp(store=Store.CLOUD, keys=340),
    InSync(store=Store.CLOUD),
    AuthorityMoved(authority=Store.CLOUD, epoch=2),
    AuthorityMoved(authority=Store.LOCAL, epoch=4),
    Degraded(),
    StoreNew(store=Store.CLOUD),
    WipeDetected(store=Store.LOCAL),
    ConflictsArchived(count=2),
    ShipperStarted(source=Store.LOCAL),
    ShipperStuck(silent_s=10.4),
    SettingsChanged(changes="ack=local", version=2, author="ana"),
    DualWriteResumed(apart_s=90),
    KeyRefused(store=Store.CLOUD, key=b"report:7", reason="max request size exceeded"),
    CommandUnknown(store=Store.CLOUD, command="FT.CREATE"),
    ShippingRefused(store=Store.CLOUD, reason="DB capacity quota exceeded", advice=Refusal.FULL.value),
    LogFolded(source=Store.LOCAL, entries=50_000),
]


def row(event: Event) -> str:
    own = ", ".join(f"`{field.name}`" for field in fields(event) if field.name != "at_s")
    level = logging.getLevelName(event.level)
    return f"| `{type(event).__name__}` | {level} | {own}{' ' if own else ''}| `{event.message}` |"


def test_every_event_has_an_example() -> None:
    public = {getattr(events, name) for name in events.__all__}
    kinds = {each for each in public if isinstance(each, type) and issubclass(each, Event)}
    assert {type(event) for event in EXAMPLES} == kinds - {Event}


def test_the_table_of_events_is_what_the_code_says() -> None:
    assert re.findall(r"^\| `[A-Z]\w+` \|.*$", EVENTS, re.M) == [row(event) for event in EXAMPLES]


def test_every_internal_name_is_in_the_tables() -> None:
    names = Names()
    keys = re.findall(r"^\| `(hybrid:[\w:]+)` \| (?!channel)", REPLICATION, re.M)
    channels = re.findall(r"^\| `(hybrid:[\w:]+)` \| channel", REPLICATION, re.M)
    assert sorted(keys) == sorted(key.decode() for key in names.keys)
    assert sorted(channels) == sorted(name.decode() for name in (names.applied, names.moved, names.relay))


def test_every_word_on_the_channel_is_explained() -> None:
    line = re.search(r"^\| `hybrid:applied` \| channel.*$", REPLICATION, re.M)
    assert line
    assert set(re.findall(r"`(\w+) ", line[0])) == {str(word) for word in Word}


def test_every_field_of_an_entry_is_in_the_table() -> None:
    described = re.search(r"Fields of an entry.*?A group", transaction.__doc__ or "", re.S)
    assert described
    assert re.findall(r"^\| `(\w)` \|", REPLICATION, re.M) == list(dict.fromkeys(re.findall(r"`(\w)`", described[0])))


TIMES: list[tuple[object, str, str]] = [
    (lease.TERM_S, "2 / 4", "lease.py"),
    (lease.RENEW_S, "0.4 / 1.3", "lease.py"),
    (shipper.JITTER_S, "0.2", "shipper.py"),
    (watcher.SILENCE_S, "0.5 / 30", "watcher.py"),
    (watcher.AWAITED_S, "0.01", "watcher.py"),
    (watcher.FREE_S, "2", "watcher.py"),
    (watcher.HEARSAY_S, "600", "watcher.py"),
    (board.SEAL_S, "1", "board.py"),
    (board.LATE_S, "0.3", "board.py"),
    (engine.HANDOVER_S, "1", "engine.py"),
    (confirmations.OVERDUE_S, "5", "confirmations.py"),
    (board.WORD_S, "2.5", "board.py"),
    (tokens.EARLY_SEAL_S, "1", "tokens.py"),
    (relay.ANSWER_S, "1", "relay.py"),
    ({Store.LOCAL: registry.BEAT_S, Store.CLOUD: registry.CLOUD_BEAT_S}, "2 / 60", "registry.py"),
    (engine.SETTLE_S, "1", "engine.py"),
    (client.CLOSE_S, "2", "client.py"),
    (shipping.REPLAY_WITHIN_MS / 1000, "1", "shipping.py"),
    (expiry_guard.EXPIRY_GUARD_MS / 1000, "2", "expiry_guard.py"),
]


def test_the_times_are_those_of_the_code() -> None:
    rows = re.findall(r"^\| [^|]+ \| ([\d./ ]+) \| `(\w+\.py)` \|$", REPLICATION, re.M)
    assert rows == [(written, file) for _, written, file in TIMES]
    for value, written, _ in TIMES:
        numbers = list(value.values()) if isinstance(value, dict) else [value]
        assert " / ".join(f"{number:g}" for number in numbers) == written


@pytest.mark.parametrize("paper", PAPERS, ids=lambda paper: paper.name)
def test_tests_that_are_named_exist(paper: Path) -> None:
    missing = [
        f"{name} in {file}"
        for name, file in re.findall(r"\[`(test_\w+)`\]\(([^)]+)\)", paper.read_text())
        if f"def {name}(" not in (paper.parent / file).read_text()
    ]
    assert missing == []


def test_each_guarantee_names_its_tests() -> None:
    rows = re.findall(r"^\| (G\d) \|.*\| (.*) \|$", README, re.M)
    named = defaultdict(list, {number: re.findall(r"\[`test_\w+`\]", proof) for number, proof in rows})
    assert [number for number, tests in named.items() if not tests] == []
    assert list(named) == [f"G{number}" for number in range(1, 9)]


def test_the_examples_of_the_readme_run(
    stores: Stores, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", stores.local.url)
    monkeypatch.setenv("UPSTASH_REDIS_URL", stores.cloud.url)
    _, *examples = re.findall(r"^```python\n(.*?)^```", README, re.M | re.S)
    code = "from hybrid import HybridRedis\n" + "".join(examples)
    urls = {"redis://localhost:6379": stores.local.url, "rediss://default:PASSWORD@HOST:6379": stores.cloud.url}
    for shown, url in urls.items():
        assert shown in code
        code = code.replace(shown, url)
    code = code.replace('"local")', '"local", local_timeout_s=2.0, cloud_timeout_s=2.0)')
    names: dict[str, object] = {"__name__": "example"}
    exec(code, names)
    assert names["user"] == {"name": "Ada"}
    in_sync, visits, status = capsys.readouterr().out.splitlines()
    assert (in_sync, visits) == ("True", "2"), "the pipeline before it counted one"
    assert status.startswith("healthy local ")
