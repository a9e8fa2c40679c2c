"""The options of the commands that change something: pair, failover, failback, conflicts. Imports nothing heavy."""

from __future__ import annotations

import argparse
from typing import Protocol

__all__ = ["NewCommand", "register"]


class NewCommand(Protocol):
    """Adds one command; `text` says what it does."""

    def __call__(self, name: str, text: str) -> argparse.ArgumentParser: ...


def register(command: NewCommand) -> None:
    """Add the commands."""
    pair = command("pair", "Make one pair of two stores that both hold data")
    pair.add_argument(
        "--from",
        dest="origin",
        choices=("local", "cloud", "merge"),
        help="whose data counts; without it, both are compared and nothing is changed",
    )
    pair.add_argument(
        "--prefer", choices=("local", "cloud"), default="local", help="whose value stays where a merge finds two"
    )
    asking(pair)
    failover = command("failover", "Let the cloud store take the writes, in order, until failback")
    failback = command("failback", "Let the local store take the writes again, once it has everything")
    for move in (failover, failback):
        asking(move)
    failback.set_defaults(command="failover", move="failback")
    failover.set_defaults(move="failover")
    conflicts(command("conflicts", "Values that lost a conflict: look at them, restore or discard them"))


def conflicts(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(metavar="ACTION", required=True, dest="action")

    def action(name: str, text: str) -> argparse.ArgumentParser:
        return actions.add_parser(name, help=text[0].lower() + text[1:], description=f"{text}.")

    listed = action("list", "Show the latest conflicts")
    listed.add_argument("--limit", type=int, default=20, metavar="N", help="at most so many (default: 20)")
    listed.add_argument("--json", action="store_true", help="print JSON")
    show = action("show", "Show both values of a conflict")
    show.add_argument("--json", action="store_true", help="print JSON")
    keep = action("keep", "Agree with the value that was kept: the conflict leaves the archive")
    restore = action("restore", "Make the archived value live again; the one it replaces is archived")
    for single in (show, keep, restore):
        single.add_argument("id", help="as `conflicts list` shows it")
    for guarded in (keep, restore):
        guarded.add_argument("--force", action="store_true", help="also when the key was written since")
    discard = action("discard", "Throw archived values away for good")
    discard.add_argument("id", nargs="*", help="as `conflicts list` shows them")
    discard.add_argument("--all", action="store_true", help="the whole archive")
    for changing in (keep, restore, discard):
        asking(changing)


def asking(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
