"""The conflict archive: look at values that lost, agree, have them back, or throw them away.

The archive stands on both stores; what is done here is written to the one that takes writes, and logged, as any write.
Where nothing else is said, functions raise HybridError for an id that is not in the archive, and AllStoresDown.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

import redis

from hybrid.client import HybridRedis
from hybrid.core import flows
from hybrid.core.actions import Ask
from hybrid.core.commands import lookup, policy_of
from hybrid.core.conflict import Command, Conflict, Side, expires_at_ms, is_same_value
from hybrid.core.resp import pack, unpack, unpack_all
from hybrid.core.state import Absent
from hybrid.core.write import Write
from hybrid.errors import ConfigurationError, HybridError
from hybrid.replication.archive import ENTRY_BYTES, fitted, put_of
from hybrid.replication.copy import read_state
from hybrid.replication.records import several
from hybrid.stores.capabilities import capabilities_of
from hybrid.types import Store

__all__ = [
    "ENTRY_BYTES",
    "Conflict",
    "Side",
    "count",
    "discard",
    "discard_all",
    "find",
    "is_decided",
    "keep",
    "listed",
    "restore",
]

logger = logging.getLogger("hybrid.control")

IDS_AT_ONCE: Final = 500


def count(client: HybridRedis) -> int:
    """How many conflicts are in the archive."""
    return int(_ask(client, "XLEN", _archive(client)))


def listed(client: HybridRedis, *, limit: int = 100, before: str | None = None) -> list[Conflict]:
    """Conflicts, the latest first; to page on, pass the id of the last one as `before`."""
    start = f"({before}" if before else "+"
    entries = _ask(client, "XREVRANGE", _archive(client), start, "-", "COUNT", limit)
    return [Conflict.parse(entry_id, flat) for entry_id, flat in entries]


def find(client: HybridRedis, conflict_id: str) -> Conflict:
    """The conflict with this id."""
    entries = _entries(client, conflict_id)
    if not entries:
        raise HybridError(f"there is no conflict {conflict_id}; see `python -m hybrid conflicts list`")
    return entries[0]


def is_decided(client: HybridRedis, conflict: Conflict) -> bool:
    """Whether the value that won is still the one in the store: nobody has written the key since."""
    return is_same_value(_live(client, conflict.key), conflict.kept.value)


def keep(client: HybridRedis, conflict_id: str, *, author: str, force: bool = False) -> Conflict:
    """Agree with what was kept: the conflict leaves the archive. The conflict as it was.

    Raises HybridError, with nothing changed, when the key was written since, unless `force`.
    """
    conflict = find(client, conflict_id)
    if not force and not is_decided(client, conflict):
        raise HybridError(_changed(conflict))
    _remove(client, [conflict_id], author, "keeps the live value of")
    _drop_apart(client, [conflict])
    return conflict


def restore(client: HybridRedis, conflict_id: str, *, author: str, force: bool = False) -> Conflict:
    """Make the archived value live again, on both stores; the value that it replaces takes its place in the archive.

    Raises HybridError, with nothing changed, when the key was written since, unless `force`; when the archived value's
    time to live is over; and when the key is written at this very moment.
    """
    conflict = find(client, conflict_id)
    ends_at_ms = expires_at_ms(conflict.lost.value)
    if ends_at_ms is not None and ends_at_ms <= time.time() * 1000:
        raise HybridError(f"nothing was changed: the archived value of {conflict_id} has expired since")
    archived = list(_archived(client, conflict))
    with client.pipeline() as pipe:
        pipe.watch(conflict.key)
        live = _live(client, conflict.key)
        if not force and not is_same_value(live, conflict.kept.value):
            raise HybridError(_changed(conflict))
        pipe.multi()
        for command in archived:
            pipe.execute_command(*command)
        _archive_replaced(client, conflict, live, author)
        try:
            pipe.execute()
        except redis.WatchError:
            raise HybridError(f"the key of {conflict_id} is being written just now; try again") from None
    _remove(client, [conflict_id], author, "restores the archived value of")
    _drop_apart(client, [conflict])
    return conflict


def discard(client: HybridRedis, conflict_ids: Sequence[str], *, author: str) -> int:
    """Throw archived values away for good; how many there were of these."""
    discarded = [entry for conflict_id in conflict_ids for entry in _entries(client, conflict_id)]
    removed = sum(
        _remove(client, conflict_ids[start : start + IDS_AT_ONCE], author, "discards")
        for start in range(0, len(conflict_ids), IDS_AT_ONCE)
    )
    _drop_apart(client, discarded)
    return removed


def discard_all(client: HybridRedis, *, author: str) -> int:
    """Empty the archive; how many conflicts it held."""
    discarded = list(_large(client))
    removed = int(_write(client, author, "XTRIM", _archive(client), "MAXLEN", 0))
    _drop_apart(client, discarded)
    logger.info("%s discards all %d conflicts", author, removed)
    return removed


def _entries(client: HybridRedis, conflict_id: str) -> list[Conflict]:
    """The conflict with this id; none when there is none, or it is no id."""
    try:
        return [Conflict.parse(*entry) for entry in _ask(client, "XRANGE", _archive(client), conflict_id, conflict_id)]
    except redis.ResponseError:
        return []


def _large(client: HybridRedis) -> Iterator[Conflict]:
    """The conflicts whose archived value stands in a key of its own."""
    page = listed(client)
    while page:
        yield from (conflict for conflict in page if conflict.lost.apart is not None)
        page = listed(client, before=page[-1].id)


def _drop_apart(client: HybridRedis, conflicts: Sequence[Conflict]) -> None:
    """Values in keys of their own go with their entries. Where their store does not answer, they end by themselves, 30
    days after they lost."""
    for store in Store:
        found = [conflict.lost.apart for conflict in conflicts if conflict.lost.store is store]
        keys = [key for key in found if key is not None]
        if not keys:
            continue
        try:
            wire = client._engine.endpoints[store].connect_raw(timeout_s=10.0)
            try:
                several(wire, ("UNLINK", *keys))
            finally:
                wire.disconnect()
        except (HybridError, redis.RedisError, OSError) as error:
            logger.info("%s store keeps %d large archived values for now: %s", store, len(keys), error)


def _changed(conflict: Conflict) -> str:
    if not conflict.kept.value:
        return f"nothing was changed: what was kept of {conflict.id} is too large to be compared; insist with force"
    return f"nothing was changed: the key of {conflict.id} was written since; look at it, then insist with force"


def _archive(client: HybridRedis) -> bytes:
    client.start()
    return client._engine.names.conflicts


def _ask(client: HybridRedis, *command: Any) -> Any:
    """The authority's answer, in bytes."""
    engine, payload = client._engine, pack(command)
    flow = flows.ask_authority(
        engine.board, lambda store: Ask(store, payload, decode=False), str(command[0]), idempotent=True
    )
    reply = engine.drive(flow)[0]
    if isinstance(reply, Exception):
        raise reply
    return reply


def _live(client: HybridRedis, key: bytes) -> bytes:
    """The live value, as the commands that make it."""
    return _read(client, client._engine.board.authority.store, key, key)


def _archived(client: HybridRedis, conflict: Conflict) -> Iterator[Command]:
    """The commands that make the archived value, also of one that was too large for the archive: it stands in a key of
    its own, on one of the stores."""
    for command in conflict.lost.commands:
        if command[0] == b"COPY":
            yield from unpack_all(_read(client, conflict.lost.store, command[1], conflict.key))
        else:
            yield command


def _read(client: HybridRedis, store: Store, at: bytes, key: bytes) -> bytes:
    """The value that stands at `at`, as the commands that make it at `key`. Raises HybridError where the store cannot
    be read, or hybrid's own key is gone."""
    engine = client._engine
    wire = engine.endpoints[store].connect_raw(timeout_s=10.0)
    try:
        state, _ = read_state(wire, at, log_key=engine.names.log)
        if isinstance(state, Absent) and at != key:
            raise HybridError(f"nothing was changed: {at.decode(errors='backslashreplace')} is gone")
        return put_of(key, state, capabilities_of(wire))
    finally:
        wire.disconnect()


def _archive_replaced(client: HybridRedis, conflict: Conflict, live: bytes, author: str) -> None:
    """The two values have changed places. One that is too large for the archive stands where it was live."""
    engine = client._engine
    store = engine.board.authority.store
    since = None if is_same_value(live, conflict.kept.value) else Side(conflict.kept.store, live)
    replaced = Conflict(
        "",
        conflict.key,
        lost=since or replace(conflict.kept, value=live),
        kept=conflict.lost,
        why=f"replaced when {author} restored {conflict.id}",
    )
    replaced, aside = fitted(replaced, conflict.id.encode())
    if aside:
        lost, kept = replace(replaced.lost, store=store), replace(replaced.kept, store=store.other)
        replaced = replace(replaced, lost=lost, kept=kept)
        wire = engine.endpoints[store].connect_raw(timeout_s=10.0)
        try:
            several(wire, *map(tuple, map(unpack, aside)))
        finally:
            wire.disconnect()
    _write(client, author, "XADD", _archive(client), "*", *replaced.fields)


def _remove(client: HybridRedis, conflict_ids: Sequence[str], author: str, deed: str) -> int:
    if not conflict_ids:
        return 0
    removed = int(_write(client, author, "XDEL", _archive(client), *conflict_ids))
    logger.info("%s %s %s", author, deed, ", ".join(conflict_ids))
    return removed


def _write(client: HybridRedis, author: str, *args: Any) -> Any:
    """Run and log a write to the archive, which applications cannot write."""
    if not author.strip():
        raise ConfigurationError("say who decides: author must not be empty")
    if not client.settings.replicated:
        raise HybridError("the archive belongs to a pair of stores: set UPSTASH_REDIS_URL and REDIS_WRITE_BOTH=true")
    command = lookup(args)
    write = Write(args, pack(args), command, policy_of(command, args))
    reply = client._engine.drive(client.written((write,), decode=False)).replies[0]
    if isinstance(reply, Exception):
        raise reply
    return reply
