"""Hashes whose fields expire one by one: what is done to them goes by state. The expiry guard of the writer sees keys
only, and a field may expire on the way."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from hybrid.core.resp import pack
from hybrid.core.shipping import Group
from hybrid.stores.capabilities import capabilities_of

if TYPE_CHECKING:
    from hybrid.replication.stream import Stream

__all__ = ["ASK_FIELDS", "VolatileHashes", "may_have_expiring_fields"]

ASK_FIELDS: Final = pack(("INFO", "keyspace"))
MOST: Final = 100_000
_EXPIRING = re.compile(rb"(?:subexpiry|keys_with_volatile_items)=(\d+)")


def may_have_expiring_fields(reply: Any) -> bool:
    """Whether the store may hold such a hash, from the reply to `ASK_FIELDS`; True where it does not tell."""
    counts = _EXPIRING.findall(reply) if isinstance(reply, bytes) else [b"1"]
    return any(map(int, counts)) or (not counts and b"keys=" in reply)


class VolatileHashes:
    """Those that `stream` has met. A hash that was made before it began is met by what asks for the value of a field
    (HINCRBY, HSETNX): where the source may hold such hashes it is asked then. All other commands leave the same."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._known: set[bytes] = set()
        self._lasting: set[tuple[bytes, bytes]] = set()

    @property
    def are_known(self) -> bool:
        return bool(self._known)

    @property
    def may_be_met(self) -> bool:
        """Whether there may be one that is not known."""
        stream = self._stream
        return stream.growth.may_have_expiring_fields and capabilities_of(stream.snapshots).has_field_ttl

    def meet(self, groups: Sequence[Group]) -> None:
        """Take note of those that these groups change. All fields are asked for at once: on the cloud store each
        question takes a round trip, for which writers wait while it hands the authority back."""
        for group in groups:
            if group.times_fields:
                self._learn(group.keys)
        if self.may_be_met:
            pairs = dict.fromkeys(pair for group in groups for pair in group.asked_fields)
            if asked := [pair for pair in pairs if pair not in self._lasting and pair[0] not in self._known]:
                self._ask(asked)

    def concern(self, group: Group) -> bool:
        """Whether the group, which was met, changes or reads such a hash."""
        return bool(self._known) and not self._known.isdisjoint(group.touched)

    def _ask(self, pairs: list[tuple[bytes, bytes]]) -> None:
        payload = b"".join(pack(("HPEXPIRETIME", key, "FIELDS", 1, field)) for key, field in pairs)
        for pair, reply in zip(pairs, self._stream.states.exchange(payload, len(pairs)), strict=True):
            if reply == [-1] and len(self._lasting) < MOST:
                self._lasting.add(pair)
            elif reply != [-1]:
                self._learn(pair[:1])

    def _learn(self, keys: tuple[bytes, ...]) -> None:
        if len(self._known) > MOST:
            self._known.clear()
        self._known.update(keys)
