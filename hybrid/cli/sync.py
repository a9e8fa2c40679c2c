"""`python -m hybrid sync`: compare, plan, apply; undo; history."""

from __future__ import annotations

import argparse
import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict

import redis

from hybrid.agent import Agent
from hybrid.cli.confirm import author, require_consent
from hybrid.cli.status import settled_overview
from hybrid.cli.terminal import Terminal, aligned, duration, size
from hybrid.client import HybridRedis
from hybrid.core.cost import Budget
from hybrid.core.drift import Ending, Scope
from hybrid.core.syncplan import Direction, Policy, Prefer, SyncCounts, SyncEnding, SyncResult
from hybrid.errors import ConfigurationError
from hybrid.ops.diff import DiffFile, DiffOptions, run_diff
from hybrid.ops.sync.options import LEAST_COMMANDS, SyncOptions
from hybrid.ops.sync.run import (
    SyncPlan,
    apply_plan,
    fill_store,
    has_none,
    is_worth_filling,
    plan_sync,
    sync_history,
    undo_sync,
)
from hybrid.types import Purpose, Store

__all__ = ["result_lines", "run"]

FOLDER = "diffs"
UNFINISHED = "the comparison ended early ({ending}): do the rest with diff --resume {id}, then sync --diff {id}"


def run(options: argparse.Namespace, stop: threading.Event) -> int:
    """Do what the words say; 0 when nothing is left to do."""
    act, *rest = options.words or ["*"]
    if len(rest) > (act == "undo"):
        raise ConfigurationError(f"{' '.join(options.words)!r}: say a PATTERN, undo [ID], or history")
    terminal = Terminal()
    with Agent.open(options.env_file, options.folder) as agent:
        agent.start()
        settled_overview(agent, stop)
        if act == "history":
            return show_history(agent.client, options, terminal)
        if act == "undo":
            return undo(agent.client, rest, options, terminal, stop)
        return sync(agent.client, act, options, terminal, stop)


def sync(
    client: HybridRedis, pattern: str, options: argparse.Namespace, terminal: Terminal, stop: threading.Event
) -> int:
    if options.direction is None:
        raise ConfigurationError("say whose values win: --direction cloud-to-local, local-to-cloud or merge")
    left = options.max_commands
    if not (options.dry_run or options.diff) and is_worth_filling(client, Direction(options.direction)):
        # Keys that only one store has need no comparing: their number would make the diff long, and tell nothing.
        scope = Scope(os.fsencode(pattern), options.type)
        whole = has_none(client, scope)
        if whole or not options.json:
            filled = fill_store(
                client,
                scope=scope,
                options=sync_options(options, left),
                cancel=stop,
                on_progress=progress(terminal, None, options.json),
            )
            if show_result(filled, terminal, options.json) or whole:
                return 0 if filled.ending is SyncEnding.FINISHED else 1
            left = None if left is None else max(0, left - filled.cloud_commands)
    with compared(client, pattern, options, left, terminal, stop) as file:
        policy = Policy(Direction(options.direction), Prefer(options.prefer), options.delete_extras)
        plan = plan_sync(client, file.differences, policy, pattern=pattern)
        is_whole = file.result.ending is Ending.FINISHED
        if not is_whole and not options.json:
            terminal.line(UNFINISHED.format(ending=file.result.ending, id=file.id))
        if options.dry_run:
            show_plan(plan, terminal, options.json)
            return 0 if is_whole and not plan.sums.changes and not plan.sums.asked else 1
        if not options.json:
            show_plan(plan, terminal, False)
        confirmed = consent(plan, options)
        if left is not None and not options.diff:
            left -= file.result.actual.cloud_commands
        if left is not None and left < LEAST_COMMANDS:
            if is_whole and plan.sums.changes:
                few = f"{max(0, left)} cloud commands are left, and a sync takes {LEAST_COMMANDS} or more"
                raise ConfigurationError(f"{few}: go on with sync --diff {file.id}")
            return 0 if is_whole and not plan.sums.asked else 1
        result = apply_plan(
            client,
            plan,
            options=sync_options(options, left),
            confirmed=confirmed,
            cancel=stop,
            on_progress=progress(terminal, plan.sums.changes, options.json),
        )
    return max(show_result(result, terminal, options.json), 0 if is_whole else 1)


def compared(
    client: HybridRedis,
    pattern: str,
    options: argparse.Namespace,
    most: int | None,
    terminal: Terminal,
    stop: threading.Event,
) -> DiffFile:
    """The diff that was named, or a new one of at most so many cloud commands."""
    folder = options.folder / FOLDER
    if options.diff:
        return DiffFile.find(folder, options.diff)
    if client.settings.cloud_url is None:
        raise ConfigurationError("there is nothing to sync with: set UPSTASH_REDIS_URL")

    def show(progress: object) -> None:
        if not options.json:
            terminal.update(f"comparing: {getattr(progress, 'keys_done', 0)} keys", plain=False)

    try:
        return run_diff(
            client.store(Store.LOCAL),
            client.store(Store.CLOUD, Purpose.SYNC),
            folder,
            scope=Scope(os.fsencode(pattern), options.type),
            options=DiffOptions(budget=Budget(most)),
            cancel=stop,
            on_progress=show,
        )
    except redis.RedisError as error:
        raise ConfigurationError(f"the stores could not be compared: {error}") from None


def consent(plan: SyncPlan, options: argparse.Namespace) -> str | None:
    """The words that confirm the plan; asked for where it deletes."""
    count = sum(plan.sums.deletes.values())
    if plan.confirmation is None:
        if count:
            require_consent("delete", f"{count} keys would be deleted", yes=options.yes)
        return None
    if options.confirm != plan.confirmation:
        effect = f"{count} keys would be deleted; where nobody can type, say --confirm {plan.confirmation!r}"
        require_consent(plan.confirmation, effect, yes=False)
    return plan.confirmation


def sync_options(options: argparse.Namespace, max_commands: int | None) -> SyncOptions:
    return SyncOptions(max_commands=max_commands, undo=not options.no_undo, author=author())


def progress(terminal: Terminal, total: int | None, quiet: bool) -> Callable[[SyncCounts], None]:
    def show(counts: SyncCounts) -> None:
        if not quiet:
            terminal.update(f"{counts.done}{'' if total is None else f' of {total}'} keys", plain=False)

    return show


def undo(
    client: HybridRedis, rest: Sequence[str], options: argparse.Namespace, terminal: Terminal, stop: threading.Event
) -> int:
    result = undo_sync(
        client,
        rest[0] if rest else None,
        everywhere=options.both,
        options=sync_options(options, None),
        cancel=stop,
    )
    return show_result(result, terminal, options.json)


def show_plan(plan: SyncPlan, terminal: Terminal, as_json: bool) -> None:
    sums = plan.sums
    if as_json:
        document = asdict(sums) | {"changes": sums.changes, "confirmation": plan.confirmation}
        terminal.line(json.dumps(document, indent=2))
        return
    for store in Store:
        terminal.line(f"{store}: {sums.copies[store]} keys to copy there, {sums.deletes[store]} to delete")
    terminal.line(
        f"{sums.overwritten} values are overwritten or deleted, {sums.kept} extra keys kept, {sums.asked} to be asked"
    )
    terminal.line(f"about {sums.cloud_commands} cloud commands, {size(sums.size_bytes)}")


def show_result(result: SyncResult, terminal: Terminal, as_json: bool) -> int:
    if as_json:
        terminal.line(json.dumps(asdict(result), indent=2))
    else:
        for line in result_lines(result):
            terminal.line(line)
    left = result.asked + result.changed + result.busy + result.refused
    return 0 if result.ending is SyncEnding.FINISHED and not left else 1


def result_lines(result: SyncResult) -> Iterator[str]:
    """What a sync did, for people."""
    took = duration(result.ended_at_s - result.started_at_s)
    yield f"{result.ending}: {result.copied} copied, {result.deleted} deleted in {took}"
    for count, text in (
        (result.equal, "had become equal meanwhile"),
        (result.kept, "extra keys kept"),
        (result.asked, "wait for a decision: choose with --prefer"),
        (result.changed, "changed meanwhile, and were left alone: run it again"),
        (result.busy, "were being written all the time, and were left alone"),
        (result.refused, "are of a type that cannot be copied"),
    ):
        if count:
            yield f"{count} {text}"
    if result.reason:
        yield result.reason
    if result.undo_until_s:
        until = time.strftime("%Y-%m-%d %H:%M", time.localtime(result.undo_until_s))
        yield f"to undo it, until {until}: python -m hybrid sync undo {result.id}"


def show_history(client: HybridRedis, options: argparse.Namespace, terminal: Terminal) -> int:
    results = sync_history(client)
    if options.json:
        terminal.line(json.dumps([asdict(result) for result in results], indent=2))
        return 0
    cells = [
        (
            result.id,
            time.strftime("%Y-%m-%d %H:%M", time.localtime(result.started_at_s)),
            result.direction,
            result.pattern,
            *("?" if result.ending is SyncEnding.OPEN else str(count) for count in (result.copied, result.deleted)),
            result.ending.value,
            result.author,
        )
        for result in results
    ]
    for line in aligned([("id", "when", "direction", "pattern", "copied", "deleted", "ending", "by"), *cells]):
        terminal.line(line)
    return 0
