"""Every weather the panel must stand: overviews built by hand, injected where the pages read them. No server runs."""

from __future__ import annotations

import sys
import time
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import redis
import streamlit as st
from keys_page import KEYS_PAGE, settled
from servers import Pool, Stores, client
from streamlit.components.v2 import manifest_scanner
from streamlit.testing.v1 import AppTest

from hybrid import HybridRedis, events
from hybrid.agent import Agent
from hybrid.core.live import AuditEntry, Edit, Effective, Live, effective_values, planned_edit
from hybrid.core.registry import Presence, Process, Role
from hybrid.errors import StoreUnavailable
from hybrid.ops.overview import Overview, Sample, StoreFacts
from hybrid.replication.live_edit import Edited
from hybrid.replication.pairing import UNPAIRED
from hybrid.settings import Settings
from hybrid.types import NEW, Status, Store, StoreState, StoreStatus
from panel import process as process_module
from panel import queries
from panel.keys import queries as keys_queries
from panel.process import PanelProcess

ROOT = Path(__file__).resolve().parents[2]
SECRET = "not-for-the-screen"
SETTINGS = Settings(local_url="redis://127.0.0.1:6390", cloud_url=f"rediss://default:{SECRET}@cloud.example:6379")
NOW = time.time()


@pytest.fixture(scope="session", autouse=True)
def components() -> Iterator[None]:
    """AppTest goes through all installed packages for components, for each page anew: most of the time that took."""
    with patch.object(manifest_scanner, "scan_component_manifests", cache(manifest_scanner.scan_component_manifests)):
        yield


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a panel started from this tree has kept is not what a test sees."""
    monkeypatch.setenv(process_module.FOLDER_VARIABLE, str(tmp_path))


def facts(store: Store, state: StoreState, *, read: bool = True, reason: str = "", refuses: bool = False) -> StoreFacts:
    status = StoreStatus(store, state, NOW - 600, reason, f"{store}.example:6379", refuses)
    if not read:
        return StoreFacts(status, None, None, None, None, None, None, None, None, None)
    observed_at_s = NOW - (1 if state is not StoreState.DOWN else 600)
    return StoreFacts(status, "Valkey 9.1.2", 7200, 14, 1648, 3_300_000, None, 0.33, 1.1, observed_at_s)


def overview(local: StoreFacts, cloud: StoreFacts | None, **changes: Any) -> Overview:
    status = Status(
        local.status, cloud.status if cloud else None, changes.pop("authority", Store.LOCAL), 1,
        changes.pop("lag_entries", 0), changes.pop("lag_s", 0.0), changes.pop("conflicts", 0),
        changes.pop("shipper", "panel"), True, 0, 1, NOW,
    )  # fmt: skip
    settings = SETTINGS if cloud else replace(SETTINGS, cloud_url=None)
    samples = tuple(
        Sample(NOW - 300 + 10 * step, store, 0.3 + step / 100, None if step == 7 else 1.1, 1000 + step, 3_000_000)
        for step in range(30)
        for store in Store
    )
    happened = (
        events.StoreDown(at_s=NOW - 600, store=Store.CLOUD, reason="timed out after 0.2 s"),
        events.ShipperStarted(at_s=NOW - 500, source=Store.LOCAL),
    )
    return replace(Overview(status, settings, local, cloud, samples, happened, False, NOW), **changes)


UP, DOWN, UNKNOWN = StoreState.UP, StoreState.DOWN, StoreState.UNKNOWN
LOCAL_UP, CLOUD_UP = facts(Store.LOCAL, UP), facts(Store.CLOUD, UP)
LOCAL_DOWN = facts(Store.LOCAL, DOWN, reason="connection refused")
CLOUD_DOWN = facts(Store.CLOUD, DOWN, reason="timed out after 0.2 s")
OUT_OF_MEMORY = "command not allowed when used memory > 'maxmemory'."
CLOUD_REFUSES = facts(Store.CLOUD, StoreState.CATCHING_UP, reason=OUT_OF_MEMORY, refuses=True)
LOCAL_FULL = replace(LOCAL_UP, memory_limit_bytes=3_300_000, eviction_policy="noeviction")
WEATHERS: dict[str, Overview | None] = {
    "starting": None,
    "healthy": overview(LOCAL_UP, CLOUD_UP),
    "embedded": overview(LOCAL_UP, CLOUD_UP, embedded=True, samples=(), events=()),
    "backlog": overview(LOCAL_UP, CLOUD_UP, lag_entries=12, lag_s=0.4),
    "nobody ships": overview(LOCAL_UP, CLOUD_UP, lag_entries=3, lag_s=60.0, shipper=None),
    "lag unknown": overview(LOCAL_UP, CLOUD_UP, lag_entries=None, lag_s=None),
    "local down": overview(LOCAL_DOWN, CLOUD_UP, authority=Store.CLOUD, lag_entries=None, lag_s=None),
    "local down, not missed": overview(LOCAL_DOWN, CLOUD_UP, lag_entries=None, lag_s=None, conflicts=None),
    "cloud down": overview(LOCAL_UP, CLOUD_DOWN, lag_entries=40, lag_s=600.0),
    "cloud down, nobody ships": overview(LOCAL_UP, CLOUD_DOWN, lag_entries=40, lag_s=600.0, shipper=None),
    "both down": overview(LOCAL_DOWN, CLOUD_DOWN, lag_entries=None, lag_s=None),
    "catching up": overview(LOCAL_UP, facts(Store.CLOUD, StoreState.CATCHING_UP), lag_entries=900),
    "cloud refuses": overview(LOCAL_UP, CLOUD_REFUSES, lag_entries=2, lag_s=60.0),
    "local full": overview(LOCAL_FULL, CLOUD_UP),
    "wrong password": overview(LOCAL_UP, facts(Store.CLOUD, DOWN, reason="wrong user name or password")),
    "loading": overview(facts(Store.LOCAL, DOWN, reason="still loading its data"), CLOUD_UP, authority=Store.CLOUD),
    "wiped": overview(facts(Store.LOCAL, StoreState.WIPED), CLOUD_UP, authority=Store.CLOUD),
    "filled first": overview(LOCAL_UP, facts(Store.CLOUD, StoreState.WIPED, reason=NEW)),
    "wiped, other down": overview(facts(Store.LOCAL, StoreState.WIPED), CLOUD_DOWN, lag_entries=None, lag_s=None),
    "never paired": overview(LOCAL_UP, facts(Store.CLOUD, DOWN, reason=UNPAIRED)),
    "never paired, local down": overview(LOCAL_DOWN, facts(Store.CLOUD, DOWN, reason=UNPAIRED)),
    "unknown": overview(facts(Store.LOCAL, UNKNOWN, read=False), facts(Store.CLOUD, UNKNOWN, read=False), samples=()),
    "no cloud": overview(LOCAL_UP, None, lag_entries=None, lag_s=None),
    "no cloud, down": overview(LOCAL_DOWN, None),
    "local only": overview(
        LOCAL_UP, CLOUD_UP, lag_entries=None, lag_s=None, settings=replace(SETTINGS, write_both=False)
    ),
    "local only, local down": overview(
        LOCAL_DOWN, CLOUD_UP, lag_entries=None, lag_s=None, settings=replace(SETTINGS, write_both=False)
    ),
    "local only, cloud down": overview(
        LOCAL_UP, CLOUD_DOWN, lag_entries=None, lag_s=None, settings=replace(SETTINGS, write_both=False)
    ),
    "conflicts": overview(LOCAL_UP, CLOUD_UP, conflicts=2),
}


@pytest.fixture
def weathers() -> Mapping[str, Overview | None]:
    """All of them, by name."""
    return WEATHERS


class FakeClient:
    """Takes live settings, as the real client does; its register knows one process."""

    def __init__(self) -> None:
        self.base = SETTINGS
        self.live = self.audit = self.registry = self
        self.document = Live()
        self.lines: list[AuditEntry] = []

    @property
    def settings(self) -> Settings:
        return self.base.with_changes(**self.document.in_force(time.time()))

    @property
    def version(self) -> int:
        return self.document.version

    def start(self) -> None:
        pass

    def store(self, store: Store) -> HybridRedis:
        raise StoreUnavailable(f"the {store} store is none of this test's")

    def edit(self, edit: Edit, expected_version: int | None) -> Edited:
        planned = planned_edit(self.document, edit, expected_version)
        if planned is None:
            return Edited(self.document, {}, ())
        self.document, line = planned
        self.lines.insert(0, line)
        return Edited(self.document, line.changes, ())

    def effective(self) -> dict[str, Effective]:
        base, sources = Settings.from_env_with_sources(None)
        values = {name: getattr(base, name) for name in Settings.__dataclass_fields__}
        return effective_values(values, sources, self.document, time.time())

    def processes(self) -> tuple[tuple[Process, Presence], ...]:
        process = Process("1", "shop", "web1", 7, "0.1.0", NOW - 60, self.version, Role.SHIPS, True, ("ack",), NOW)
        return ((process, Presence.CONNECTED),)

    def history(self, limit: int) -> tuple[AuditEntry, ...]:
        return tuple(self.lines[:limit])

    def note(self, line: AuditEntry) -> None:
        self.lines.insert(0, line)


@pytest.fixture
def panel_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[PanelProcess]:
    """A process state of this test's own, with a running agent that is a stand-in."""
    holder = types.ModuleType(process_module.HOLDER)
    fresh = PanelProcess()
    fresh.agent = types.SimpleNamespace(client=FakeClient(), alerts=None, inquire=lambda: None)  # type: ignore[assignment]
    holder.__dict__["instance"] = fresh
    monkeypatch.setitem(sys.modules, process_module.HOLDER, holder)
    yield fresh
    fresh.jobs.close()


@pytest.fixture
def set_weather(panel_process: PanelProcess, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Overview | None]:
    """Make every page see this weather."""

    def choose(name: str) -> Overview | None:
        monkeypatch.setattr(queries, "overview", lambda: WEATHERS[name])
        return WEATHERS[name]

    return choose


@pytest.fixture(params=list(WEATHERS))
def weather(request: pytest.FixtureRequest, set_weather: Callable[[str], Overview | None]) -> str:
    set_weather(request.param)
    return str(request.param)


@pytest.fixture
def open_page(panel_process: PanelProcess) -> Callable[..., AppTest]:
    """Open a page of the panel through its router, as a person of this role."""

    def open_(
        path: str = "watch/overview.py", role: str = "operator", query: Mapping[str, str] | None = None
    ) -> AppTest:
        at = AppTest.from_file(str(ROOT / "panel" / "ui.py"), default_timeout=30)
        at.user = {"name": "tester", "role": role}
        if path != "watch/overview.py":
            at.run()
            at.switch_page(str(ROOT / "pages" / path))
        for name, value in (query or {}).items():
            at.query_params[name] = value
        return at.run()

    return open_


@pytest.fixture
def text_of() -> Callable[[AppTest], str]:
    """Everything a page says, as one text."""

    def text(at: AppTest) -> str:
        kinds = (at.title, at.caption, at.markdown, at.error, at.warning, at.info, at.success, at.metric, at.table)
        return "\n".join(f"{getattr(part, 'label', '')} {part.value}" for kind in kinds for part in kind)

    return text


@pytest.fixture(scope="module")
def real_agent(server_pool: Pool, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    """An agent over two real servers; nothing repairs by itself."""
    urls = {f"{store}_url": server_pool.get("valkey", store.value).url for store in Store}
    patient = {"local_timeout_s": 3.0, "cloud_timeout_s": 3.0, "sync_enabled": False}
    with Agent.open(None, tmp_path_factory.mktemp("agent"), **urls, **patient) as agent:
        agent.start()
        assert agent.client.wait_in_sync(20)
        yield agent


@pytest.fixture
def real_panel(
    real_agent: Agent, panel_process: PanelProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> types.SimpleNamespace:
    """The panel on that agent, with a folder of its own."""
    monkeypatch.setenv(process_module.FOLDER_VARIABLE, str(tmp_path / "panel"))
    panel_process.agent = real_agent
    return types.SimpleNamespace(process=panel_process, agent=real_agent, folder=tmp_path / "panel")


@pytest.fixture
def drift(real_panel: types.SimpleNamespace) -> Iterator[tuple[redis.Redis, redis.Redis]]:
    """Plain clients of both stores, which differ in four keys: `user` (fields), `text`, `mine` and `theirs`."""
    hybrid = real_panel.agent.client
    hybrid.flushall()
    hybrid.hset("user", "name", "Ada")
    hybrid.set("same", "v")
    assert hybrid.wait_in_sync(10)
    with client(hybrid.settings.local_url) as local, client(hybrid.settings.cloud_url) as cloud:
        local.hset("user", mapping={"city": "London", "mine": "1"})
        cloud.hset("user", mapping={"city": "Paris", "theirs": "1"})
        local.set("text", "one")
        cloud.set("text", "two")
        local.set("mine", "v")
        cloud.set("theirs", "v")
        yield local, cloud


@pytest.fixture
def as_operator(monkeypatch: pytest.MonkeyPatch) -> None:
    """Actions that the test calls itself are an operator's."""
    monkeypatch.setattr(st, "user", {"name": "tester", "role": "operator"})


# -- the page Keys over the `pair` that the test's module defines


@pytest.fixture(scope="module")
def opened(pair: Stores) -> Iterator[HybridRedis]:
    options: dict[str, Any] = {"local_timeout_s": 3.0, "cloud_timeout_s": 3.0, "sync_enabled": False}
    with HybridRedis.from_urls(pair.local.url, pair.cloud.url, decode_responses=True, **options) as hybrid:
        hybrid.start()
        assert hybrid.wait_in_sync(10)
        yield hybrid


@pytest.fixture
def hybrid(
    opened: HybridRedis,
    panel_process: PanelProcess,
    set_weather: Callable[[str], Overview | None],
    monkeypatch: pytest.MonkeyPatch,
) -> HybridRedis:
    opened.flushall()
    assert opened.wait_in_sync(10)
    panel_process.agent = types.SimpleNamespace(client=opened, inquire=lambda: None)  # type: ignore[assignment]
    set_weather("healthy")
    monkeypatch.setattr(keys_queries, "BADGE_PATIENCE_S", 2.0)  # here nobody draws the page again when they come later
    return opened


@pytest.fixture
def sides(pair: Stores) -> Iterator[dict[Store, Any]]:
    with client(pair.local.url) as local, client(pair.cloud.url) as cloud:
        yield {Store.LOCAL: local, Store.CLOUD: cloud}


@pytest.fixture
def open_keys(open_page: Callable[..., AppTest]) -> Callable[..., AppTest]:
    """The page, settled."""

    def open_(role: str = "operator") -> AppTest:
        return settled(open_page(KEYS_PAGE, role))

    return open_
