"""Pages of what a key holds on both stores."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from hybrid.types import Store

__all__ = ["Element", "ElementPage", "Place", "element", "merged"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page begins: a cursor, rank, index or id of the store that leads. `extras`: what only that store has."""

    leader: Store
    at: bytes
    extras: bool = False


@dataclass(frozen=True, slots=True)
class Element:
    """A field, item, member or entry: `name` is the field, index, member or id; None is what a store lacks.

    `local` and `cloud` are its value there (of a set: the member, of a sorted set: the score, of a stream: a line
    `name=value` for each field, of a time series: the sample, of a vector set: the attributes, if any, and on a line of
    its own the vector). `*_expires_at_ms` are of hash fields.
    """

    name: bytes
    local: bytes | None
    cloud: bytes | None
    local_expires_at_ms: int | None = None
    cloud_expires_at_ms: int | None = None

    @property
    def same(self) -> bool:
        return self.local == self.cloud


@dataclass(frozen=True, slots=True)
class ElementPage:
    """`next` is None after the last page. `passed` says how many elements were looked at: of the other store's for such
    that the leading one lacks, of the leading one's (about) for such that match. `drawn`: these are some of many that
    the server does not give in order."""

    elements: tuple[Element, ...]
    next: Place | None
    passed: int = 0
    drawn: bool = False


def element(name: bytes, values: Mapping[Store, bytes | None]) -> Element:
    return Element(name, values.get(Store.LOCAL), values.get(Store.CLOUD))


def merged(
    found: Mapping[Store, Mapping[bytes, bytes]],
    place: Place,
    count: int,
    order: Callable[[bytes], Any],
    behind: Callable[[bytes], bytes],
    *,
    last_first: bool = False,
) -> ElementPage:
    """A page of what has the same order on both stores, each of which gave its next `count` elements by name. `behind`
    says where the next page begins after the last name of this one."""
    names = sorted(set().union(*found.values()), key=order, reverse=last_first)[:count]
    rows = [element(name, {s: values[name] for s, values in found.items() if name in values}) for name in names]
    more = replace(place, at=behind(names[-1])) if len(names) == count else None
    return ElementPage(tuple(rows), more)
