"""One run of a diff: a first look at all keys of both stores, then later looks at what is suspected."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from itertools import islice
from typing import Protocol

import redis

from hybrid.core.cost import SCAN_KEYS, TTL_SAMPLE, Cost, Strategy, usd_of
from hybrid.core.drift import UNREAD, DiffResult, Ending, Scope, Sighting
from hybrid.core.names import RESERVED
from hybrid.ops.diff.confirm import Confirmation
from hybrid.ops.diff.file import DiffFile, Suspect
from hybrid.ops.diff.line import Account, Line, open_line
from hybrid.ops.diff.log import read_in_flight
from hybrid.ops.diff.looks import FactsLook, Look, QuickLook, absent_locally
from hybrid.ops.diff.options import DiffOptions, DiffProgress
from hybrid.ops.diff.plan import DiffPlan, plan_diff
from hybrid.ops.diff.readers import ScriptReader
from hybrid.ops.diff.scan import END, Place, scan_pages
from hybrid.stores.capabilities import capabilities_of

__all__ = ["Run"]

CHECKPOINT_S = 1.0
LOCAL, CLOUD = "local_scan", "cloud_scan"  # under which the places of the last checkpoint are kept
PAGES_TOGETHER = 4  # on a billed store a page is little: several share a round trip


class Job(Protocol):
    """What a run needs of its job. `pause` raises when the job is to end."""

    file: DiffFile

    @property
    def facts(self) -> tuple[tuple[redis.Redis, redis.Redis], Scope, DiffOptions]: ...
    def pause(self, seconds: float) -> None: ...
    def say(self, progress: DiffProgress) -> None: ...


class Run:
    """The state of one run: connections, plan, counts."""

    def __init__(self, job: Job, opened: ExitStack) -> None:
        (local, cloud), self.scope, self.options = job.facts
        self.job = job
        self.file = job.file
        self.started_s = time.monotonic()
        self.before = self.file.result if self.file.recall("result") else None
        self.places = {name: Place(*(self.file.recall(name) or ())) for name in (LOCAL, CLOUD)}
        self.in_flight = 0
        self.seen = self.total = 0
        self.phase, self.phase_s = "planning", self.started_s
        self.checkpoint_s = self.started_s
        self.accounts = Account(), Account(self.options.budget.max_commands)
        self.plan: DiffPlan | None = None
        self.begun_at_s = self.before.started_at_s if self.before else time.time()
        self.end(Ending.FAILED)  # until it is known better: a process that is killed leaves this
        both = zip((local, cloud), self.accounts, strict=True)
        lines = [opened.enter_context(open_line(client, account)) for client, account in both for _ in range(2)]
        self.local, self.local_scan, self.cloud, self.cloud_scan = lines

    def compare(self) -> None:
        self.plan = plan_diff(self.local, self.cloud, self.scope, self.options)
        self.total = self.plan.keys_total
        self.checkpoint()
        self.look_at_local_keys(self.plan)
        if self.scope.keys is None:
            self.look_for_cloud_keys(self.plan)
        self.confirm(self.plan)

    # -- the first look: all local keys, then those that only the cloud has

    def look_at_local_keys(self, plan: DiffPlan) -> None:
        self.begin("comparing", plan.keys_total)
        look: Look
        if isinstance(plan.local, ScriptReader) and isinstance(plan.cloud, ScriptReader):
            look = QuickLook(plan.local, plan.cloud, self.options.ttl_tolerance_ms)
        else:
            look = FactsLook(plan.local, plan.cloud, self.options.ttl_tolerance_ms)
        place = self.place_in(LOCAL, self.local)
        for cursor, keys in self.pages_from(place, self.local_scan):
            self.suspect(look.feed(keys))
            place = place.passed(cursor, len(keys))
            if self.passed(len(keys)) or not cursor or plan.strategy is Strategy.BILLED:
                self.suspect(look.drain())
                self.places[LOCAL] = place
                self.checkpoint()

    def look_for_cloud_keys(self, plan: DiffPlan) -> None:
        self.begin("looking for keys only in the cloud", plan.cloud_total)
        place = self.place_in(CLOUD, self.cloud)
        for cursor, keys in self.pages_from(place, self.cloud_scan):
            absent = absent_locally(self.local, keys, self.scope)
            self.suspect([(key, Sighting(None, UNREAD), 0) for key in absent])
            place = place.passed(cursor, len(absent))
            if self.passed(len(keys)) or not cursor:
                self.places[CLOUD] = place
                self.checkpoint()

    def place_in(self, name: str, line: Line) -> Place:
        """Where to go on: at the last checkpoint, or at the start if its cursor leads nowhere on this server."""
        place = self.places[name]
        known = None if self.scope.keys is not None else capabilities_of(line).run
        run = known.decode() if known else None
        if place.cursor and place.run != run:
            place = self.places[name] = Place(run=run)
        return place

    def pages_from(self, place: Place, line: Line) -> Iterator[tuple[str, list[bytes]]]:
        """Pages of keys behind the place, each with the cursor behind it: "" at the end."""
        if not place.cursor:
            return
        if self.scope.keys is not None:
            yield from self.listed_pages(int(place.cursor))
            return
        pages = scan_pages(line, self.scope, place.cursor.encode())
        billed = self.plan is not None and self.plan.strategy is Strategy.BILLED
        while group := list(islice(pages, PAGES_TOGETHER if billed else 1)):
            cursor = group[-1][0]
            yield "" if cursor == END else cursor.decode(), [key for _, keys in group for key in keys]

    def listed_pages(self, first: int) -> Iterator[tuple[str, list[bytes]]]:
        keys = [key for key in dict.fromkeys(self.scope.keys or ()) if not key.startswith(RESERVED)]
        for start in range(first, len(keys), SCAN_KEYS):
            end = start + SCAN_KEYS
            yield "" if end >= len(keys) else str(end), keys[start:end]

    # -- later looks

    def confirm(self, plan: DiffPlan) -> None:
        looks = max(1, self.options.looks - (plan.strategy is Strategy.BILLED))
        self.begin("confirming", self.file.suspected * looks)
        confirmation = Confirmation(
            self.file,
            plan.local,
            plan.strict_cloud,
            read_log=lambda: read_in_flight((self.local, self.cloud), self.options.names),
            pause=self.job.pause,
            passed=self.looked_again_at,
            looks=looks,
            pause_s=self.options.pause_s,
            ttl_tolerance_ms=self.options.ttl_tolerance_ms,
        )
        self.in_flight = confirmation.run()

    def suspect(self, suspects: list[Suspect]) -> None:
        if suspects:
            self.file.suspect(suspects)

    # -- what is told and kept

    def begin(self, phase: str, total: int) -> None:
        """From here on `seen` counts up to about `total`, in this phase."""
        self.phase, self.phase_s, self.seen, self.total = phase, time.monotonic(), 0, total
        self.job.say(self.progress())

    def looked_again_at(self, count: int) -> None:
        if self.passed(count):
            self.checkpoint()

    def passed(self, count: int) -> bool:
        """Count keys; whether a checkpoint is due. Raises when the job is to end."""
        self.seen += count
        self.job.pause(0)
        now_s = time.monotonic()
        if now_s - self.checkpoint_s < CHECKPOINT_S:
            return False
        self.checkpoint_s = now_s
        return True

    def checkpoint(self) -> None:
        """From `places` on this run can be resumed."""
        self.end(Ending.FAILED)
        self.job.say(self.progress())

    def progress(self) -> DiffProgress:
        rate = self.seen / max(1e-6, time.monotonic() - self.phase_s)
        left = max(0, self.total - self.seen)
        return DiffProgress(
            phase=self.phase,
            keys_done=self.seen,
            keys_total=max(self.total, self.seen),
            suspected=self.file.suspected,
            different=self.file.different,
            cloud_commands=self.spent().cloud_commands,
            keys_per_s=rate,
            eta_s=left / rate if rate else None,
        )

    def spent(self) -> Cost:
        """What this run took so far."""
        local, cloud = self.accounts
        return Cost(
            local_commands=local.commands,
            cloud_commands=cloud.commands,
            local_bytes=local.size_bytes,
            cloud_bytes=cloud.size_bytes,
            seconds=time.monotonic() - self.started_s,
            usd=usd_of(self.plan.price, cloud.commands, cloud.size_bytes) if self.plan else 0.0,
        )

    def end(self, ending: Ending) -> None:
        """Write what was found up to the last checkpoint, and what was spent until now."""
        sampled = self.plan is not None and self.plan.strategy is Strategy.BILLED and not self.options.all_ttls
        self.file.remember_result(
            DiffResult(
                id=self.file.id,
                scope=self.scope,
                strategy=self.plan.strategy if self.plan else "",
                ending=ending,
                started_at_s=self.begun_at_s,
                ended_at_s=time.time(),
                compared=sum(place.compared for place in self.places.values()),
                in_flight=self.in_flight,
                suspected=0 if ending is Ending.FINISHED else self.file.suspected,
                ttl_share=1 / TTL_SAMPLE if sampled else 1.0,
                estimated=self.before.estimated if self.before else self.plan.estimated if self.plan else Cost(),
                actual=self.spent() + (self.before.actual if self.before else Cost()),
            ),
            **self.places,
        )
        if ending is not Ending.FAILED:
            self.job.say(replace(self.progress(), phase=ending.value, eta_s=None))
