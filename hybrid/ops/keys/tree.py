"""Keys as folders, cut at a separator. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["Folder", "Level", "level_of"]


@dataclass(frozen=True, slots=True)
class Folder:
    """Keys that begin with `prefix` (with the separator at its end), `count` of those found."""

    prefix: bytes
    name: bytes
    count: int


@dataclass(frozen=True, slots=True)
class Level:
    """What lies right below a prefix. `complete`: all keys were seen; else counts are at least."""

    folders: tuple[Folder, ...]
    keys: tuple[bytes, ...]
    complete: bool


def level_of(names: Iterable[bytes], prefix: bytes, complete: bool, separator: bytes = b":") -> Level:
    """The folders, most keys first, and the keys, in order, of those `names` that begin with `prefix`."""
    counts: dict[bytes, int] = {}
    keys: list[bytes] = []
    for name in list(names):
        if not name.startswith(prefix):
            continue
        part, found, _ = name[len(prefix) :].partition(separator)
        if found:
            counts[part] = counts.get(part, 0) + 1
        else:
            keys.append(name)
    folders = (Folder(prefix + part + separator, part, count) for part, count in counts.items())
    return Level(tuple(sorted(folders, key=lambda one: (-one.count, one.name))), tuple(sorted(keys)), complete)
