"""The live configuration: one document for all processes, kept on both stores, with a version, an author and a time.

    explicit argument > live > environment > .env > default

An edit is made against the newest copy and raises the version by one; of two copies the higher version wins, and
between equal ones (edited on both sides of a partition) the later edit.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

from hybrid.errors import ConfigurationConflict, ConfigurationError
from hybrid.types import Source

__all__ = [
    "NOTHING",
    "AuditEntry",
    "Edit",
    "Effective",
    "Live",
    "Override",
    "Touch",
    "effective_values",
    "planned_edit",
]

LONGEST_OVERRIDE_S: Final = 30 * 86400.0


@dataclass(frozen=True, slots=True)
class Override:
    """Values that hold until a moment (Unix time), in place of what is set."""

    values: Mapping[str, Any]
    until_s: float
    author: str


@dataclass(frozen=True, slots=True)
class Touch:
    """Who changed a setting last, in which version."""

    version: int
    author: str
    at_s: float


@dataclass(frozen=True, slots=True)
class Live:
    """One version of the document. `values` by setting name, as JSON knows them; version 0 is none at all."""

    version: int = 0
    author: str = ""
    at_s: float = 0.0
    values: Mapping[str, Any] = field(default_factory=dict)
    override: Override | None = None
    touched: Mapping[str, Touch] = field(default_factory=dict)

    @property
    def stamp(self) -> tuple[int, float, str]:
        """Sorts documents: the greater one wins."""
        return self.version, self.at_s, self.author

    def overrides(self, now_s: float) -> Mapping[str, Any]:
        """What is overridden at this moment."""
        return self.override.values if self.override is not None and now_s < self.override.until_s else {}

    def in_force(self, now_s: float) -> dict[str, Any]:
        return {**self.values, **self.overrides(now_s)}

    @property
    def record(self) -> bytes:
        """As it stands on a store, and as it is pushed."""
        return json.dumps(asdict(self), separators=(",", ":"), sort_keys=True).encode()

    @classmethod
    def parse(cls, record: bytes | None) -> Live:
        """Raises ValueError for anything that is not a document."""
        if record is None:
            return NOTHING
        try:
            fields = json.loads(record)
            override = fields["override"]
            return cls(
                version=int(fields["version"]),
                author=str(fields["author"]),
                at_s=float(fields["at_s"]),
                values=dict(fields["values"]),
                override=None if override is None else Override(**override),
                touched={name: Touch(**touch) for name, touch in fields["touched"].items()},
            )
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"not a live configuration: {error}") from None


NOTHING: Final = Live()


@dataclass(frozen=True, slots=True)
class Edit:
    """What somebody wants changed. `forget`: settings that go back to the environment's or default value;
    `ends_override`: also when it is not over yet."""

    author: str
    at_s: float
    values: Mapping[str, Any] = field(default_factory=dict)
    forget: tuple[str, ...] = ()
    override: Override | None = None
    ends_override: bool = False


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One line of the audit trail: who changed what, when; `changes` by setting: (before, after), None for not set.

    `what` is `set`, `override`, `override ended`, `superseded`, `equalized` or `.env`.
    """

    version: int
    at_s: float
    author: str
    what: str
    changes: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)

    @property
    def fields(self) -> tuple[bytes, ...]:
        """As a stream keeps it."""
        changes = json.dumps({name: list(pair) for name, pair in self.changes.items()}, separators=(",", ":"))
        values = {"version": self.version, "at": repr(self.at_s), "who": self.author, "what": self.what}
        return tuple(str(part).encode() for pair in {**values, "changes": changes}.items() for part in pair)

    @classmethod
    def parse(cls, parts: Iterable[bytes]) -> AuditEntry:
        """Raises ValueError or KeyError for anything else."""
        texts = [part.decode() for part in parts]
        found = dict(zip(texts[::2], texts[1::2], strict=True))
        changes = {name: (pair[0], pair[1]) for name, pair in json.loads(found["changes"]).items()}
        return cls(int(found["version"]), float(found["at"]), found["who"], found["what"], changes)


def planned_edit(current: Live, edit: Edit, expected_version: int | None) -> tuple[Live, AuditEntry] | None:
    """The next document and its line in the audit trail; None when the edit changes nothing.

    Raises:
        ConfigurationConflict: somebody else's change came between `expected_version` and now.
        ConfigurationError: no author, or an override that ends too early or too late.
    """
    if not edit.author.strip():
        raise ConfigurationError("say who changes the settings: author must not be empty")
    if expected_version is not None and expected_version != current.version:
        raise ConfigurationConflict(expected_version, current.version, _since(current, expected_version))
    override = edit.override
    if override is not None and not 0 < override.until_s - edit.at_s <= LONGEST_OVERRIDE_S:
        raise ConfigurationError("an override lasts more than 0 seconds and at most 30 days")
    values = {name: value for name, value in {**current.values, **edit.values}.items() if name not in edit.forget}
    kept = None if edit.ends_override else override or current.override
    if values == current.values and kept == current.override:
        return None
    version = current.version + 1
    changes = _changes(current.in_force(edit.at_s), {**values, **(kept.values if kept else {})})
    touch = Touch(version, edit.author, edit.at_s)
    planned = Live(
        version=version,
        author=edit.author,
        at_s=edit.at_s,
        values=values,
        override=kept,
        touched={**current.touched, **dict.fromkeys(changes, touch)},
    )
    what = "override" if override is not None else "override ended" if edit.ends_override else "set"
    if edit.ends_override and current.override is not None:
        # Whether it ended by the clock or by hand: what it held is what went away.
        changes = _changes({**current.values, **current.override.values}, values)
        planned = replace(planned, touched={**planned.touched, **dict.fromkeys(changes, touch)})
    return planned, AuditEntry(version, edit.at_s, edit.author, what, changes)


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    names = sorted({*before, *after})
    return {name: (before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name)}


def _since(current: Live, version: int) -> tuple[str, ...]:
    """Who changed what after `version`, in words."""
    later = sorted(((touch, name) for name, touch in current.touched.items() if touch.version > version), key=_order)
    return tuple(f"{touch.author} changed {name} (version {touch.version})" for touch, name in later)


def _order(item: tuple[Touch, str]) -> tuple[int, str]:
    return item[0].version, item[1]


@dataclass(frozen=True, slots=True)
class Effective:
    """One setting in force, and where its value comes from."""

    value: Any
    source: Source


def effective_values(
    base: Mapping[str, Any], sources: Mapping[str, Source], live: Live, now_s: float
) -> dict[str, Effective]:
    """Every setting of `base` as it is in force: the live value, unless the program fixed it by an argument."""
    overrides = live.overrides(now_s)
    found = {}
    for name, value in base.items():
        source = sources.get(name, Source.DEFAULT)
        if source is not Source.ARGUMENT:
            if name in overrides:
                value, source = overrides[name], Source.OVERRIDE
            elif name in live.values:
                value, source = live.values[name], Source.LIVE
        found[name] = Effective(value, source)
    return found
