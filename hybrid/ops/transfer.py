"""Move data in and out: keys as JSON lines or as a file of commands, and selected keys from one store to the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import islice, starmap
from typing import IO, Final

import hiredis

from hybrid.client import HybridRedis
from hybrid.core.authority import position
from hybrid.core.drift import Difference, Scope, Sighting, causes_between
from hybrid.core.export import json_line, parsed_line, resp_commands
from hybrid.core.names import RESERVED, refuse_own
from hybrid.core.resp import pack
from hybrid.core.state import Absent, KeyState, Unsupported
from hybrid.core.syncplan import Direction, Policy, Prefer, SyncEnding, SyncResult, plan_actions
from hybrid.core.work import presumed_work
from hybrid.errors import ConfigurationError, HybridError
from hybrid.ops.sync import archive
from hybrid.ops.sync.batches import TRANSACTION_WORK, chunked, put_of, work_off
from hybrid.ops.sync.options import NO_OPTIONS, SyncOptions
from hybrid.ops.sync.pair import Pair
from hybrid.ops.sync.run import IMPORT, new_id, run
from hybrid.types import Store

__all__ = [
    "Conflict",
    "Format",
    "ImportResult",
    "copy_keys",
    "export_keys",
    "import_keys",
    "listed_keys",
    "resp_lines",
]

PAGE_KEYS: Final = 500
BATCH_KEYS: Final = 200
CONFIRM_S: Final = 5.0
ALL: Final = Scope()


class Format(StrEnum):
    """JSON lines hold one key each; RESP is the protocol's own form of commands, as `redis-cli --pipe` takes it."""

    JSON = "json"
    RESP = "resp"


class Conflict(StrEnum):
    """What happens to a key that is there already."""

    SKIP = "skip"
    OVERWRITE = "overwrite"
    LONGER_TTL = "longer-ttl"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class ImportResult:
    """`created` and `overwritten` keys were written (in a preview: would be), `skipped` ones were there already,
    `expired` ones had no time left, `busy` ones were written by others again and again. `undo` is the id with which
    `undo_sync` takes it back: what it overwrote, and what it created."""

    created: int = 0
    overwritten: int = 0
    skipped: int = 0
    expired: int = 0
    busy: int = 0
    undo: str | None = None


Entry = tuple[bytes, KeyState]


def listed_keys(client: HybridRedis, scope: Scope = ALL, *, store: Store | None = None) -> Iterator[bytes]:
    """Keys of one store (default: the one that takes writes), some perhaps twice, without hybrid's own."""
    with Pair.of(client, both=False) as pair:
        yield from pair.scan(store or pair.authority, scope)


def export_keys(
    client: HybridRedis,
    out: IO[bytes],
    scope: Scope = ALL,
    *,
    store: Store | None = None,
    form: Format = Format.JSON,
    on_progress: Callable[[int], None] = lambda _: None,
    on_unsupported: Callable[[bytes], None] | None = None,
) -> int:
    """Write the keys in `scope` of one store (default: the one that takes writes) to `out`; returns how many.

    Reads about four commands a key. Each key is consistent in itself; those that change meanwhile may be of different
    moments. A key of a module's type, which cannot be exported, is left out and told to `on_unsupported`. Raises
    StoreUnavailable, and ConfigurationError for such a key where nobody is to be told.
    """

    def write(key: bytes, state: KeyState | Absent) -> bool:
        if not isinstance(state, KeyState):
            return False
        if isinstance(state.body, Unsupported) and on_unsupported is not None:
            on_unsupported(key)
            return False
        out.writelines(encoded(key, state, form))
        return True

    count = 0
    with Pair.of(client, both=False) as pair:
        source = store or pair.authority
        keys = iter(dict.fromkeys(scope.keys)) if scope.keys is not None else pair.scan(source, scope)
        while page := list(islice(keys, BATCH_KEYS)):
            count += sum(starmap(write, pair.read_each(source, page)))  # keeps no value while the next one is read
            on_progress(count)
    return count


def encoded(key: bytes, state: KeyState, form: Format) -> Iterable[bytes]:
    if form is Format.JSON:
        return json_line(key, state).encode(), b"\n"
    if isinstance(state.body, Unsupported):
        raise ConfigurationError(f"{key!r} is of type {state.kind}, which cannot be exported")
    return map(pack, resp_commands(key, state))


def import_keys(
    client: HybridRedis,
    lines: Iterable[str | bytes],
    *,
    conflict: Conflict = Conflict.SKIP,
    preview: bool = False,
    options: SyncOptions = NO_OPTIONS,
    on_progress: Callable[[ImportResult], None] = lambda _: None,
) -> ImportResult:
    """Write the keys that `export_keys` wrote as JSON lines, through the log as any write; `preview` writes nothing.

    Each batch is one guarded transaction: what others write meanwhile is never overwritten unseen. `undo_sync` takes it
    back, also one that was cut off. Raises ConfigurationError for a line that is no key (those before it are
    written), and for the first key that is there already under `Conflict.FAIL`; StoreUnavailable.
    """
    with Pair.of(client, both=False) as pair:
        importer = Importer(pair, conflict, preview, options)
        try:
            for batch in batches(entries_in(lines)):
                importer.add(batch)
                on_progress(importer.result)
        except ConfigurationError:
            importer.remember()
            raise
        importer.remember()
        return importer.result


def entries_in(lines: Iterable[str | bytes]) -> Iterator[Entry]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            key, state = parsed_line(line.decode(errors="surrogateescape") if isinstance(line, bytes) else line)
            refuse_own((key,))
        except ConfigurationError as error:
            raise ConfigurationError(f"line {number}: {error}") from None
        yield key, state


def batches(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    batch: dict[bytes, Entry] = {}
    work = 0
    for key, state in entries:
        batch[key] = (key, state)
        work += presumed_work(state.kind, state.size_bytes)
        if len(batch) == BATCH_KEYS or work > TRANSACTION_WORK:
            yield list(batch.values())
            batch, work = {}, 0
    if batch:
        yield list(batch.values())


class Importer:
    """Writes batches of keys to the authority, logged by state."""

    def __init__(self, pair: Pair, conflict: Conflict, preview: bool, options: SyncOptions) -> None:
        self._pair = pair
        self._conflict = conflict
        self._preview = preview
        self._options = options
        self._id = new_id()
        self._started_at_s = time.time()
        self._begun = None if preview else archive.begin(pair, self._id, IMPORT, "*", options)
        self.result = ImportResult()

    def add(self, batch: list[Entry]) -> None:
        alive = [(key, state) for key, state in batch if state.expires_at_ms is None or not self._is_over(state)]
        self._count(expired=len(batch) - len(alive))
        if alive:
            self._count(busy=work_off(alive, self._attempt))

    def _is_over(self, state: KeyState) -> bool:
        return state.expires_at_ms is not None and state.expires_at_ms <= time.time() * 1000

    def _attempt(self, some: list[Entry]) -> list[Entry]:
        pair, store = self._pair, self._pair.authority
        with pair.guard(store, [key for key, _ in some]) as guard:
            here = pair.read(store, [key for key, _ in some])
            ready = [(key, state) for key, state in some if self._wins(key, state, here[key])]
            fresh = sum(isinstance(here[key], Absent) for key, _ in ready)
            if ready and not self._preview:
                can = pair.can(store)
                puts = [put_of(key, state, can) for key, state in ready]
                commands = [command for put in puts for command in put.last]
                for chunk in chunked([command for put in puts for command in put.filling]):
                    pair.send(store, chunk)
                records = [archive.undo_record(pair, store, key, here[key], pair.facts(state)) for key, state in ready]
                if self._options.undo:
                    commands = [*archive.undo_commands(pair.names, self._id, self._options, store, records), *commands]
                    self.result = replace(self.result, undo=self._id)
                if pair.is_logged:
                    named = [part for key, _ in ready for part in (b"s", key)]
                    commands.append(pack(("XADD", pair.names.log, "*", *named)))
                replies = guard.commit(commands)
                if replies is None:
                    return some
                if pair.is_logged:
                    pair.confirm(store, position(replies[-1]), CONFIRM_S)
        self._count(created=fresh, overwritten=len(ready) - fresh, skipped=len(some) - len(ready))
        return []

    def _wins(self, key: bytes, state: KeyState, here: KeyState | Absent) -> bool:
        if isinstance(here, Absent):
            return True
        if self._conflict is Conflict.FAIL:
            raise ConfigurationError(f"{key!r} is there already; choose what happens then: skip, overwrite, longer-ttl")
        if self._conflict is Conflict.LONGER_TTL:
            forever = float("inf")
            return (state.expires_at_ms or forever) > (here.expires_at_ms or forever)
        return self._conflict is Conflict.OVERWRITE

    def _count(self, **more: int) -> None:
        self.result = replace(self.result, **{name: getattr(self.result, name) + n for name, n in more.items()})

    def remember(self) -> None:
        """Put what was overwritten into the history, so that it can be undone."""
        if self._begun is None:
            return
        if self.result.undo is None:
            archive.drop(self._pair, self._begun)
            return
        result, now_s = self.result, time.time()
        done = SyncResult(
            id=self._id,
            direction=IMPORT,
            pattern="*",
            author=self._options.author,
            started_at_s=self._started_at_s,
            ended_at_s=now_s,
            ending=SyncEnding.FINISHED,
            copied=result.created + result.overwritten,
            kept=result.skipped,
            busy=result.busy,
            undo_until_s=now_s + self._options.undo_keep_s,
        )
        archive.record(self._pair, done, self._begun)


def resp_lines(client: HybridRedis, source: IO[bytes], on_progress: Callable[[int], None] = lambda _: None) -> int:
    """Run a file of commands in Redis's protocol, in order, as the application itself would; returns how many.

    Raises ConfigurationError where the file is no such, CommandRefused and redis.ResponseError at the first command
    that is refused; the ones before it have run.
    """
    count = 0
    for batch in chunks(commands_in(source), PAGE_KEYS):
        with client.pipeline(transaction=False) as pipeline:
            for command in batch:
                pipeline.execute_command(*command)
            pipeline.execute()
        count += len(batch)
        on_progress(count)
    return count


def commands_in(source: IO[bytes]) -> Iterator[list[bytes]]:
    reader = hiredis.Reader()
    while block := source.read(256 * 1024):
        reader.feed(block)
        try:
            while (command := reader.gets()) is not False:
                if not isinstance(command, list) or not command or not all(isinstance(part, bytes) for part in command):
                    raise ConfigurationError("this file holds no commands in Redis's protocol")
                yield command
        except hiredis.ProtocolError as error:
            raise ConfigurationError(f"this file holds no commands in Redis's protocol: {error}") from None
    if reader.has_data():
        raise ConfigurationError("the file ends in the middle of a command")


def chunks(commands: Iterable[list[bytes]], size: int) -> Iterator[list[list[bytes]]]:
    waiting = iter(commands)
    while chunk := list(islice(waiting, size)):
        yield chunk


def copy_keys(
    client: HybridRedis, keys: Sequence[bytes], direction: Direction, *, options: SyncOptions = NO_OPTIONS
) -> SyncResult:
    """Make these keys on one store as they are on the other; a key that the other lacks is left alone.

    A sync of selected keys: guarded, through the log, with undo. Raises HybridError without a direction,
    ConfigurationError when there is none of the keys to copy, and as `hybrid.ops.sync.run.apply_plan`.
    """
    if direction.target is None:
        raise HybridError("say from which store to copy: cloud-to-local or local-to-cloud")
    names, source = [key for key in dict.fromkeys(keys) if not key.startswith(RESERVED)], direction.target.other
    with Pair.of(client) as pair:
        if len(list(pair.absent(source, names))) == len(names):
            raise ConfigurationError(f"the {source} store has none of these keys")
        policy = Policy(direction, Prefer.ASK)
        found = list(differing(pair, names))
        return run(pair, lambda: plan_actions(found, policy), f"copy {direction.value}", "*", options)


def differing(pair: Pair, keys: Sequence[bytes]) -> Iterator[Difference]:
    for start in range(0, len(keys), BATCH_KEYS):
        some = keys[start : start + BATCH_KEYS]
        local, cloud = pair.read(Store.LOCAL, some), pair.read(Store.CLOUD, some)
        for key in some:
            seen = Sighting(pair.facts(local[key]), pair.facts(cloud[key]))
            if causes := causes_between(seen):
                yield Difference(key, causes, seen.local, seen.cloud)
