"""Steering a running client: live settings, with an author for the record, and the presets of the guide."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Protocol

from hybrid.errors import ConfigurationError
from hybrid.settings import Ack, ReadPreference, Settings

__all__ = ["PRESETS", "change_settings", "effective_changes"]

logger = logging.getLogger("hybrid.control")

PRESETS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        # Fastest: the cloud is left alone while code changes.
        "development": MappingProxyType({"write_both": False, "read_preference": ReadPreference.LOCAL}),
        # Every acknowledged write survives the loss of either store.
        "production": MappingProxyType(
            {
                "write_both": True,
                "ack": Ack.BOTH,
                "read_preference": ReadPreference.LOCAL,
                "sync_enabled": True,
            }
        ),
        # No local server worth reading from (no Docker): the cloud answers.
        "remote": MappingProxyType({"write_both": True, "read_preference": ReadPreference.CLOUD}),
    }
)


class Steered(Protocol):
    """The part of `HybridRedis` that live configuration needs."""

    @property
    def settings(self) -> Settings: ...
    def change_settings(self, **changes: Any) -> Settings: ...


def effective_changes(settings: Settings, changes: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """What `changes` would really change, by setting: (before, after), fit to be shown (secrets masked).

    Raises:
        ConfigurationError: a change is unknown or nonsense.
    """
    changed = settings.with_changes(**changes)
    before, after = settings.masked(), changed.masked()
    names = [name for name in changes if getattr(changed, name) != getattr(settings, name)]
    return {name: (before[name], after[name]) for name in names}


def change_settings(client: Steered, *, author: str, **changes: Any) -> Settings:
    """Change live settings of `client`; `author` (a person or a process) is written to the log beside them.

    Raises:
        ConfigurationError: no author or no change was given, or a change is unknown or nonsense; nothing was changed.
    """
    if not author.strip():
        raise ConfigurationError("say who changes the settings: author must not be empty")
    if not changes:
        raise ConfigurationError("name at least one setting to change, such as read_preference='cloud'")
    shown = effective_changes(client.settings, changes)
    settings = client.change_settings(**changes)
    for name, (before, after) in shown.items():
        logger.info("%s changed %s: %s -> %s", author, name, before, after)
    return settings
