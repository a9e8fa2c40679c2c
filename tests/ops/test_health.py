from __future__ import annotations

import json

import pytest
from ops.fakes import FakeClient, status

from hybrid.observe.health import health_document
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
