"""The options of `python -m hybrid test`."""

from __future__ import annotations

import argparse
from pathlib import Path

__all__ = ["add_test_arguments"]


def add_test_arguments(test: argparse.ArgumentParser) -> None:
    what = test.add_mutually_exclusive_group()
    what.add_argument(
        "--drill", action="append", metavar="NAME", help="play this drill (again for more; all: each of them) instead"
    )
    what.add_argument("--list", action="store_true", help="list the drills: what each does, and where it runs here")
    what.add_argument("--history", action="store_true", help="show the latest drills and how they ended")
    test.add_argument(
        "--on",
        choices=("stores", "servers"),
        help="play drills on the stores in use (with faults at links of their own), or on throwaway servers that are "
        "really killed (default: the stores, where that is safe)",
    )
    test.add_argument("--json", action="store_true", help="print the report as JSON at the end, and nothing else")
    test.add_argument("--markdown", type=Path, metavar="FILE", help="also write the report as Markdown")
    test.add_argument("--output", type=Path, metavar="FILE", help="also write the report: FILE.json, or Markdown")
