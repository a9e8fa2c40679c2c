"""One diff on disk: its sums, its differences, and where it stopped. Results never have to fit in memory."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import asdict, replace
from itertools import combinations
from pathlib import Path
from typing import Any, Final

from hybrid.core.cost import Cost
from hybrid.core.drift import Cause, Difference, DiffResult, Ending, Facts, Scope, Sighting
from hybrid.errors import ConfigurationError

__all__ = ["DiffFile", "Suspect", "history", "last_rotation"]

KEPT: Final = 20
SUFFIX: Final = ".diff"
SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS suspects (
    key BLOB PRIMARY KEY, local TEXT, cloud TEXT, steady INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS differences (
    key BLOB PRIMARY KEY, cause TEXT NOT NULL, causes TEXT NOT NULL, local TEXT, cloud TEXT, detail TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS differences_by_causes ON differences (causes, key);
"""

TOGETHER: Final = [",".join(some) for size in range(1, len(Cause) + 1) for some in combinations(Cause, size)]
"""All that can stand under `causes`: so a filter by cause finds its keys by the index."""

Suspect = tuple[bytes, Sighting, int]
"""A key, its last sighting and for how many looks it has stood still."""


class DiffFile:
    """A diff's SQLite file. Any thread may use it, and another process read it. Close it, or use it as a context."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._db = sqlite3.connect(path, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.executescript(SCHEMA)

    @classmethod
    def find(cls, folder: Path, diff_id: str) -> DiffFile:
        """The diff of this id in `folder`. Raises ConfigurationError when there is none."""
        path = folder / f"{diff_id}{SUFFIX}"
        if not diff_id.replace("-", "").isalnum() or not path.is_file():
            raise ConfigurationError(
                f"there is no diff {diff_id!r} in {folder}; see those that are there with --history"
            )
        return cls(path)

    @classmethod
    def create(cls, folder: Path, diff_id: str) -> DiffFile:
        """A new one; the oldest beyond twenty in `folder` are removed."""
        folder.mkdir(parents=True, exist_ok=True)
        for old in sorted(folder.glob(f"*{SUFFIX}"))[: -KEPT + 1]:
            for path in (old, Path(f"{old}-wal"), Path(f"{old}-shm")):
                path.unlink(missing_ok=True)
        path = folder / f"{diff_id}{SUFFIX}"
        path.touch(mode=0o600)  # keys may be private
        return cls(path)

    @property
    def id(self) -> str:
        return self.path.name.removesuffix(SUFFIX)

    # -- what was found

    @property
    def result(self) -> DiffResult:
        """The sums so far; final once the diff has ended. Raises ConfigurationError of a diff that never began."""
        known = self.recall("result")
        if known is None:
            raise ConfigurationError(f"{self.path} holds no diff")
        counts: Counter[Cause] = Counter()
        for names, count in self._rows("SELECT causes, count(*) FROM differences GROUP BY causes"):
            counts.update(dict.fromkeys(causes_of(names), count))
        return DiffResult(
            **{
                **known,
                "scope": self.scope,
                "ending": Ending(known["ending"]),
                "different": self.different,
                "counts": counts,
                "estimated": Cost(**known["estimated"]),
                "actual": Cost(**known["actual"]),
            }
        )

    def differences(
        self, *causes: Cause, containing: bytes = b"", offset: int = 0, limit: int | None = None
    ) -> Iterator[Difference]:
        """The confirmed differences in order of their keys, only those with one of `causes` if any are given, and only
        of keys that contain `containing`."""
        where, values = chosen(causes, containing)
        last = -1 if limit is None else limit
        query = f"SELECT key, causes, local, cloud, detail FROM differences {where} ORDER BY key LIMIT ? OFFSET ?"
        with closing(sqlite3.connect(self.path, check_same_thread=False)) as db:
            for key, names, local, cloud, detail in db.execute(query, (*values, last, offset)):
                yield Difference(key, causes_of(names), facts_from(local), facts_from(cloud), detail)

    def count(self, *causes: Cause, containing: bytes = b"") -> int:
        """How many differences there are of these."""
        where, values = chosen(causes, containing)
        return int(self._rows(f"SELECT count(*) FROM differences {where}", values)[0][0])

    def confirm(self, differences: Iterable[Difference]) -> None:
        rows = [
            (d.key, d.cause, ",".join(d.causes), facts_text(d.local), facts_text(d.cloud), d.detail)
            for d in differences
        ]
        self._write("INSERT OR REPLACE INTO differences VALUES (?, ?, ?, ?, ?, ?)", rows)
        self.clear([row[0] for row in rows])

    @property
    def different(self) -> int:
        return int(self._rows("SELECT count(*) FROM differences")[0][0])

    # -- what is only suspected

    def suspect(self, suspects: Iterable[Suspect]) -> None:
        rows = [(key, facts_text(s.local), facts_text(s.cloud), steady) for key, s, steady in suspects]
        self._write("INSERT OR REPLACE INTO suspects VALUES (?, ?, ?, ?)", rows)

    def clear(self, keys: Iterable[bytes]) -> None:
        self._write("DELETE FROM suspects WHERE key = ?", [(key,) for key in keys])

    def suspects(self, after: bytes | None, limit: int) -> list[Suspect]:
        """The next `limit` suspects in order of their keys, behind `after`; None for the first ones."""
        where = "" if after is None else "WHERE key > ?"
        query = f"SELECT key, local, cloud, steady FROM suspects {where} ORDER BY key LIMIT {limit:d}"
        rows = self._rows(query, () if after is None else (after,))
        return [(key, Sighting(facts_from(local), facts_from(cloud)), steady) for key, local, cloud, steady in rows]

    @property
    def suspected(self) -> int:
        return int(self._rows("SELECT count(*) FROM suspects")[0][0])

    # -- where it stands

    def remember(self, **facts: Any) -> None:
        """Keep facts for a later process, and all that was written before with them."""
        rows = [(name, json.dumps(value)) for name, value in facts.items()]
        self._write("INSERT OR REPLACE INTO meta VALUES (?, ?)", rows)
        with self._lock:
            self._db.commit()

    def remember_result(self, result: DiffResult, **facts: Any) -> None:
        """Keep the sums, with the facts that they belong to: a process that is killed leaves both or neither."""
        kept = asdict(replace(result, scope=Scope(), counts={}))
        sums = {name: value for name, value in kept.items() if name not in ("scope", "counts")}
        self.remember(result=sums, **facts)

    def remember_scope(self, scope: Scope) -> None:
        keys = None if scope.keys is None else [key.hex() for key in scope.keys]
        self.remember(scope=[scope.pattern.hex(), scope.kind, keys])

    @property
    def scope(self) -> Scope:
        pattern, kind, keys = self.recall("scope")
        return Scope(bytes.fromhex(pattern), kind, None if keys is None else tuple(map(bytes.fromhex, keys)))

    def recall(self, name: str) -> Any:
        """What was remembered under `name`; None if nothing was."""
        rows = self._rows("SELECT value FROM meta WHERE name = ?", (name,))
        return json.loads(rows[0][0]) if rows else None

    def close(self) -> None:
        with self._lock:
            self._db.commit()
            self._db.close()

    def __enter__(self) -> DiffFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _rows(self, query: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._db.execute(query, values).fetchall()

    def _write(self, statement: str, rows: list[Any]) -> None:
        with self._lock:
            self._db.executemany(statement, rows)


def chosen(causes: tuple[Cause, ...], containing: bytes) -> tuple[str, tuple[Any, ...]]:
    """The condition of a query for some of the differences, and its values."""
    named = [names for names in TOGETHER if not set(causes).isdisjoint(causes_of(names))]
    conditions = [f"causes IN ({','.join('?' * len(named))})"] * bool(causes)
    conditions += ["instr(key, ?) > 0"] * bool(containing)
    values = (*named, containing) if containing else tuple(named)
    return f"WHERE {' AND '.join(conditions)}" if conditions else "", values


def causes_of(names: str) -> tuple[Cause, ...]:
    return tuple(map(Cause, names.split(",")))


def facts_text(facts: Facts | None) -> str | None:
    if facts is None:
        return None
    return json.dumps([facts.kind, facts.fingerprint.hex(), facts.expires_at_ms, facts.size_bytes, facts.groups.hex()])


def facts_from(text: str | None) -> Facts | None:
    if text is None:
        return None
    kind, fingerprint, expires_at_ms, size_bytes, groups = json.loads(text)
    return Facts(kind, bytes.fromhex(fingerprint), expires_at_ms, size_bytes, bytes.fromhex(groups))


def history(folder: Path) -> list[DiffResult]:
    """The diffs in `folder`, the newest first; those that never began are left out."""
    results = []
    for path in sorted(folder.glob(f"*{SUFFIX}"), reverse=True):
        try:
            with DiffFile(path) as file:
                results.append(file.result)
        except (ConfigurationError, sqlite3.DatabaseError):
            continue
    return results


def last_rotation(folder: Path) -> int:
    """The number of the last diff's sample of expiries; -1 before the first one."""
    for path in sorted(folder.glob(f"*{SUFFIX}"))[-1:]:
        with DiffFile(path) as file:
            return int(file.recall("rotation") or 0)
    return -1
