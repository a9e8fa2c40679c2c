from __future__ import annotations

import dataclasses
import json
import time

import pytest
from ops.fakes import FakeClient, status

from hybrid.observe.health import health_document, liveness, observed_health, readiness
from hybrid.ops.overview import Observer
from hybrid.settings import Settings
from hybrid.types import StoreState

SETTINGS = Settings(local_url="redis://:hunter2@127.0.0.1:1", cloud_url="redis://:hunter2@127.0.0.1:2")


@pytest.mark.parametrize(
    ("local", "cloud", "code", "word"),
    [
        (StoreState.UP, StoreState.UP, 200, "healthy"),
        (StoreState.UP, None, 200, "healthy"),
        (StoreState.DOWN, StoreState.UP, 200, "degraded"),
        (StoreState.UP, StoreState.CATCHING_UP, 200, "degraded"),
        (StoreState.DOWN, StoreState.DOWN, 503, "down"),
        (StoreState.DOWN, None, 503, "down"),
    ],
)
def test_one_word_and_one_code(local: StoreState, cloud: StoreState | None, code: int, word: str) -> None:
    overview = Observer(FakeClient(SETTINGS, status(local, cloud))).overview()
    answered, document = health_document(overview)
    assert (answered, document["status"]) == (code, word)
    assert document["stores"]["local"]["state"] == local.value
    assert (document["stores"]["cloud"] is None) == (cloud is None)


def test_the_document_is_json_without_secrets_and_unknown_is_null() -> None:
    _, document = health_document(Observer(FakeClient(SETTINGS, status())).overview())
    text = json.dumps(document)
    assert "hunter2" not in text
    assert document["stores"]["local"]["keys"] is None
    assert document["settings_version"] == 3


def test_before_the_first_look_nothing_is_asked_and_the_answer_is_starting() -> None:
    client = FakeClient(SETTINGS, status())
    client.status = pytest.fail  # type: ignore[method-assign]
    observer = Observer(client)
    assert observed_health(observer) == (503, {"status": "starting", "stores": None})
    assert readiness(observer)[0] == 503
    assert liveness(observer) == (200, {"status": "alive"})


def test_readiness_follows_the_stores_and_liveness_the_process() -> None:
    client = FakeClient(SETTINGS, status(StoreState.DOWN, StoreState.DOWN))
    observer = Observer(client)
    observer._status = client.reported
    assert readiness(observer) == (503, {"status": "down"})
    assert liveness(observer) == (200, {"status": "alive"})
    observer._status = dataclasses.replace(client.reported, taken_at_s=time.time() - 120)
    code, document = liveness(observer)
    assert (code, document["status"]) == (503, "hangs")
    observer._status = dataclasses.replace(client.reported, local=status().local)
    assert readiness(observer) == (200, {"status": "degraded"})


def test_duties_add_what_they_know_of_themselves() -> None:
    overview = Observer(FakeClient(SETTINGS, status())).overview()
    assert health_document(overview)[1]["divergence"] is None
    assert health_document(overview, {"divergence": {"keys": 3}})[1]["divergence"] == {"keys": 3}
    assert health_document(overview)[1]["configuration"]["ack"] == "both"
