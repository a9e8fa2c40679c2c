"""Write docs/commands.md from the command table (`--write`), or fail when the two differ (`--check`).

Run it in the project's folder: `python -m scripts.commands_doc --write`.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

from hybrid.core.commands import COMMANDS, Command, Policy

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "commands.md"

POLICIES = {
    Policy.READ: "changes nothing; any one store answers",
    Policy.VERBATIM: "logged as it was sent; replayed in order, it has the same result",
    Policy.TIMED: "logged as it was sent; its relative time becomes absolute from the log entry's clock",
    Policy.EFFECT: "its result depends on the server's choice or arithmetic, so what it did is logged",
    Policy.STATE: "the state of its keys is copied",
    Policy.BLOCKING: "waits, then runs its non-blocking twin, which is logged",
    Policy.FLUSH: "deletes the user's keys on both stores and keeps hybrid's own",
    Policy.ONE_STORE: "runs on the authority only and is not replicated",
    Policy.REFUSED: "raises `CommandRefused`: the two stores could not be kept equal",
}

INTRODUCTION = """\
# Commands

Every command that hybrid knows, and how it reaches the other store. A command that is not listed is refused by name.
This file is generated from the table in `hybrid/core`; change it there, then run
`python -m scripts.commands_doc --write`.

*Idempotent*: when its outcome is unknown, it is sent again by itself; the others raise `OutcomeUnknown`.
*Blind*: its result does not depend on what its keys held before. Arguments may change all three: the notes say how,
conditions such as `NX` or `GET` end idempotence and blindness.
"""


def document(commands: Iterable[Command]) -> str:
    """The whole file, as text."""
    listed = list(commands)
    return "\n".join([INTRODUCTION, *_legend(listed), *_groups(listed)])


def _legend(commands: list[Command]) -> Iterator[str]:
    counts = Counter(command.policy for command in commands)
    yield "| policy | commands | meaning |\n|---|---:|---|"
    for policy, meaning in POLICIES.items():
        yield f"| {policy.value} | {counts[policy]} | {meaning} |"
    yield ""


def _groups(commands: list[Command]) -> Iterator[str]:
    for group, members in groupby(commands, key=lambda command: command.group):
        yield f"## {group}\n\n| command | policy | idempotent | blind | note |\n|---|---|---|---|---|"
        for command in sorted(members, key=lambda command: command.name):
            yield _row(command)
        yield ""


def _row(command: Command) -> str:
    idempotent, blind = ("yes" if flag else "" for flag in (command.idempotent, command.blind))
    return f"| `{command.name}` | {command.policy.value} | {idempotent} | {blind} | {command.note} |"


def main(arguments: list[str]) -> int:
    """Write or check the file; the exit code is 1 when the check finds it stale and 2 when the arguments are wrong."""
    current = document(COMMANDS.values())
    if arguments == ["--write"]:
        DOCUMENT.write_text(current, encoding="utf-8")
        return 0
    if arguments != ["--check"]:
        sys.stderr.write("usage: python -m scripts.commands_doc --write | --check\n")
        return 2
    if DOCUMENT.is_file() and DOCUMENT.read_text(encoding="utf-8") == current:
        return 0
    sys.stderr.write("docs/commands.md is stale; run: python -m scripts.commands_doc --write\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
