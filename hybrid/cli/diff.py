"""`python -m hybrid diff`."""

from __future__ import annotations

import argparse
import json
import os
import threading
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import redis

from hybrid.agent import Agent
from hybrid.cli.terminal import Terminal, aligned, bar, duration, size
from hybrid.core.cost import Budget, Cost
from hybrid.core.drift import DiffResult, Ending, Scope
from hybrid.errors import ConfigurationError
from hybrid.ops.diff import DiffFile, DiffOptions, DiffProgress, diff_key, estimate_diff, history, run_diff
from hybrid.ops.diff.export import field_row, result_document, rows, shown, write_csv
from hybrid.settings import masked_url
from hybrid.types import Purpose, Store

__all__ = ["run"]

LISTED = 20
FOLDER = "diffs"


def run(options: argparse.Namespace, stop: threading.Event) -> int:
    """0 when the stores are equal, 1 when they differ, 2 when that could not be found out."""
    terminal = Terminal()
    folder = options.folder / FOLDER
    if options.history:
        return show_history(folder, terminal, options.json)
    if options.csv and not options.csv.absolute().parent.is_dir():
        raise ConfigurationError(f"there is no folder {options.csv.absolute().parent} to write the differences to")
    scope = scope_of(options)
    with Agent.open(options.env_file, options.folder) as agent:
        settings = agent.client.settings
        if settings.cloud_url is None:
            raise ConfigurationError("there is nothing to compare with: set UPSTASH_REDIS_URL")
        stores = agent.client.store(Store.LOCAL), agent.client.store(Store.CLOUD, Purpose.SYNC)
        try:
            return compare(stores, scope, options, folder, terminal, stop)
        except ConfigurationError:
            raise
        except redis.RedisError as error:
            urls = f"{masked_url(settings.local_url)} and {masked_url(settings.cloud_url)}"
            raise ConfigurationError(f"{urls} could not be compared: {error}") from None


def compare(
    stores: tuple[redis.Redis, redis.Redis],
    scope: Scope,
    options: argparse.Namespace,
    folder: Path,
    terminal: Terminal,
    stop: threading.Event,
) -> int:
    how = DiffOptions(budget=Budget(options.max_commands), all_ttls=options.all_ttls)
    if options.field is not None:
        return show_fields(stores, os.fsencode(options.field), terminal, options.json)
    if options.estimate:
        plan = estimate_diff(*stores, scope=scope, options=how)
        document = {"strategy": plan.strategy.value, "keys": plan.keys_total, **facts_of(plan.estimated)}
        text = f"about {plan.keys_total} keys, {plan.strategy}: {cost_text(plan.estimated)}"
        terminal.line(json.dumps(document, indent=2) if options.json else text)
        return 0

    def show(progress: DiffProgress) -> None:
        if not options.json:
            terminal.update(progress_text(progress), plain=False)

    file = run_diff(*stores, folder, scope=scope, options=how, resume=options.resume, cancel=stop, on_progress=show)
    with file:
        if options.csv:
            write_csv(options.csv, file.differences())
        for line in document_lines(file) if options.json else described(file):
            terminal.line(line)
        return exit_code(file.result)


def exit_code(result: DiffResult) -> int:
    return 0 if result.equal else 1 if result.different else 2


def scope_of(options: argparse.Namespace) -> Scope:
    if options.keys_from is None:
        return Scope(os.fsencode(options.pattern), options.type)
    if options.pattern != "*" or options.type:
        raise ConfigurationError("--keys-from names the keys; leave out PATTERN and --type")
    try:
        keys = tuple(line for line in options.keys_from.read_bytes().splitlines() if line)
    except OSError as error:
        raise ConfigurationError(f"{options.keys_from} cannot be read: {error.strerror}") from None
    return Scope(keys=keys)


def progress_text(progress: DiffProgress) -> str:
    left = "" if progress.eta_s is None else f", {duration(progress.eta_s)} left"
    text = f"{progress.phase}, {progress.keys_per_s:,.0f} keys/s{left}, {progress.different} differ"
    return bar(progress.keys_done, progress.keys_total, text)


def cost_text(cost: Cost) -> str:
    money = f", ${cost.usd:.4f}" if cost.usd else ""
    return f"{cost.cloud_commands} cloud commands, {size(cost.cloud_bytes)}, {duration(cost.seconds)}{money}"


def facts_of(cost: Cost) -> dict[str, Any]:
    return {name: getattr(cost, name) for name in cost.__slots__}


def document_lines(file: DiffFile) -> Iterator[str]:
    """One JSON document, line by line: it may hold a million differences."""
    yield json.dumps(result_document(file.result), indent=2, ensure_ascii=False).removesuffix("\n}") + ","
    yield '  "differences": ['
    waiting = None
    for row in rows(file.differences()):
        if waiting is not None:
            yield f"    {waiting},"
        waiting = json.dumps(row, ensure_ascii=False)
    if waiting is not None:
        yield f"    {waiting}"
    yield "  ]\n}"


def described(file: DiffFile) -> Iterator[str]:
    result = file.result
    if found := list(islice(file.differences(), LISTED)):
        yield from aligned([("key", "cause", "what"), *((shown(d.key), ", ".join(d.causes), d.detail) for d in found)])
        if result.different > LISTED:
            yield f"... and {result.different - LISTED} more; --csv FILE writes all"
        yield ""
    counts = ", ".join(f"{count} {cause}" for cause, count in result.counts.items())
    yield f"{result.compared} keys compared, {result.different} differ{': ' + counts if counts else ''}"
    if result.in_flight:
        yield f"{result.in_flight} more were being written all the time, and are in no count"
    if result.ttl_share < 1:
        yield f"expiries: of what differs, and of a rotating {result.ttl_share:.1%}; --all-ttls compares all"
    yield f"cost: {cost_text(result.actual)} (estimated: {cost_text(result.estimated)})"
    if result.ending is not Ending.FINISHED:
        yield f"{result.ending}; go on with --resume {result.id}"


def show_fields(stores: tuple[redis.Redis, redis.Redis], key: bytes, terminal: Terminal, as_json: bool) -> int:
    found = [field_row(difference) for difference in diff_key(*stores, key)]
    if as_json:
        terminal.line(json.dumps({"key": shown(key), "differences": found}, indent=2, ensure_ascii=False))
    elif not found:
        terminal.line("equal")
    else:
        absent = "absent"
        cells = [
            (row["part"], row["name"], *(absent if row[side] is None else row[side] for side in ("local", "cloud")))
            for row in found
        ]
        for line in aligned([("part", "name", "local", "cloud"), *cells]):
            terminal.line(line)
    return 1 if found else 0


def show_history(folder: Path, terminal: Terminal, as_json: bool) -> int:
    results = history(folder)
    if as_json:
        terminal.line(json.dumps([result_document(result) for result in results], indent=2))
        return 0
    head = ("id", "ending", "keys", "differ", "cloud commands", "took")
    cells = [
        (
            result.id,
            result.ending.value,
            str(result.compared),
            str(result.different),
            str(result.actual.cloud_commands),
            duration(result.actual.seconds),
        )
        for result in results
    ]
    for line in aligned([head, *cells]):
        terminal.line(line)
    return 0
