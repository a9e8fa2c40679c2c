"""`python -m hybrid conflicts`."""

from __future__ import annotations

import argparse
import json
import threading
import time
from typing import Any

from hybrid.agent import Agent
from hybrid.cli.confirm import author, require_consent
from hybrid.cli.status import settled_overview
from hybrid.cli.terminal import Terminal, aligned, size
from hybrid.client import HybridRedis
from hybrid.errors import ConfigurationError
from hybrid.ops import conflicts
from hybrid.ops.conflicts import Conflict, Side

__all__ = ["document", "run"]

SHOWN = 200
"""Characters of a value that are printed; --json prints all."""


def run(options: argparse.Namespace, stop: threading.Event) -> int:
    """List, show, keep, restore or discard."""
    if options.action == "discard" and bool(options.id) is options.all:
        raise ConfigurationError("say which conflicts to discard: their ids, or --all")
    terminal = Terminal()
    with Agent.open(options.env_file, options.folder) as agent:
        agent.start()
        settled_overview(agent, stop)
        result, lines = ACTIONS[options.action](agent.client, options)
    for line in [json.dumps(result, indent=2)] if options.json else lines:
        terminal.line(line)
    return 0


Result = tuple[Any, list[str]]
"""For --json, and for people."""


def run_list(client: HybridRedis, options: argparse.Namespace) -> Result:
    found = conflicts.listed(client, limit=options.limit)
    total = conflicts.count(client)
    rows = [("id", "archived", "key", "lost on", "size", "why"), *map(row, found)]
    lines = aligned(rows) if found else ["no conflicts"]
    if total > len(found):
        lines.append(f"{len(found)} of {total}")
    return {"total": total, "conflicts": [document(conflict) for conflict in found]}, lines


def run_show(client: HybridRedis, options: argparse.Namespace) -> Result:
    conflict = conflicts.find(client, options.id)
    decided = conflicts.is_decided(client, conflict)
    lines = [f"conflict {conflict.id}, archived {moment(conflict.archived_at_ms)}", f"key: {text(conflict.key)}"]
    lines += [f"why: {conflict.why}"] if conflict.why else []
    lines += [*described("archived", conflict.lost), *described("kept", conflict.kept)]
    lines.append("the kept value is live" if decided else "the key was written since")
    return {**document(conflict), "kept_is_live": decided}, lines


def run_keep(client: HybridRedis, options: argparse.Namespace) -> Result:
    require_consent("keep", f"conflict {options.id} leaves the archive", yes=options.yes)
    conflict = conflicts.keep(client, options.id, author=author(), force=options.force)
    return {"kept": conflict.id}, [f"kept: the live value of {text(conflict.key)} stays"]


def run_restore(client: HybridRedis, options: argparse.Namespace) -> Result:
    conflict = conflicts.find(client, options.id)
    effect = f"the archived value becomes the live one of {text(conflict.key)}, on both stores"
    require_consent("restore", effect, yes=options.yes)
    conflicts.restore(client, options.id, author=author(), force=options.force)
    return {"restored": conflict.id}, [f"restored {text(conflict.key)}; what was there is in the archive now"]


def run_discard(client: HybridRedis, options: argparse.Namespace) -> Result:
    which = "ALL conflicts" if options.all else ", ".join(options.id)
    require_consent("discard", f"the archived values of {which} are deleted for good", yes=options.yes)
    if options.all:
        removed = conflicts.discard_all(client, author=author())
    else:
        removed = conflicts.discard(client, options.id, author=author())
    return {"discarded": removed}, [f"{removed} discarded"]


ACTIONS = {"list": run_list, "show": run_show, "keep": run_keep, "restore": run_restore, "discard": run_discard}


def row(conflict: Conflict) -> tuple[str, ...]:
    archived = moment(conflict.archived_at_ms)
    sizes = f"{size(len(conflict.lost.value))} / {size(len(conflict.kept.value))}"
    return conflict.id, archived, text(conflict.key)[:40], conflict.lost.store, sizes, conflict.why


def described(title: str, side: Side) -> list[str]:
    when = f", last written {moment(side.at_ms)}" if side.at_ms else ""
    by = f" by {side.by}" if side.by else ""
    commands = [" ".join(map(text, command)) for command in side.commands]
    shown = [line if len(line) <= SHOWN else f"{line[:SHOWN]}... ({len(line)} characters)" for line in commands]
    return [f"{title} ({side.store} store{when}{by}):", *(f"    {line}" for line in shown)]


def document(conflict: Conflict) -> dict[str, Any]:
    """As JSON; bytes that are no text are escaped."""

    def side(of: Side) -> dict[str, Any]:
        commands = [[text(part) for part in command] for command in of.commands]
        return {"store": of.store.value, "at_ms": of.at_ms, "by": of.by, "commands": commands}

    return {
        "id": conflict.id,
        "key": text(conflict.key),
        "archived_at_ms": conflict.archived_at_ms,
        "why": conflict.why,
        "lost": side(conflict.lost),
        "kept": side(conflict.kept),
    }


def text(value: bytes) -> str:
    return value.decode(errors="backslashreplace")


def moment(at_ms: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at_ms / 1000))
