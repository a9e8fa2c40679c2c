from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from servers import Stores, client, wait_until

from hybrid.agent import Agent, open_client
from hybrid.errors import ConfigurationError
from hybrid.ops.demo_process import DemoProcess, settings_environment
from hybrid.settings import Ack, ReadPreference, Settings
from hybrid.types import Health


@pytest.fixture(autouse=True)
def nothing_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if "REDIS" in name or name.startswith("HYBRID_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def agent(stores: Stores) -> Iterator[Agent]:
    with Agent.open(None, local_url=stores.local.url, cloud_url=stores.cloud.url) as agent:
        agent.start()
        yield agent


def test_with_nothing_configured_two_embedded_stores_come_up(tmp_path: Path) -> None:
    with Agent.open(None, tmp_path / "embedded") as agent:
        agent.start()
        assert agent.embedded is not None
        wait_until(lambda: agent.observer.overview().status.health is Health.HEALTHY)
        overview = agent.observer.overview()
        assert overview.embedded and overview.cloud is not None
        agent.embedded.link.apply(refuse=True)
        wait_until(lambda: agent.client.set("key", "value") and agent.client.status().health is Health.DEGRADED)
        agent.embedded.link.heal()


def test_a_cloud_alone_gets_an_embedded_local_store(tmp_path: Path, stores: Stores) -> None:
    with Agent.open(None, tmp_path / "embedded", cloud_url=stores.cloud.url) as agent:
        assert agent.embedded is not None and agent.embedded.cloud_url is None
        assert agent.client.settings.cloud_url == stores.cloud.url
        assert agent.client.settings.local_url == agent.embedded.local_url


def test_configured_stores_need_no_embedded_ones(agent: Agent) -> None:
    assert agent.embedded is None
    wait_until(lambda: agent.observer.overview().local.keys is not None)
    assert not agent.observer.overview().embedded


def test_an_open_client_is_ready_to_use(stores: Stores) -> None:
    with open_client(None, local_url=stores.local.url, cloud_url=stores.cloud.url) as hybrid:
        hybrid.set("key", "value")
        assert hybrid.get("key") == "value"
    with client(stores.cloud.url) as cloud:
        assert cloud.get("key") == b"value"


def test_a_wrong_setting_starts_nothing(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError):
        Agent.open(None, tmp_path / "embedded", read_preference="moon")
    assert not (tmp_path / "embedded").exists()


def test_the_demo_process_works_on_the_agents_stores_and_stops(agent: Agent, stores: Stores) -> None:
    demo = DemoProcess()
    assert not demo.running
    demo.stop()
    demo.start(agent)
    try:
        with client(stores.local.url) as local:
            wait_until(lambda: local.exists("shop:most-viewed"), "traffic of the demo", timeout_s=20)
        assert demo.running
    finally:
        demo.stop()
    assert not demo.running
    assert demo.last_line


def test_settings_survive_the_way_through_an_environment() -> None:
    settings = Settings(
        local_url="redis://127.0.0.1:1",
        cloud_url="rediss://default:secret@db.example:6379",
        write_both=False,
        ack=Ack.LOCAL,
        read_preference=ReadPreference.FASTEST,
        sync_interval_s=12.5,
        alert_urls=("mailto://a", "slack://b"),
    )
    assert Settings.from_env(None, settings_environment(settings)) == settings
    assert Settings.from_env(None, settings_environment(Settings())) == Settings()
