"""`python -m hybrid config show|set|override|revert|history|processes`: the live configuration of every process."""

from __future__ import annotations

import argparse
import getpass
import json
import re
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from hybrid.agent import open_client
from hybrid.cli.terminal import Terminal, aligned, duration
from hybrid.errors import ConfigurationError
from hybrid.ops.control import LIVE, Changed, Control, Presence
from hybrid.settings import Settings, setting_text

__all__ = ["add_arguments", "run"]

UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "": 1.0}


def add_arguments(parser: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    """The actions of `config` and their options."""
    actions = parser.add_subparsers(metavar="ACTION", required=True, title="actions")

    def action(name: str, text: str, act: Callable[..., int]) -> argparse.ArgumentParser:
        sub = actions.add_parser(name, help=text[0].lower() + text[1:], description=f"{text}.", parents=[common])
        sub.set_defaults(act=act)
        sub.add_argument("--json", action="store_true", help="print JSON")
        return sub

    def edit(name: str, text: str, act: Callable[..., int]) -> argparse.ArgumentParser:
        sub = action(name, text, act)
        sub.add_argument("--author", default=None, metavar="NAME", help="who changes it (default: the user's name)")
        sub.add_argument("--expect", type=int, metavar="VERSION", help="refuse if the version is another one by now")
        return sub

    what = "NAME=VALUE; NAME as in HybridRedis or as the variable"
    action("show", "Show every setting in force with its source", show)
    change = edit("set", "Change settings of every process; an empty value forgets the live one", set_values)
    change.add_argument("values", nargs="+", metavar="NAME=VALUE", help=what)
    change.add_argument("--write-env", action="store_true", help="write the change to the file of settings too")
    override = edit("override", "Change settings of every process for a while, then revert", override_values)
    override.add_argument("values", nargs="+", metavar="NAME=VALUE", help=what)
    override.add_argument("--for", dest="for_s", type=span_s, required=True, metavar="TIME", help="30s, 30m, 2h or 1d")
    edit("revert", "End an override before its time", revert)
    history = action("history", "Show who changed what", show_history)
    history.add_argument("--limit", type=int, default=20, metavar="N", help="how many lines (default: 20)")
    action("processes", "Show which processes are connected, and which version they run", show_processes)


def span_s(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text.strip())
    if found is None:
        raise argparse.ArgumentTypeError(f"must be a time such as 30m, not {text!r}")
    return float(found[1]) * UNITS[found[2]]


def run(options: argparse.Namespace, stop: threading.Event) -> int:
    """Do what was asked for; a conflict or a setting that makes no sense is a ConfigurationError."""
    settings = parsed_values(getattr(options, "values", ()))
    with open_client(options.env_file, options.folder, name="hybrid config") as client:
        client.start()
        act: Callable[..., int] = options.act
        return act(Control(client, Path(options.env_file)), options, settings, Terminal())


def parsed_values(texts: Iterable[str]) -> dict[str, Any]:
    """Settings by name from `NAME=VALUE`; None for an empty value. Raises ConfigurationError."""
    known = {f.name: f for f in fields(Settings)} | {f.metadata["variable"]: f for f in fields(Settings)}
    values = {}
    for text in texts:
        name, mark, value = text.partition("=")
        field = known.get(name.strip())
        if field is None or not mark:
            raise ConfigurationError(f"{text!r}: write NAME=VALUE with one of {', '.join(LIVE)}")
        values[field.name] = field.metadata["parse"](field.metadata["variable"], value) if value.strip() else None
    return values


def author(options: argparse.Namespace) -> str:
    return str(options.author or getpass.getuser())


# -- what can be asked for


def show(control: Control, options: argparse.Namespace, _: dict[str, Any], terminal: Terminal) -> int:
    rows, document = control.effective(), control.document
    if options.json:
        settings = {row.name: {"value": row.value, "source": row.source, "until_s": row.until_s} for row in rows}
        head = {"version": document.version, "author": document.author, "at_s": document.at_s}
        return printed(terminal, {**head, "settings": settings})
    if document.version:
        terminal.line(f"version {document.version}, by {document.author}, {moment(document.at_s)}\n")
    return table(
        terminal,
        ("setting", "value", "source", "live"),
        [(row.variable, shown(row.value), source(row.source, row.until_s), "yes" if row.live else "") for row in rows],
    )


def set_values(control: Control, options: argparse.Namespace, values: dict[str, Any], terminal: Terminal) -> int:
    changed = control.change(author(options), options.expect, **values)
    code = report(terminal, options, changed)
    if options.write_env:
        plan = control.env_plan(**{name: value for name, value in values.items() if value is not None})
        if not options.json:
            terminal.line(plan.diff or f"{plan.path} says so already")
        if plan.diff:
            control.write_env(author(options), plan)
    return code


def override_values(control: Control, options: argparse.Namespace, values: dict[str, Any], terminal: Terminal) -> int:
    empty = [name for name, value in values.items() if value is None]
    if empty:
        raise ConfigurationError(f"{empty[0]}: an override needs a value")
    return report(terminal, options, control.override(author(options), options.expect, for_s=options.for_s, **values))


def revert(control: Control, options: argparse.Namespace, _: dict[str, Any], terminal: Terminal) -> int:
    return report(terminal, options, control.end_override(author(options), options.expect))


def report(terminal: Terminal, options: argparse.Namespace, changed: Changed) -> int:
    if options.json:
        return printed(terminal, asdict(changed))
    if not changed.changes:
        terminal.line(f"nothing to change: it is so already (version {changed.version})")
        return 0
    for name, (before, after) in changed.changes.items():
        terminal.line(f"{name}: {shown(before)} -> {shown(after)}")
    terminal.line(f"in force in every process: version {changed.version}")
    before, after = changed.changes.get("write_both", (None, None))
    if before is False and after is not False:
        terminal.line("a cloud store that missed writes is made equal first; the history says when it is: equalized")
    for store in changed.missed:
        terminal.line(f"the {store} store is down, and gets it when it returns")
    for process, held in changed.pinned.items():
        terminal.line(f"{process} keeps its own {', '.join(held)}: its code says so")
    return 0


def show_history(control: Control, options: argparse.Namespace, _: dict[str, Any], terminal: Terminal) -> int:
    entries = control.audit(options.limit)
    if options.json:
        return printed(terminal, [asdict(entry) for entry in entries])
    rows = [
        (
            moment(entry.at_s),
            entry.author,
            str(entry.version),
            entry.what,
            "; ".join(f"{name}: {shown(a)} -> {shown(b)}" for name, (a, b) in entry.changes.items()),
        )
        for entry in entries
    ]
    return table(terminal, ("when", "who", "version", "what", "changes"), rows)


def show_processes(control: Control, options: argparse.Namespace, _: dict[str, Any], terminal: Terminal) -> int:
    found = control.processes()
    if options.json:
        return printed(terminal, [{**asdict(process), "presence": presence} for process, presence in found])
    rows = [
        (
            process.name,
            f"{process.host}:{process.pid}",
            f"gone since {moment(process.seen_s)}" if presence is Presence.GONE else str(presence),
            str(process.config_version),
            ", ".join(process.pinned),
            "" if presence is Presence.GONE else str(process.role),
            duration(max(0.0, (process.seen_s if presence is Presence.GONE else time.time()) - process.started_s)),
            process.hybrid_version,
        )
        for process, presence in found
    ]
    head = ("process", "where", "state", "configuration", "fixed in its code", "log", "up for", "hybrid")
    return table(terminal, head, rows)


# -- words


def printed(terminal: Terminal, document: Any) -> int:
    terminal.line(json.dumps(document, indent=2))
    return 0


def table(terminal: Terminal, head: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    for line in aligned([head, *rows]):
        terminal.line(line)
    return 0


def shown(value: Any) -> str:
    return setting_text(value) or "not set"


def source(name: str, until_s: float | None) -> str:
    return name if until_s is None else f"{name} until {moment(until_s)}"


def moment(at_s: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at_s))
