"""How much of a sync goes together: no step may keep a server from its other clients for long."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeVar

from hybrid.core.resp import first_args
from hybrid.core.state import KeyState
from hybrid.core.syncplan import Action
from hybrid.ops.sync.archive import States
from hybrid.types import Store

__all__ = ["BATCH_BYTES", "BATCH_KEYS", "batches", "chunked", "split_large", "within", "work_off"]

BATCH_KEYS: Final = 1000
BATCH_BYTES: Final = 128 * 1024
"""The values of one transaction: a few milliseconds of the server's time."""

TRIES: Final = 10
BUSY_S: Final = 0.02
TEMPORARY: Final = b"hybrid:tmp:"

T = TypeVar("T")


def batches(actions: Iterable[Action]) -> Iterator[list[Action]]:
    """Actions with the same target, few and small enough for one step."""
    open_: dict[Store, list[Action]] = {store: [] for store in Store}
    sizes = dict.fromkeys(Store, 0)
    for action in actions:
        batch = open_[action.target]
        batch.append(action)
        sizes[action.target] += sum(known.size_bytes for store in Store if (known := action.facts(store)))
        if len(batch) == BATCH_KEYS or sizes[action.target] > 4 * BATCH_BYTES:
            yield batch
            open_[action.target], sizes[action.target] = [], 0
    yield from (batch for batch in open_.values() if batch)


def within(actions: list[Action], source: States) -> Iterator[Action]:
    """The first ones whose values together are no more than a transaction may carry; always one."""
    size = 0
    for action in actions:
        state = source[action.key]
        size += state.size_bytes if isinstance(state, KeyState) else 0
        yield action
        if size > BATCH_BYTES:
            return


def split_large(commands: Iterable[bytes]) -> tuple[list[bytes], list[bytes]]:
    """The commands that build a large value in a temporary key, and those that change the key itself."""
    filling: list[bytes] = []
    last: list[bytes] = []
    for command in commands:
        name, key = first_args(command, 2)
        (filling if key.startswith(TEMPORARY) and name != b"RENAME" else last).append(command)
    return filling, last


def chunked(commands: list[bytes]) -> Iterator[list[bytes]]:
    """Commands to send together, at most about a megabyte."""
    chunk: list[bytes] = []
    size = 0
    for command in commands:
        chunk.append(command)
        size += len(command)
        if size > 8 * BATCH_BYTES:
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
