"""The first look at keys on both stores: whatever is not plainly equal becomes a suspect."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, Protocol

import redis

from hybrid.core.cost import SLICE_KEYS
from hybrid.core.drift import UNREAD, Scope, Sighting, causes_between
from hybrid.core.state_replies import now_ms
from hybrid.ops.diff.file import Suspect
from hybrid.ops.diff.line import Line
from hybrid.ops.diff.readers import FactsReader, Found, ScriptReader, slices
from hybrid.ops.diff.scripts import QUICK_SCRIPT, sha_of

__all__ = ["FactsLook", "Look", "QuickLook", "absent_locally", "look_at"]

QUICK_SHA = sha_of(QUICK_SCRIPT)
EXISTS_KEYS = 200
WINDOW_SLICES = 40
UNEQUAL_SLICES = 40
TRIAL_SLICES = 40


class Look(Protocol):
    """Takes keys, gives suspects."""

    def feed(self, keys: Sequence[bytes]) -> list[Suspect]:
        """Look at these keys; the suspects known by now, of these or of earlier ones."""
        ...

    def drain(self) -> list[Suspect]:
        """The suspects still owed: afterwards every key fed has been looked at."""
        ...


def look_at(local: FactsReader, cloud: FactsReader, keys: Sequence[bytes]) -> dict[bytes, Sighting]:
    """Both sides of every key, one right after the other, with the servers' clocks."""
    if isinstance(cloud, ScriptReader):
        cloud.ask(keys)  # both servers work at the same time
    here = local.facts(keys)
    there = cloud.facts(keys, here)
    local_now_ms = clock_ms(local.line, here, there)
    cloud_now_ms = clock_ms(cloud.line, there, here)
    return {key: Sighting(here[key], there[key], local_now_ms, cloud_now_ms) for key in keys}


def clock_ms(line: Line, mine: Found, other: Found) -> int:
    """The server's clock, asked only when it matters: for a key that only this side has, and that expires."""
    if any(facts and facts.expires_at_ms is not None and other[key] is None for key, facts in mine.items()):
        return now_ms(line.ask((b"TIME",))[0])
    return 0


class FactsLook:
    """Compares the facts of every key; the local store's are hints for the cloud's."""

    def __init__(self, local: FactsReader, cloud: FactsReader, ttl_tolerance_ms: int) -> None:
        self._local = local
        self._cloud = cloud
        self._tolerance_ms = ttl_tolerance_ms

    def feed(self, keys: Sequence[bytes]) -> list[Suspect]:
        sightings = look_at(self._local, self._cloud, keys)
        differ = (item for item in sightings.items() if causes_between(item[1], ttl_tolerance_ms=self._tolerance_ms))
        return [(key, sighting, 0) for key, sighting in differ]

    def drain(self) -> list[Suspect]:
        return []


class QuickLook:
    """Compares one digest for a whole slice of keys, and the facts of its keys only where those differ. A key that only
    one store has is suspected unread: it is read when it is looked at again.

    Several slices are on their way to both servers at once, so that both work while replies are awaited. It begins with
    the cheapest digest, and takes the next one when that finds differences in too many slices that are none.
    """

    def __init__(self, local: ScriptReader, cloud: ScriptReader, ttl_tolerance_ms: int) -> None:
        self._readers = (local, cloud)
        self._facts = FactsLook(local, cloud, ttl_tolerance_ms)
        self._sent: deque[Sequence[bytes]] = deque()
        self._unequal: list[bytes] = []
        self._one_sided: list[Suspect] = []
        self._dumps = True
        self._slices = self._unequal_slices = 0

    def feed(self, keys: Sequence[bytes]) -> list[Suspect]:
        self.ask(list(slices(keys, SLICE_KEYS)))
        while len(self._sent) > WINDOW_SLICES:
            self.settle()
        unsettled = len(self._unequal) + len(self._one_sided)
        return self.drain() if unsettled > UNEQUAL_SLICES * SLICE_KEYS else []

    def ask(self, asked: Sequence[Sequence[bytes]]) -> None:
        """Have both servers digest these slices."""
        dumps = b"1" if self._dumps else b"0"
        for reader in self._readers:
            reader.line.send([(b"EVALSHA", QUICK_SHA, b"%d" % len(s), *s, *reader.flags, dumps) for s in asked])
        self._sent.extend(asked)

    def drain(self) -> list[Suspect]:
        while self._sent:
            self.settle()
        unequal, self._unequal = self._unequal, []
        found, self._one_sided = self._one_sided, []
        for part in slices(unequal, 10 * SLICE_KEYS):
            found += self._facts.feed(part)
        return found

    def settle(self) -> None:
        """Take the replies to the oldest slice."""
        keys = self._sent.popleft()
        here, there = (read_reply(reader.line) for reader in self._readers)
        done, _, big, absent = here
        if absent != there[3]:
            self._unequal += self._on_both(keys, absent, there[3])
            return
        if here == there:
            self._unequal += [keys[index - 1] for index in big]
            if done < len(keys):
                self.ask(list(slices(keys[done:], done)))
        else:
            self._unequal += keys
            self._unequal_slices += 1
        self._slices += 1
        if self._dumps and self._slices >= TRIAL_SLICES:
            self._dumps = self._unequal_slices < self._slices / 4
            self._slices = self._unequal_slices = 0

    def _on_both(self, keys: Sequence[bytes], absent_here: Sequence[int], absent_there: Sequence[int]) -> list[bytes]:
        """The keys of a slice that neither store is known to lack; those that one lacks are suspected."""
        missing_here, missing_there = frozenset(absent_here), frozenset(absent_there)
        found: list[bytes] = []
        for index, key in enumerate(keys, 1):
            if (index in missing_here) is not (index in missing_there):
                sides = (None, UNREAD) if index in missing_here else (UNREAD, None)
                self._one_sided.append((key, Sighting(*sides), 0))
            elif index not in missing_here:
                found.append(key)
        return found


def read_reply(line: Line) -> Any:
    reply = line.read_response()
    if isinstance(reply, redis.ResponseError):
        raise reply
    return reply


def absent_locally(line: Line, keys: Sequence[bytes], scope: Scope) -> list[bytes]:
    """Those of the cloud's keys that the local store lacks, or holds as another type than the one in scope."""
    if scope.kind and keys:
        kinds = line.ask(*((b"TYPE", key) for key in keys))
        wanted = {scope.kind.encode()} if scope.kind != "json" else {b"ReJSON-RL", b"json"}
        return [key for key, kind in zip(keys, kinds, strict=True) if kind not in wanted]
    groups = list(slices(keys, EXISTS_KEYS))
    counts = line.ask(*((b"EXISTS", *group) for group in groups)) if groups else []
    unsure = [key for group, count in zip(groups, counts, strict=True) if count < len(group) for key in group]
    present = line.ask(*((b"EXISTS", key) for key in unsure)) if unsure else []
    return [key for key, there in zip(unsure, present, strict=True) if not there]
