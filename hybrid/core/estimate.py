"""What comparing two stores will cost, from a sample of their keys."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from typing import Final

from hybrid.core.cost import (
    DIGESTED_STRING_BYTES,
    MGET_KEYS,
    PIECE_ELEMENTS,
    PIECE_TOTAL_BYTES,
    PIECES_TOGETHER,
    REPLY_BYTES,
    SCAN_KEYS,
    SLICE_BYTES,
    SLICE_KEYS,
    TTL_SAMPLE,
    Cost,
    Strategy,
    usd_of,
)
from hybrid.core.spending import Price
from hybrid.core.work import CHUNK_BYTES, READ_ELEMENTS

__all__ = ["Census", "Sampled", "diff_cost"]

PAGES_ON_THE_WAY: Final = 4
CALL_BYTES: Final = 200
"""What a call of a script and its reply take beside the names of its keys."""

DIGESTED_KEYS_PER_S: Final = 100_000.0
DIGESTED_ELEMENTS_PER_S: Final = 2_000_000.0
DIGESTED_BYTES_PER_S: Final = 400_000_000.0
PIECE_S: Final = 0.0016
STRING_PIECE_S: Final = 0.0006
"""How long both servers take for a piece of a big key, one after the other."""

READ_KEYS_PER_S: Final = 25_000.0
READ_STRINGS_PER_S: Final = 600_000.0
READ_BYTES_PER_S: Final = 200_000_000.0
LINK_BYTES_PER_S: Final = 10_000_000.0
NEAR_S: Final = 0.002
"""A store that answers sooner is no further away than the next machine: its link is no limit."""

PROOF_COMMANDS: Final = 9
"""What it takes to read a value in chunks, beside these."""

FRAME_COMMANDS: Final = {"string": 2, "stream": 14}
"""What it takes to digest a big key, beside its pieces: its expiry, the groups of a stream."""

ELEMENT_BYTES: Final = 48
"""Memory that an element of a small collection takes, about."""

STRINGS: Final = {"hash": 2, "zset": 2, "stream": 4}
"""How many strings an element of a collection is in a reply."""

STRING_BYTES: Final = 8
"""What each of them takes there beside its content."""

HIDDEN_SHARE: Final = 0.25
LEAST_HIDDEN_BYTES: Final = 16 * 1024 * 1024
"""A store that takes so much more memory than its sample suggests has big keys that the sample lacks."""

HIDDEN_PIECE_BYTES: Final = PIECE_ELEMENTS * 100
"""Of such keys only the memory is known: as much as a piece of a hash or a sorted set takes."""


@dataclass(frozen=True, slots=True)
class Sampled:
    """A key of the sample: its type, the bytes of its value, the memory it takes. `elements` is known of a big one
    only, which is compared piece by piece; 0 for the others."""

    kind: str
    size_bytes: int
    memory_bytes: int
    elements: int = 0

    @property
    def is_big(self) -> bool:
        return self.elements > 0

    @property
    def elements_about(self) -> float:
        return self.elements or (1.0 if self.kind == "string" else self.memory_bytes / ELEMENT_BYTES)

    @property
    def pieces(self) -> int:
        """In how many pieces a server digests it."""
        most = PIECE_ELEMENTS // 2 if self.kind == "stream" else PIECE_ELEMENTS
        by_elements = 0 if self.kind == "string" else ceil(self.elements / most)
        return max(by_elements, ceil(self.size_bytes / PIECE_TOTAL_BYTES)) if self.is_big else 0

    @property
    def digest_commands(self) -> int:
        """What it takes beside the slice that finds it to be big."""
        return self.pieces + FRAME_COMMANDS.get(self.kind, FRAME_COMMANDS["string"]) if self.is_big else 0

    @property
    def read_commands(self) -> float:
        """What reading its value takes, its share of what is read with others."""
        if self.size_bytes > REPLY_BYTES:
            each = READ_ELEMENTS.get(self.kind)
            return PROOF_COMMANDS + max(self.elements / each if each else 0, self.size_bytes / CHUNK_BYTES)
        return max(1 / MGET_KEYS, self.size_bytes / REPLY_BYTES) if self.kind == "string" else 1.0

    @property
    def strings(self) -> float:
        """How many strings its value is in a reply."""
        return 1.0 if self.kind == "string" else self.elements_about * STRINGS.get(self.kind, 1)

    @property
    def reply_bytes(self) -> float:
        """What its value takes on the way."""
        return self.size_bytes + STRING_BYTES * self.strings


@dataclass(frozen=True, slots=True)
class Census:
    """What is known of both stores before: keys in scope, the mean size of their names in bytes, a sample of the keys,
    how long a command takes to the cloud and back, and the memory that all the keys take, None if that is not known."""

    local_keys: int
    cloud_keys: int
    key_bytes: float
    sample: tuple[Sampled, ...]
    round_trip_s: float
    memory_bytes: int | None = None

    def total(self, of: Callable[[Sampled], float]) -> float:
        """The sum over all local keys, as far as the sample tells."""
        return self.local_keys * sum(map(of, self.sample)) / len(self.sample) if self.sample else 0.0

    @property
    def hidden_bytes(self) -> float:
        """Memory of keys so big and rare that the sample has none of them."""
        if self.memory_bytes is None:
            return 0.0
        hidden = self.memory_bytes - self.total(lambda key: key.memory_bytes)
        return hidden if hidden > max(LEAST_HIDDEN_BYTES, HIDDEN_SHARE * self.memory_bytes) else 0.0


def diff_cost(
    census: Census, strategy: Strategy, price: Price, *, all_ttls: bool, listed: bool = False, digests: bool = False
) -> Cost:
    """The estimated cost of a diff of two stores that hold nearly the same. What differs costs more: a few commands for
    each such key. `listed`: the keys are given, so that nothing is scanned. `digests`: both have DIGEST."""
    local, cloud = census.local_keys, census.cloud_keys
    scans = 0 if listed else ceil(cloud / SCAN_KEYS)
    names_bytes = (local + (0 if listed else cloud)) * census.key_bytes
    hidden_pieces = census.hidden_bytes / HIDDEN_PIECE_BYTES
    pieces = census.total(lambda key: key.pieces) + hidden_pieces
    values_bytes: float
    if strategy is Strategy.DIGEST:
        small_bytes = census.total(lambda key: 0 if key.is_big else key.size_bytes)
        small_elements = census.total(lambda key: 0 if key.is_big else key.elements_about)
        slices = max(local / SLICE_KEYS, small_bytes / SLICE_BYTES)
        commands = round(slices + census.total(lambda key: key.digest_commands) + hidden_pieces)
        values_bytes = CALL_BYTES * commands
        seconds = small_elements / DIGESTED_ELEMENTS_PER_S + small_bytes / DIGESTED_BYTES_PER_S
        together = min(PIECES_TOGETHER, max(1.0, census.total(lambda key: key.is_big)))
        seconds += (local + cloud / 10) / DIGESTED_KEYS_PER_S + pieces * census.round_trip_s / together
        seconds += hidden_pieces * PIECE_S
        seconds += census.total(lambda key: key.pieces * (STRING_PIECE_S if key.kind == "string" else PIECE_S))
    else:
        ttls = local if all_ttls or strategy is Strategy.READ else ceil(local / TTL_SAMPLE)

        def digested(key: Sampled) -> bool:
            return digests and key.kind == "string" and key.size_bytes > DIGESTED_STRING_BYTES

        commands = round(census.total(lambda key: 1 if digested(key) else key.read_commands)) + ttls
        values_bytes = census.total(lambda key: CALL_BYTES if digested(key) else key.reply_bytes)
        values_bytes += census.hidden_bytes / 2
        strings = census.total(lambda key: key.strings)
        seconds = (local + cloud / 10) / READ_KEYS_PER_S + strings / READ_STRINGS_PER_S
        seconds += values_bytes / READ_BYTES_PER_S + hidden_pieces * PIECE_S
    cloud_bytes = round(names_bytes + values_bytes)
    round_trips = scans + ceil(local / SCAN_KEYS / PAGES_ON_THE_WAY)
    if census.round_trip_s > NEAR_S:
        seconds = max(seconds, cloud_bytes / LINK_BYTES_PER_S)
    return Cost(
        local_commands=2 * ceil(local / SLICE_KEYS) + ceil(pieces) + scans,
        cloud_commands=commands + scans,
        local_bytes=round(names_bytes),
        cloud_bytes=cloud_bytes,
        seconds=seconds + round_trips * census.round_trip_s,
        usd=usd_of(price, commands + scans, cloud_bytes),
    )
