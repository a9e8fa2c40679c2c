"""Anti-entropy: every `REDIS_SYNC_INTERVAL` seconds the process that ships compares the next keys, and repairs them.

Each step takes a page of the cloud's keys and one of the local ones, going round and round, and what was found to
differ before. What differs is merged: the cloud's value wins, so that what was written there directly arrives, and a
key on one store alone is copied to the other. A newer local write wins over both: its key is in the log, or breaks the
guard. Nothing is deleted.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, cast
from zlib import crc32

import redis
from redis.connection import Connection

from hybrid.client import HybridRedis
from hybrid.core.cost import is_sampled
from hybrid.core.divergence import Divergence
from hybrid.core.drift import Difference, Sighting, causes_between
from hybrid.core.names import RESERVED
from hybrid.core.syncplan import Direction, Policy, Prefer, SyncResult, plan_actions
from hybrid.errors import HybridError
from hybrid.ops.diff.line import Account, Line
from hybrid.ops.diff.looks import look_at
from hybrid.ops.diff.readers import FactsReader, PlainReader, ScriptReader, can_run_scripts
from hybrid.ops.sync.options import LEAST_COMMANDS, SyncOptions
from hybrid.ops.sync.pair import Pair
from hybrid.ops.sync.run import run
from hybrid.replication.engine import Engine
from hybrid.stores.capabilities import capabilities_of
from hybrid.stores.wire import Wire
from hybrid.types import Store, StoreState

__all__ = ["DAILY_COMMANDS", "AntiEntropy", "Divergence", "read_divergence"]

logger = logging.getLogger("hybrid.sync")

PAGE_KEYS: Final = 1000
FREE_PAGES: Final = 20
"""Pages of each store in one step where commands are free: a moment's work, whatever the size of the store."""

DAILY_COMMANDS: Final = 3000
"""On a cloud store that has its price: less than a third of what an idle day may cost."""

STEP_COMMANDS: Final = 300
BILLED_PAGE_KEYS: Final = 200
"""A page of so few keys takes at most about so many commands; with less left, a step waits for its share of the day."""

START: Final = "0"
END: Final = "end"
TRIES: Final = 3
LEFT_ALONE: Final = 10_000
AUTHOR: Final = "periodic sync"


def read_divergence(client: HybridRedis) -> Divergence | None:
    """What the periodic sync, wherever it runs, measured last; None when it never ran."""
    with client.store(client.status().authority) as store:
        return Divergence.parse(store.get(client._engine.names.divergence))


class AntiEntropy:
    """`run` goes on beside the engine until it closes, and works only while this process ships, so one does at a time.
    `step` does one step now."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._pair: Pair | None = None
        self._wires: dict[Store, Wire] = {}
        self._looks: tuple[FactsReader, FactsReader, FactsReader]
        self._runs: list[str | None]
        self._billed = False
        self._rotation = 0
        self._since_s: dict[bytes, float] = {}
        self._tried: dict[bytes, tuple[Difference, int]] = {}

    def run(self) -> None:
        """A step every `sync_interval_s`, as long as the settings want it."""
        board, began_s = self._engine.board, time.monotonic()
        try:
            while not board.closing:
                left_s = began_s + board.settings.sync_interval_s - time.monotonic()
                if left_s > 0:
                    board.wait(left_s)
                    continue
                began_s = time.monotonic()
                if self._is_due():
                    self._try_step()
        finally:
            self._forget()

    def _is_due(self) -> bool:
        board = self._engine.board
        settings = board.settings
        up = all(board.state(store) is StoreState.UP for store in Store)
        return settings.replicated and settings.sync_enabled and board.shipping and up

    def _try_step(self) -> None:
        try:
            self.step()
        except (HybridError, redis.RedisError, OSError) as error:
            logger.info("the periodic sync was interrupted, and goes on at its next turn: %s", error)
            self._forget()
        except Exception:  # the next turn comes, whatever was wrong with this one
            logger.exception("the periodic sync failed")
            self._forget()

    def step(self) -> Divergence:
        """Compare the next keys and repair what differs. Raises StoreUnavailable, HybridError or redis.RedisError."""
        pair = self._opened()
        before = self._recorded(pair).in_runs(*self._runs).on(time.strftime("%Y-%m-%d", time.gmtime()))
        spent_before = pair.cloud_commands
        most = self._budget(before)
        if most is not None and most < STEP_COMMANDS:
            return before  # nothing is compared, so nothing new is known
        self._rotation = before.rounds
        now, differing = before, list[Difference]()
        for turn in range(FREE_PAGES):
            spent = pair.cloud_commands - spent_before
            if most is not None and spent + STEP_COMMANDS > most:
                break
            if turn == 0:
                differing += self._compared(pair, list(self._since_s)[:BILLED_PAGE_KEYS])
            if now.cloud_cursor == now.local_cursor == START:
                now = replace(now, began_s=time.time())
            now, keys = self._next_keys(pair, now)
            found = self._compared(pair, keys)
            differing += found
            now = replace(now, sampled=now.sampled + len(keys), differed=now.differed + len(found))
            if now.cloud_cursor == now.local_cursor == END:
                now = replace(now.next_round(), cloud_cursor=START, local_cursor=START)
                break
        left = None if most is None else most - (pair.cloud_commands - spent_before)
        repaired = self._repair(pair, list({found.key: found for found in differing}.values()), left)
        now = self._noted(now, differing, repaired, pair.cloud_commands - spent_before)
        pair.ask(pair.authority, ("SET", pair.names.divergence, now.packed))
        return now

    # -- comparing

    def _opened(self) -> Pair:
        if self._pair is None:
            self._pair = Pair(self._engine)
        self._pair.check()
        self._pair.refresh()
        wires = {store: self._pair.wire(store) for store in Store}
        # By its setting: a store that does not say who it is may bill all the same, and this goes on day and night.
        billed = self._engine.board.settings.cloud_price > 0
        if (wires, billed) != (self._wires, self._billed):
            self._wires, self._billed = wires, billed
            lines = [Line(cast("Connection", wires[store]), Account()) for store in Store]
            self._looks = self._readers_over(*lines)
            self._runs = [run.decode() if run else None for run in (capabilities_of(line).run for line in lines)]
        return self._pair

    def _readers_over(self, local: Line, cloud: Line) -> tuple[FactsReader, FactsReader, FactsReader]:
        """The local store's, the cloud's for a first look, and the cloud's for what that look finds."""
        counted = all(capabilities_of(line).has_stream_counters for line in (local, cloud))
        here: FactsReader = PlainReader(local, counted)
        if can_run_scripts(local):
            here = ScriptReader(local, counted=counted)
        if self._billed:
            sampled = PlainReader(cloud, counted, lambda key: is_sampled(crc32(key), self._rotation))
            return here, sampled, PlainReader(cloud, counted)
        there = ScriptReader(cloud, counted=counted) if can_run_scripts(cloud) else PlainReader(cloud, counted)
        return here, there, there

    def _forget(self) -> None:
        if self._pair is not None:
            self._pair.close()
        self._pair, self._wires = None, {}

    def _next_keys(self, pair: Pair, now: Divergence) -> tuple[Divergence, list[bytes]]:
        """The next page of the cloud's keys, and those of the next local page that the cloud lacks."""
        there, cloud_keys = self._page(pair, Store.CLOUD, now.cloud_cursor)
        here, local_keys = self._page(pair, Store.LOCAL, now.local_cursor)
        lacking = list(pair.absent(Store.CLOUD, local_keys))
        return replace(now, cloud_cursor=there, local_cursor=here), list(dict.fromkeys([*cloud_keys, *lacking]))

    def _page(self, pair: Pair, store: Store, cursor: str) -> tuple[str, list[bytes]]:
        if cursor == END:  # one store is through before the other
            return END, []
        count = BILLED_PAGE_KEYS if self._billed else PAGE_KEYS
        following, keys = pair.ask(store, ("SCAN", cursor, "COUNT", count))[0]
        place = following.decode()
        return END if place == START else place, [key for key in keys if not key.startswith(RESERVED)]

    def _compared(self, pair: Pair, keys: Sequence[bytes]) -> list[Difference]:
        """Those that differ although nothing of them is on its way."""
        if not keys:
            return []
        sightings = self._look(keys)
        logged = pair.logged() if sightings else ()
        return [
            Difference(key, causes_between(seen), seen.local, seen.cloud)
            for key, seen in sightings.items()
            if key not in logged
        ]

    def _look(self, keys: Sequence[bytes]) -> dict[bytes, Sighting]:
        """The keys that are not equal. A cheap look takes expiries for equal; what it finds is looked at strictly."""
        local, cloud, strict = self._looks
        seen = unequal(look_at(local, cloud, keys))
        return seen if strict is cloud or not seen else unequal(look_at(local, strict, list(seen)))

    # -- repairing

    def _budget(self, now: Divergence) -> int | None:
        """Cloud commands for this step; what earlier steps of the day left over may be used up. One step's worth is
        there when the day begins."""
        if not self._billed:
            return None
        share = min(DAILY_COMMANDS, STEP_COMMANDS + DAILY_COMMANDS * (time.time() % 86_400) / 86_400)
        return max(0, int(share) - now.cloud_commands_today)

    def _repair(self, pair: Pair, differing: list[Difference], most: int | None) -> SyncResult | None:
        waiting = [difference for difference in differing if self._may_try(difference)]
        if not waiting or (most is not None and most < LEAST_COMMANDS):
            return None
        policy = Policy(Direction.MERGE, Prefer.CLOUD)
        options = SyncOptions(max_commands=most, author=AUTHOR)
        result = run(pair, lambda: plan_actions(waiting, policy), "periodic", "*", options, quiet=True)
        if result.copied:
            logger.info("the periodic sync made %d keys equal", result.copied)
        return result

    def _may_try(self, difference: Difference) -> bool:
        """A repair that does not make the key equal (one server has no place for it) is not tried for ever."""
        before, tries = self._tried.pop(difference.key, (difference, 0))
        self._tried[difference.key] = (difference, tries + 1 if before == difference else 1)
        if len(self._tried) > LEFT_ALONE:
            del self._tried[next(iter(self._tried))]
        return before != difference or tries < TRIES

    def _noted(
        self, now: Divergence, differing: list[Difference], repaired: SyncResult | None, commands: int
    ) -> Divergence:
        """The record after this step. What differed counts as open until a later look finds it equal."""
        now_s, copied = time.time(), repaired.copied if repaired else 0
        if copied >= len(differing):
            self._since_s = {}
        else:
            self._since_s = {found.key: self._since_s.get(found.key, now_s) for found in differing[:LEFT_ALONE]}
        return replace(
            now,
            open_differences=len(differing) - copied,
            oldest_since_s=min(self._since_s.values(), default=None),
            checked_at_s=now_s,
            repaired_today=now.repaired_today + copied,
            cloud_commands_today=now.cloud_commands_today + commands,
        )

    def _recorded(self, pair: Pair) -> Divergence:
        return Divergence.parse(pair.ask(pair.authority, ("GET", pair.names.divergence))[0]) or Divergence()


def unequal(seen: Mapping[bytes, Sighting]) -> dict[bytes, Sighting]:
    return {key: sighting for key, sighting in seen.items() if causes_between(sighting)}
