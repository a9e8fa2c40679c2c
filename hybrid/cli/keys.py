"""`python -m hybrid keys list|get|export|import|copy|rename|expire|delete`."""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import IO

from hybrid.agent import Agent
from hybrid.cli.confirm import author, require_consent
from hybrid.cli.status import settled_overview
from hybrid.cli.sync import result_lines
from hybrid.cli.terminal import Terminal
from hybrid.client import HybridRedis
from hybrid.core.drift import Scope
from hybrid.core.export import json_line
from hybrid.core.state import KeyState
from hybrid.core.syncplan import Direction, SyncEnding, SyncResult
from hybrid.errors import ConfigurationError
from hybrid.ops.diff.export import shown
from hybrid.ops.keys import delete_keys, expire_keys, new_names, rename_keys
from hybrid.ops.sync.options import SyncOptions
from hybrid.ops.sync.pair import Pair
from hybrid.ops.transfer import Conflict, Format, copy_keys, export_keys, import_keys, listed_keys, resp_lines
from hybrid.types import Store

__all__ = ["run"]


def run(options: argparse.Namespace, stop: threading.Event) -> int:
    """Do the action; 0 when all of it is done."""
    actions = {"list": list_keys, "get": get, "export": export, "import": import_, "copy": copy}
    actions |= {"rename": rename, "expire": expire, "delete": delete}
    with Agent.open(options.env_file, options.folder) as agent:
        agent.start()
        settled_overview(agent, stop)
        return actions[options.action](agent.client, options, Terminal())


def scope_of(options: argparse.Namespace) -> Scope:
    return Scope(os.fsencode(options.pattern), options.type)


def store_of(options: argparse.Namespace) -> Store | None:
    return Store(options.store) if options.store else None


def list_keys(client: HybridRedis, options: argparse.Namespace, terminal: Terminal) -> int:
    for key in islice(listed_keys(client, scope_of(options), store=store_of(options)), options.limit):
        terminal.line(json.dumps(shown(key), ensure_ascii=False) if options.json else shown(key))
    return 0


def get(client: HybridRedis, options: argparse.Namespace, terminal: Terminal) -> int:
    """Both sides, each as a line of JSON; 1 when neither has the key."""
    key = os.fsencode(options.key)
    with Pair.of(client, both=False) as pair:
        stores = [store for store in Store if store in pair.engine.endpoints]
        states = {store: pair.read(store, [key])[key] for store in stores}
    lines = {s.value: json_line(key, state) for s, state in states.items() if isinstance(state, KeyState)}
    if options.json:
        terminal.line(json.dumps({s.value: json.loads(lines[s.value]) if s.value in lines else None for s in states}))
    else:
        for store in states:
            terminal.line(f"{store}: {lines.get(store.value, 'absent')}")
    return 0 if lines else 1


def export(client: HybridRedis, options: argparse.Namespace, terminal: Terminal) -> int:
    with ExitStack() as opened:
        out = opened_file(options.output, "wb", opened)
        count = export_keys(client, out, scope_of(options), store=store_of(options), form=Format(options.format))
        out.flush()
    if options.output != "-":
        terminal.line(json.dumps({"exported": count}) if options.json else f"{count} keys written to {options.output}")
    return 0


def import_(client: HybridRedis, options: argparse.Namespace, terminal: Terminal) -> int:
    with ExitStack() as opened:
        source = opened_file(options.file, "rb", opened)
        if options.format == Format.RESP:
            if options.dry_run or options.conflict != Conflict.SKIP:
                raise ConfigurationError("a file of commands has no preview and no rule for conflicts: it is run as is")
            count = resp_lines(client, source)
            terminal.line(json.dumps({"commands": count}) if options.json else f"{count} commands run")
            return 0
        result = import_keys(
            client,
            source,
            conflict=Conflict(options.conflict),
            preview=options.dry_run,
            options=SyncOptions(author=author()),
        )
    if options.json:
        terminal.line(json.dumps(asdict(result)))
    else:
        would = "would be " if options.dry_run else ""
        counts = f"{result.created} created, {result.overwritten} overwritten, {result.skipped} skipped"
        terminal.line(f"{would}{counts}, {result.expired} expired already")
        if result.undo:
            terminal.line(f"to take it back: python -m hybrid sync undo {result.undo}")
    return 1 if result.busy else 0


def copy(client: HybridRedis, options: argparse.Namespace, terminal: Terminal) -> int:
    keys = [os.fsencode(key) for key in options.keys]
    result = copy_keys(client, keys, Direction(options.direction), options=SyncOptions(author=author()))
    if options.json:
        terminal.line(json.dumps(asdict(result)))
    else:
        for line in result_lines(result):
            terminal.line(line)
    return 0 if result.ending is SyncEnding.FINISHED and not result.changed + result.busy + result.refused else 1


def rename(client: HybridRedis, options: argparse.Namespace, terminal: Terminal) -> int:
    names = new_names(chosen_keys(client, options), os.fsencode(options.old), os.fsencode(options.new))

    def change(bundle: SyncOptions) -> SyncResult:
        return rename_keys(client, names, options=bundle)

    return changed(options, terminal, len(names), "rename", "renamed", change)


def expire(client: HybridRedis, options: argparse.Namespace, terminal: Terminal) -> int:
    keys = chosen_keys(client, options)

    def change(bundle: SyncOptions) -> SyncResult:
        moment = None if options.seconds is None else int((time.time() + options.seconds) * 1000)
        return expire_keys(client, keys, moment, options=bundle)

    return changed(options, terminal, len(keys), "expire", "given that expiry", change)


def delete(client: HybridRedis, options: argparse.Namespace, terminal: Terminal) -> int:
    keys = chosen_keys(client, options)

    def change(bundle: SyncOptions) -> SyncResult:
        return delete_keys(client, keys, options=bundle)

    return changed(options, terminal, len(keys), "delete", "deleted", change)


def chosen_keys(client: HybridRedis, options: argparse.Namespace) -> list[bytes]:
    """Each key once."""
    return list(dict.fromkeys(listed_keys(client, scope_of(options), store=store_of(options))))


def changed(
    options: argparse.Namespace,
    terminal: Terminal,
    count: int,
    verb: str,
    done: str,
    change: Callable[[SyncOptions], SyncResult],
) -> int:
    """Say how many keys would be changed, ask, change them; 0 when all of them are."""
    if options.dry_run or not count:
        terminal.line(json.dumps({"keys": count}) if options.json else f"{count} keys would be {done}")
        return 0
    require_consent(f"{verb} {count}", f"{count} keys would be {done} on both stores", yes=options.yes)
    result = change(SyncOptions(author=author()))
    if options.json:
        terminal.line(json.dumps(asdict(result)))
    else:
        terminal.line(f"{result.ending}: {result.copied + result.deleted} {done}")
        for left, why in (
            (result.kept, "left alone: gone meanwhile, so already, or the new name is taken"),
            (result.busy, "left alone: written all the time"),
        ):
            if left:
                terminal.line(f"{left} {why}")
        if result.undo_until_s:
            terminal.line(f"to take it back: python -m hybrid sync undo {result.id} --both")
    return 0 if result.ending is SyncEnding.FINISHED and not result.kept + result.busy else 1


def opened_file(name: str, mode: str, opened: ExitStack) -> IO[bytes]:
    if name == "-":
        return sys.stdout.buffer if "w" in mode else sys.stdin.buffer
    try:
        return opened.enter_context(Path(name).open(mode))
    except OSError as error:
        raise ConfigurationError(f"{name} cannot be opened: {error.strerror}") from None
