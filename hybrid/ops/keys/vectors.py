"""Vector sets of both stores: what each says of itself, its elements page by page, and what lies near one of them."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import redis

from hybrid.core.refusals import is_unknown_command
from hybrid.core.state_replies import pairs
from hybrid.errors import HybridError
from hybrid.ops.diff.line import Line
from hybrid.ops.keys.lines import Lines
from hybrid.ops.keys.paging import ElementPage, Place, element
from hybrid.stores.exchange import exchange
from hybrid.types import Store

__all__ = ["VectorsInfo", "attributes_in", "read_nearest", "read_vectors_info", "vectors"]

MOST_A_PAGE: Final = 25
"""Each element takes two commands on each store."""

MOST_NUMBERS: Final = 48 * 1024
"""On a page: long vectors come in shorter pages."""

DRAWN: Final = 1000
NEAREST: Final = 10
FIRST: Final = b"-"


@dataclass(frozen=True, slots=True)
class VectorsInfo:
    """A vector set by its own word. `quantisation` is f32, int8 or bin; `projected_from`: the dimension of what is
    added, where the server reduces it to `dimension`; `links`: the most that an element has on each level above the
    lowest; `levels`: of the graph; `with_attributes`: how many elements have some."""

    elements: int
    dimension: int
    quantisation: str
    projected_from: int | None
    links: int
    levels: int
    with_attributes: int


def read_vectors_info(lines: Lines, store: Store, key: bytes) -> VectorsInfo | None:
    """One command; None when the store lacks the key. Raises StoreUnavailable, HybridError."""
    return lines.run(store, lambda line: info(line, key))


def info(line: Line, key: bytes) -> VectorsInfo | None:
    [reply] = line.ask((b"VINFO", key))
    if reply is None:
        return None
    facts = pairs(reply)
    return VectorsInfo(
        facts[b"size"],
        facts[b"vector-dim"],
        facts[b"quant-type"].decode(),
        facts.get(b"projection-input-dim") or None,
        facts[b"hnsw-m"],
        facts[b"max-level"] + 1,
        facts.get(b"attributes-count", 0),
    )


def vectors(
    lines: Lines, stores: Sequence[Store], key: bytes, place: Place | None, count: int, name: bytes | None
) -> ElementPage:
    """A page of elements in the order of their names, or the one of this name. Of a large set whose server does not
    give them in order (Redis 8.0 and 8.2), some that it draws."""
    place = place or Place(stores[0], FIRST)
    leading = lines.run(stores[0], lambda line: info(line, key))
    dimension = leading.dimension if leading else 1
    count = max(1, min(count, MOST_A_PAGE, MOST_NUMBERS // dimension))
    drawn = False
    names = [] if name is None else [name]
    if name is None:
        found = [lines.run(store, lambda line: next_names(line, key, place.at, count)) for store in stores]
        drawn = any(one is None for one in found)
        if drawn:
            found = [lines.run(stores[0], lambda line: line.ask((b"VRANDMEMBER", key, b"%d" % count))[0])]
        names = sorted(set().union(*(one or () for one in found)))[:count]
    values = {store: lines.run(store, lambda line: held(line, key, names, dimension)) for store in stores}
    rows = [element(one, {store: there[one] for store, there in values.items()}) for one in names]
    more = replace(place, at=b"(" + names[-1]) if name is None and not drawn and len(names) == count else None
    return ElementPage(tuple(row for row in rows if row.local is not None or row.cloud is not None), more, drawn=drawn)


def next_names(line: Line, key: bytes, at: bytes, count: int) -> list[bytes] | None:
    """The names from `at` on, in order; None where the server gives them in none and they are too many to be sorted
    here."""
    [reply] = exchange(line, [(b"VRANGE", key, at, b"+", b"%d" % count)])
    if not isinstance(reply, redis.ResponseError):
        return list(reply)
    if not is_unknown_command(reply):
        raise reply
    card, names = line.ask((b"VCARD", key), (b"VRANDMEMBER", key, b"%d" % DRAWN))
    if card > DRAWN:
        return None
    return sorted(name for name in names or () if at == FIRST or name > at[1:])[:count]


def held(line: Line, key: bytes, names: Sequence[bytes], dimension: int) -> Mapping[bytes, bytes | None]:
    """What the store has of the elements of these names, as text."""
    if not names:
        return {}
    replies = line.ask(*((b"VEMB", key, name, b"RAW") for name in names), *((b"VGETATTR", key, name) for name in names))
    raws, attributes = replies[: len(names)], replies[len(names) :]
    return {
        name: None if raw is None else _text(unquantised(raw, dimension), told)
        for name, raw, told in zip(names, raws, attributes, strict=True)
    }


def _text(vector: Sequence[float], attributes: bytes | None) -> bytes:
    numbers = ", ".join(f"{number:.6g}" for number in vector)
    return b"%b[%b]" % (b"" if attributes is None else attributes + b"\n", numbers.encode())


def attributes_in(value: bytes) -> bytes | None:
    """The attributes out of an element's text; None when it has none."""
    attributes, end, _vector = value.rpartition(b"\n")
    return attributes if end else None


def unquantised(raw: Sequence[Any], dimension: int) -> list[float]:
    """The numbers out of VEMB RAW: a unit vector as the server keeps it, and its length; of one in bits, the signs."""
    kind, packed, length, *scale = raw
    match kind:
        case b"f32":
            unit: Sequence[float] = struct.unpack(f"<{len(packed) // 4}f", packed)
        case b"int8":
            unit = [byte * float(scale[0]) / 127 for byte in struct.unpack(f"{len(packed)}b", packed)]
        case b"bin":
            bits = int.from_bytes(packed, "little")
            return [1.0 if bits >> at & 1 else -1.0 for at in range(dimension)]
        case _:
            raise HybridError(f"vectors that are kept as {kind.decode(errors='replace')} cannot be read here")
    return [number * float(length) for number in unit]


def read_nearest(
    lines: Lines,
    stores: Sequence[Store],
    key: bytes,
    to: bytes | tuple[float, ...],
    where: str = "",
    count: int = NEAREST,
) -> dict[Store, tuple[tuple[bytes, float], ...]]:
    """What lies nearest to a vector, or to an element that these stores have: names, and how near (1: the same
    direction), each by its own graph. `where`: a condition on attributes, as the server's FILTER has them
    (`.year > 1980`). Raises StoreUnavailable, HybridError."""
    asked = (b"ELE", to) if isinstance(to, bytes) else (b"VALUES", b"%d" % len(to), *(repr(x).encode() for x in to))
    options = (b"FILTER", where.encode()) if where else ()
    command = (b"VSIM", key, *asked, b"WITHSCORES", b"COUNT", b"%d" % (count + 1), *options)
    found: dict[Store, tuple[tuple[bytes, float], ...]] = {}
    for store in stores:
        scores = pairs(lines.run(store, lambda line: line.ask(command)[0]))
        near = [(other, float(score)) for other, score in scores.items() if other != to]
        found[store] = tuple(near[:count])
    return found
