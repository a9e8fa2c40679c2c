"""What workers recorded (see `workload`), and what became of it: lost, applied twice, or read too old."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hiredis
import redis

__all__ = ["History", "archived_values"]

ARCHIVE = "hybrid:conflicts"


@dataclass
class History:
    """What all workers recorded. Tokens are (kind, key, token)."""

    acked: list[tuple[str, str, str]] = field(default_factory=list)
    unknown: list[tuple[str, str, str]] = field(default_factory=list)
    unclear: list[Any] = field(default_factory=list)
    failed: list[Any] = field(default_factory=list)
    stale: list[Any] = field(default_factory=list)
    stale_peer: list[Any] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    commands: int = 0
    longest: tuple[float, str] = (0.0, "")
    cut_short: int = 0

    @classmethod
    def of(cls, records: Iterable[Path]) -> History:
        history = cls()
        for record in records:
            history.read(record)
        return history

    def read(self, record: Path) -> None:
        ended = False
        for line in record.read_text().splitlines():
            outcome, *details = json.loads(line)
            if outcome == "end":
                ended = True
                self.commands += details[0]
                self.longest = max(self.longest, tuple(details[1]))
                self.answers.update(details[2])
            elif outcome in ("acked", "unknown"):
                getattr(self, outcome).append(tuple(details))
            elif outcome in ("unclear", "stale", "stale-peer"):
                getattr(self, outcome.replace("-", "_")).append(details)
            else:
                self.failed.append([outcome, *details])
        self.cut_short += not ended

    def __str__(self) -> str:
        return (
            f"{self.commands} commands, {len(self.acked)} tokens acknowledged, {len(self.unclear)} outcomes unknown, "
            f"{len(self.failed)} failed, {len(self.stale)} own and {len(self.stale_peer)} other values read too old, "
            f"longest stall {self.longest[0] * 1000:.0f} ms ({self.longest[1]}), answers {dict(self.answers)}"
        )

    def lost(self, store: redis.Redis, scratch: redis.Redis) -> list[str]:
        """Acknowledged tokens that neither the store nor its conflict archive has."""
        kinds = ("counter", "gone")
        asked = {key for kind, key, _ in self.acked if kind not in kinds}
        kept = archived_values(store, scratch, asked)
        for key in asked:
            kept.setdefault(key, set()).update(values_of(store, key))
        return [token for kind, key, token in self.acked if kind not in kinds and token not in kept[key]]

    def returned(self, store: redis.Redis) -> list[str]:
        """Keys that were deleted, and are back."""
        return [key for kind, key, _ in self.acked if kind == "gone" and store.exists(key)]

    def doubled(self, store: redis.Redis) -> list[str]:
        """Tokens that a list holds more than once, and counters that counted more than was asked of them."""
        found = []
        for key in {key for kind, key, _ in [*self.acked, *self.unknown] if kind in ("list", "transaction")}:
            tokens = Counter(values_of(store, key))
            found += [token for token, count in tokens.items() if count > 1]
        asked = Counter(key for kind, key, _ in [*self.acked, *self.unknown] if kind == "counter")
        for key, count in asked.items():
            value = int(store.get(key) or 0)
            # What a killed worker had sent is in no record: one command in each thread.
            if value > count + self.cut_short:
                found.append(f"{key}: {value} for {count}")
        return found


def values_of(store: redis.Redis, key: str) -> list[str]:
    """The values in a string, list or set, the fields of a hash; none of a key that is not there."""
    kind = store.type(key)
    if kind == b"list":
        values = store.lrange(key, 0, -1)
    elif kind == b"set":
        values = list(store.smembers(key))
    elif kind == b"hash":
        values = store.hkeys(key)
    else:
        values = [value] if kind == b"string" and (value := store.get(key)) is not None else []
    return [value.decode() for value in values]


def archived_values(store: redis.Redis, scratch: redis.Redis, keys: Container[str]) -> dict[str, set[str]]:
    """What the conflict archive of `store` holds of `keys`: each entry is restored on the server `scratch` and read."""
    found: dict[str, set[str]] = {}
    for _, entry in store.xrange(ARCHIVE):
        key = entry[b"key"].decode()
        if key in keys:
            for command in commands(entry[b"restore"]):
                scratch.execute_command(*command)
            found.setdefault(key, set()).update(values_of(scratch, key))
    return found


def commands(packed: bytes) -> Iterator[list[bytes]]:
    """The commands that stand one after the other in `packed`."""
    reader = hiredis.Reader()
    reader.feed(packed)
    while command := reader.gets():
        yield command
