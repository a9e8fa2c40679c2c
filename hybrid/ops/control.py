"""Steering all processes that use a pair of stores: live configuration, audit trail, and who runs which version."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Protocol

from hybrid.core.live import AuditEntry, Edit, Live, Override
from hybrid.core.outcomes import NotSent, ReplyLost
from hybrid.core.registry import Presence, Process, Role
from hybrid.errors import AllStoresDown, ConfigurationConflict, ConfigurationError
from hybrid.ops.env_file import EnvPlan, planned_env, read_env, write_env
from hybrid.replication.live_edit import Edited
from hybrid.replication.live_settings import LiveSettings
from hybrid.replication.registry import Registry
from hybrid.settings import LIVE, Ack, ReadPreference, Settings, setting_text, variable_of
from hybrid.types import Source

__all__ = [
    "LIVE",
    "PRESETS",
    "AuditEntry",
    "Changed",
    "ConfigurationConflict",
    "Control",
    "EffectiveSetting",
    "EnvPlan",
    "Live",
    "Presence",
    "Process",
    "Role",
    "effective_changes",
]

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


SECRETS: Final = frozenset(f.metadata["variable"] for f in fields(Settings) if f.metadata["secret"])


class Steered(Protocol):
    """The part of a client that steering needs."""

    @property
    def settings(self) -> Settings: ...
    @property
    def live(self) -> LiveSettings: ...
    @property
    def registry(self) -> Registry: ...
    def start(self) -> None: ...


@dataclass(frozen=True, slots=True)
class EffectiveSetting:
    """One setting in force in this process, fit to be shown: secrets are masked. `until_s` is the Unix time at which an
    override ends."""

    name: str
    variable: str
    value: Any
    source: Source
    live: bool
    until_s: float | None = None


@dataclass(frozen=True, slots=True)
class Changed:
    """What came of a change: the `version` in force, what differs by setting (before, after), the stores that were down
    (they get it when they return), and those of the settings that some connected process fixes in its code."""

    version: int
    changes: Mapping[str, tuple[Any, Any]]
    missed: tuple[str, ...]
    pinned: Mapping[str, tuple[str, ...]]


class Control:
    """Steers every process through one client of the same stores."""

    def __init__(self, client: Steered, env_file: Path = Path(".env")) -> None:
        self._client = client
        self._env_file = env_file

    # -- changing

    @property
    def version(self) -> int:
        """The version of the live configuration that this process runs; 0 while nothing was ever changed live."""
        return self._client.live.version

    @property
    def document(self) -> Live:
        """The live configuration that this process runs."""
        return self._client.live.document

    def change(self, author: str, expected_version: int | None = None, /, **settings: Any) -> Changed:
        """Change settings for every process. None for a value forgets the live one: environment or default count again.

        `expected_version` is the version that the author has seen; None changes whatever is there.

        Raises:
            ConfigurationConflict: somebody changed something since; the error names who, and what.
            ConfigurationError: a setting is unknown, not live or nonsense, or no author or change is given.
            AllStoresDown: no store takes writes.
        """
        if not settings:
            raise ConfigurationError("name at least one setting to change, such as read_preference='cloud'")
        values = {name: value for name, value in settings.items() if value is not None}
        forget = tuple(name for name, value in settings.items() if value is None)
        edit = Edit(author, time.time(), as_json(self._client.settings, values), forget)
        return self._edited(edit, expected_version)

    def override(
        self, author: str, expected_version: int | None = None, /, *, for_s: float, **settings: Any
    ) -> Changed:
        """Change settings for `for_s` seconds, then revert, in every process. Replaces an override that is in force.

        Raises as `change`.
        """
        if not settings:
            raise ConfigurationError("name at least one setting to override, such as read_preference='cloud'")
        now_s = time.time()
        override = Override(as_json(self._client.settings, settings), now_s + for_s, author)
        return self._edited(Edit(author, now_s, override=override), expected_version)

    def end_override(self, author: str, expected_version: int | None = None, /) -> Changed:
        """Revert an override before its time. Raises as `change`."""
        return self._edited(Edit(author, time.time(), ends_override=True), expected_version)

    def _edited(self, edit: Edit, expected_version: int | None) -> Changed:
        self._client.start()
        edited: Edited = self._client.live.edit(edit, expected_version)
        for name, (before, after) in edited.changes.items():
            logger.info("%s changed %s: %s -> %s", edit.author, name, before, after)
        pinned = {
            process.name: held
            for process, presence in self.processes()
            if presence is Presence.CONNECTED and (held := tuple(n for n in process.pinned if n in edited.changes))
        }
        return Changed(edited.document.version, edited.changes, tuple(map(str, edited.missed)), pinned)

    # -- looking

    def effective(self) -> tuple[EffectiveSetting, ...]:
        """Every setting in force in this process, with its source."""
        masked, override = self._client.settings.masked(), self.document.override
        rows = []
        for name, row in self._client.live.effective().items():
            until_s = override.until_s if override is not None and row.source is Source.OVERRIDE else None
            rows.append(EffectiveSetting(name, variable_of(name), masked[name], row.source, name in LIVE, until_s))
        return tuple(rows)

    def processes(self) -> tuple[tuple[Process, Presence], ...]:
        """The processes that use these stores, connected ones first. Empty while no store answers."""
        self._client.start()
        try:
            return self._client.registry.processes()
        except (NotSent, ReplyLost):
            return ()

    def audit(self, limit: int = 50) -> tuple[AuditEntry, ...]:
        """Who changed what, newest first. Raises AllStoresDown when no store answers."""
        return self._client.live.audit.history(limit)

    # -- .env

    def env_plan(self, **settings: Any) -> EnvPlan:
        """What writing these settings to `.env` would change; nothing is written. Without any: the live values.

        Raises ConfigurationError: a setting is unknown or nonsense, or the file cannot be read.
        """
        wanted = settings or {name: self.document.values[name] for name in LIVE if name in self.document.values}
        changed = self._client.settings.with_changes(**wanted)
        texts = {variable_of(name): setting_text(getattr(changed, name)) for name in wanted}
        return planned_env(self._env_file, read_env(self._env_file), texts, secret=SECRETS)

    def write_env(self, author: str, plan: EnvPlan) -> None:
        """Write a plan that was looked at. Raises ConfigurationError if the file was changed meanwhile, or cannot be
        written."""
        write_env(plan)
        logger.info("%s wrote %s to %s", author, ", ".join(plan.variables), plan.path)
        self.note(author, ".env", dict.fromkeys(plan.variables, (None, "written")))

    def note(self, author: str, what: str, changes: Mapping[str, tuple[Any, Any]] = MappingProxyType({})) -> bool:
        """Add a line to the audit trail; False when no store takes it, which is logged."""
        try:
            self._client.live.audit.note(AuditEntry(self.version, time.time(), author, what, changes))
        except AllStoresDown:
            logger.warning("no store takes the note for the audit trail: %s, %s", author, what)
            return False
        return True


def as_json(settings: Settings, changes: Mapping[str, Any]) -> dict[str, Any]:
    """The values as the document keeps them, checked. Raises ConfigurationError."""
    changed = settings.with_changes(**changes)
    found = {}
    for name in changes:
        value = getattr(changed, name)
        found[name] = value.value if isinstance(value, Ack | ReadPreference) else value
    return found


def effective_changes(settings: Settings, changes: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """What `changes` would really change, by setting: (before, after), fit to be shown (secrets masked).

    Raises:
        ConfigurationError: a change is unknown or nonsense.
    """
    changed = settings.with_changes(**changes)
    before, after = settings.masked(), changed.masked()
    names = [name for name in changes if getattr(changed, name) != getattr(settings, name)]
    return {name: (before[name], after[name]) for name in names}
