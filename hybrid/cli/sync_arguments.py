"""The options of `python -m hybrid sync` and `keys`, apart so that --help stays quick."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from hybrid.cli.diff_arguments import KINDS, whole

__all__ = ["add_keys_arguments", "add_sync_arguments"]

STORES = ("local", "cloud")
DIRECTIONS = ("cloud-to-local", "local-to-cloud")
SYNC_EPILOG = """\
sync [PATTERN]      make both stores equal as --direction says, after comparing them
sync undo [ID]      put back what a sync overwrote or deleted (default: the last one)
sync history        list the latest syncs

Extras are kept unless --delete-extras is given; much of it must then be confirmed by words. Every value that is
overwritten can be had back for 7 days.

exit codes: 0 all done, 1 something is left (to be asked, changed meanwhile, or a budget ended it), 2 usage, 3 both down
"""


def add_sync_arguments(sync: argparse.ArgumentParser) -> None:
    sync.formatter_class = argparse.RawDescriptionHelpFormatter
    sync.epilog = SYNC_EPILOG
    sync.add_argument("words", nargs="*", metavar="PATTERN | undo [ID] | history", help="what to do")
    sync.add_argument("--direction", choices=(*DIRECTIONS, "merge"), help="whose values win")
    sync.add_argument(
        "--prefer",
        choices=("local", "cloud", "longer-ttl", "ask"),
        default="ask",
        help="whose value a merge takes where the log does not tell which one is newer (default: ask, so neither)",
    )
    sync.add_argument("--type", choices=KINDS, help="only keys of this type")
    sync.add_argument("--diff", metavar="ID", help="apply this diff, instead of comparing anew")
    sync.add_argument("--dry-run", action="store_true", help="show the plan, and stop")
    sync.add_argument("--delete-extras", action="store_true", help="delete keys that the winning store lacks")
    sync.add_argument("--yes", action="store_true", help="delete a few keys without being asked")
    sync.add_argument("--confirm", metavar="WORDS", help="the words that much deleting must be confirmed with")
    sync.add_argument("--max-commands", type=whole, metavar="N", help="stop before the cloud has run N commands")
    sync.add_argument("--no-undo", action="store_true", help="keep nothing of what is overwritten")
    sync.add_argument("--both", action="store_true", help="undo: write the old values to both stores")
    sync.add_argument("--json", action="store_true", help="print one JSON document, and nothing else")


def add_keys_arguments(keys: argparse.ArgumentParser) -> None:
    common = common_behind_an_action()
    actions = keys.add_subparsers(metavar="ACTION", required=True, title="actions", dest="action")

    def action(name: str, text: str) -> argparse.ArgumentParser:
        sub = actions.add_parser(name, help=text[0].lower() + text[1:], description=f"{text}.", parents=[common])
        sub.add_argument("--json", action="store_true", help="print JSON")
        return sub

    listing = action("list", "List keys")
    chosen(listing.add_argument)
    listing.add_argument("--limit", type=whole, default=1000, metavar="N", help="at most N keys (default: 1000)")
    action("get", "Show a key on both stores").add_argument("key", metavar="KEY")
    export = action("export", "Write keys to a file, to be read with `keys import`")
    chosen(export.add_argument)
    export.add_argument("--output", required=True, metavar="FILE", help="where to (-: standard output)")
    export.add_argument("--format", choices=("json", "resp"), default="json", help="JSON lines, or Redis's protocol")
    reading = action("import", "Write the keys of a file to both stores")
    reading.add_argument("file", metavar="FILE", help="what `keys export` wrote (-: standard input)")
    reading.add_argument("--format", choices=("json", "resp"), default="json", help="as it was exported")
    reading.add_argument(
        "--conflict",
        choices=("skip", "overwrite", "longer-ttl", "fail"),
        default="skip",
        help="what happens to keys that are there already (default: skip)",
    )
    reading.add_argument("--dry-run", action="store_true", help="say what would happen, and stop")
    copying = action("copy", "Make selected keys on one store as they are on the other")
    copying.add_argument("keys", nargs="+", metavar="KEY")
    copying.add_argument("--direction", choices=DIRECTIONS, required=True, help="from where to where")

    renaming = action("rename", "Replace a part of the names of keys, on both stores")
    renaming.add_argument("old", metavar="OLD", help="what stands in the names now ('': NEW is put in front)")
    renaming.add_argument("new", metavar="NEW", help="what is to stand there")
    chosen(renaming.add_argument)
    expiring = action("expire", "Set the expiry of keys, on both stores")
    expiring.add_argument("seconds", metavar="SECONDS", type=lifetime, help="from now; `never` takes it away")
    deleting = action("delete", "Delete keys on both stores")
    for changing in (expiring, deleting):
        changing.add_argument("pattern", metavar="PATTERN", help="the keys that match this glob")
        changing.add_argument("--type", choices=KINDS, help="only keys of this type")
        changing.add_argument("--store", choices=STORES, help="as this store has them (default: the one with writes)")
    for changing in (renaming, expiring, deleting):
        changing.add_argument("--dry-run", action="store_true", help="say what would happen, and stop")
        changing.add_argument("--yes", action="store_true", help="do it without being asked")


def lifetime(text: str) -> int | None:
    """Seconds; None for `never`."""
    return None if text == "never" else whole(text)


def common_behind_an_action() -> argparse.ArgumentParser:
    """The options of every command, which may stand behind the action too; without defaults, which would replace what
    stands before it."""
    common = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    common.add_argument("--env-file", metavar="FILE", help="file with settings (default: .env, if there is one)")
    common.add_argument("--folder", type=Path, metavar="DIR", help="where embedded servers keep their data")
    common.add_argument("-v", "--verbose", action="store_true", help="log what happens to standard error")
    return common


def chosen(add: Callable[..., object]) -> None:
    add("pattern", nargs="?", default="*", metavar="PATTERN", help="only keys that match this glob")
    add("--type", choices=KINDS, help="only keys of this type")
    add("--store", choices=STORES, help="of this store (default: the one that takes writes)")
