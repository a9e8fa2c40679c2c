from __future__ import annotations

import logging

import pytest
from ops.fakes import FakeClient, status

from hybrid.errors import ConfigurationError
from hybrid.ops.control import PRESETS, change_settings, effective_changes
from hybrid.settings import ReadPreference, Settings

SETTINGS = Settings(local_url="redis://127.0.0.1:1", cloud_url="redis://127.0.0.1:2")


def fake() -> FakeClient:
    return FakeClient(SETTINGS, status())


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_is_valid(preset: str) -> None:
    settings = change_settings(fake(), author="test", **PRESETS[preset])
    assert all(getattr(settings, name) == value for name, value in PRESETS[preset].items())


def test_presets_differ_as_the_guide_says() -> None:
    assert not SETTINGS.with_changes(**PRESETS["development"]).replicated
    assert SETTINGS.with_changes(**PRESETS["production"]).replicated
    assert SETTINGS.with_changes(**PRESETS["remote"]).read_preference is ReadPreference.CLOUD


def test_the_record_names_the_author_and_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "hybrid.control"):
        change_settings(fake(), author="ana", cloud_url="redis://:hunter2@127.0.0.1:3")
    assert "ana changed cloud_url" in caplog.text
    assert "hunter2" not in caplog.text


def test_nonsense_changes_nothing() -> None:
    client = fake()
    for changes in ({"read_preference": "moon"}, {"colour": "blue"}, {}):
        with pytest.raises(ConfigurationError):
            change_settings(client, author="ana", **changes)
    with pytest.raises(ConfigurationError, match="author"):
        change_settings(client, author=" ", write_both=False)
    assert client.settings == SETTINGS


def test_only_real_changes_are_shown() -> None:
    assert effective_changes(SETTINGS, {"write_both": True, "read_preference": "cloud"}) == {
        "read_preference": (ReadPreference.LOCAL, ReadPreference.CLOUD)
    }
