"""The options of `python -m hybrid diff`, apart so that --help stays quick."""

from __future__ import annotations

import argparse
from pathlib import Path

__all__ = ["add_diff_arguments"]

KINDS = ("string", "hash", "list", "set", "zset", "stream", "json")


def add_diff_arguments(diff: argparse.ArgumentParser) -> None:
    diff.add_argument("pattern", nargs="?", default="*", metavar="PATTERN", help="only keys that match this glob")
    diff.add_argument("--type", choices=KINDS, help="only keys of this type")
    diff.add_argument("--keys-from", type=Path, metavar="FILE", help="only the keys in FILE, one on each line")
    diff.add_argument("--field", metavar="KEY", help="one key, field by field")
    diff.add_argument("--estimate", action="store_true", help="say what it would cost, and stop")
    diff.add_argument("--max-commands", type=whole, metavar="N", help="stop before the cloud has run N commands")
    diff.add_argument("--all-ttls", action="store_true", help="compare every expiry, also where each costs a command")
    diff.add_argument("--resume", metavar="ID", help="go on with a diff that did not finish")
    diff.add_argument("--history", action="store_true", help="list earlier diffs, and stop")
    diff.add_argument("--json", action="store_true", help="print one JSON document, and nothing else")
    diff.add_argument("--csv", type=Path, metavar="FILE", help="write all differences to FILE")
    diff.epilog = "exit codes: 0 equal, 1 they differ, 2 it could not be found out"


def whole(text: str) -> int:
    if not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError(f"must be a positive whole number, not {text!r}")
    return int(text)
