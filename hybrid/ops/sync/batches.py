"""How much of a sync goes together: no step may keep a server from its other clients for long."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Final, NamedTuple, TypeVar

from hybrid.core.resp import first_args
from hybrid.core.state import Absent, KeyState
from hybrid.core.syncplan import Action
from hybrid.core.work import STEP_WORK, packed_work, presumed_work
from hybrid.replication.copy import put_commands
from hybrid.stores.capabilities import Capabilities
from hybrid.types import Store

__all__ = [
    "BATCH_KEYS",
    "TRANSACTION_WORK",
    "Put",
    "batches",
    "chunked",
    "put_of",
    "rounds",
    "split_large",
    "within",
    "work_off",
]

BATCH_KEYS: Final = 1000
TRANSACTION_WORK: Final = 2 * STEP_WORK
ROUND: Final = 5
CHUNK_BYTES: Final = 1024 * 1024

TRIES: Final = 10
BUSY_S: Final = 0.02
TEMPORARY: Final = b"hybrid:tmp:"
SWAP_COMMANDS: Final = 3
"""UNLINK, RENAME, and what makes the key expire or not."""

T = TypeVar("T")


class Put(NamedTuple):
    """Packed commands that give a key its state: `filling` builds a large value in the key `temporary`, `last` then
    changes the key itself."""

    filling: list[bytes]
    last: list[bytes]

    @property
    def temporary(self) -> bytes | None:
        return first_args(self.filling[0], 2)[1] if self.filling else None

    @property
    def work(self) -> int:
        """What the key's part in a transaction costs."""
        return sum(map(packed_work, self.last))


def put_of(key: bytes, state: KeyState | Absent, can: Capabilities) -> Put:
    """What gives `key` this state on a store that can do so much."""
    return split_large(chain.from_iterable(put_commands(key, state, can)))


def split_large(commands: Iterable[bytes]) -> Put:
    """The packed commands of a plan (`hybrid.core.put_plan`), parted where the large value is swapped in."""
    whole = list(commands)
    is_large = first_args(whole[0], 2)[1].startswith(TEMPORARY)
    cut = len(whole) - SWAP_COMMANDS if is_large else 0
    return Put(whole[:cut], whole[cut:])


def batches(
    actions: Iterable[Action], most_keys: int = BATCH_KEYS, most_work: int = TRANSACTION_WORK
) -> Iterator[list[Action]]:
    """Actions with the same target, few and small enough for one transaction."""
    open_: dict[Store, list[Action]] = {store: [] for store in Store}
    works = dict.fromkeys(Store, 0)
    for action in actions:
        batch = open_[action.target]
        batch.append(action)
        works[action.target] += sum(
            presumed_work(known.kind, known.size_bytes)
            for known in (action.difference.local, action.difference.cloud)
            if known
        )
        if len(batch) == most_keys or works[action.target] > most_work:
            yield batch
            open_[action.target], works[action.target] = [], 0
    yield from (batch for batch in open_.values() if batch)


def rounds(actions: Iterable[Action]) -> Iterator[list[Action]]:
    """Actions with the same target whose keys are read together, to be written in several transactions: round trips to
    a store that is far away count more than what either server does."""
    return batches(actions, ROUND * BATCH_KEYS, ROUND * TRANSACTION_WORK)


def within(puts: Iterable[tuple[T, Put]]) -> Iterator[tuple[T, Put]]:
    """The first ones that together are no more than a transaction may carry; always one."""
    work = 0
    for item, put in puts:
        work += put.work
        if work > max(put.work, TRANSACTION_WORK):
            return
        yield item, put


def chunked(commands: list[bytes]) -> Iterator[list[bytes]]:
    """Commands to send together, at most about a megabyte."""
    chunk: list[bytes] = []
    size = 0
    for command in commands:
        chunk.append(command)
        size += len(command)
        if size > CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def work_off(batch: list[T], attempt: Callable[[list[T]], list[T]], cancel: threading.Event | None = None) -> int:
    """Try `batch` until nothing is left of it, in ever smaller parts, so that keys which are written all the time spoil
    no others; how many had to be given up."""
    cancel = cancel or threading.Event()
    parts, tries, given_up = [batch], 0, 0
    while parts:
        some = parts.pop()
        left = attempt(some)
        if len(left) < len(some):
            tries = 0
            parts += [left] if left else []
        elif len(left) > 1:
            parts += [left[len(left) // 2 :], left[: len(left) // 2]]
        elif tries < TRIES and not cancel.is_set():
            tries += 1
            cancel.wait(BUSY_S)
            parts.append(left)
        else:
            tries = 0
            given_up += 1
    return given_up
