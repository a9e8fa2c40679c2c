"""One table of every command: its replication policy, its keys, and whether it may be sent twice.

`args` is everywhere what redis-py's `execute_command` got: the name first (str or bytes, any case, its words in one
string or apart), then the operands. A command that is not in the table is refused: nothing would tell what it changes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from hybrid.core.command_table import CORE
from hybrid.core.command_table_admin import ADMIN
from hybrid.core.command_table_modules import MODULES
from hybrid.core.command_types import Command, Keys, Operands, Policy, word
from hybrid.errors import CommandRefused, Malformed

__all__ = [
    "COMMANDS",
    "Command",
    "Keys",
    "Policy",
    "is_blind",
    "is_idempotent",
    "keys_of",
    "lookup",
    "operands_of",
    "policy_of",
    "written_keys",
]

COMMANDS: Final[Mapping[str, Command]] = MappingProxyType({row.name: row for row in (*CORE, *MODULES, *ADMIN)})
"""Every command by its full name, upper case, one space before a subcommand."""

_CONTAINERS: Final = frozenset(name.partition(" ")[0] for name in COMMANDS if " " in name)
_UNLOGGED: Final = (Policy.READ, Policy.ONE_STORE, Policy.REFUSED)
_SHOWN_LENGTH: Final = 40


def _spelled(convert: Callable[[str], Any]) -> dict[Any, Command]:
    """Rows by the spellings in use. A container's bare name is absent: its next argument tells which command it is."""
    named = [row for row in COMMANDS.values() if row.name not in _CONTAINERS]
    return {convert(spelling): row for row in named for spelling in (row.name, row.name.lower())}


# Two mappings, because a str and the equal bytes have one hash and would collide in every look-up.
_BY_STR: Final[Mapping[Any, Command]] = _spelled(str)
_BY_BYTES: Final[Mapping[Any, Command]] = _spelled(str.encode)


def lookup(args: Sequence[Any]) -> Command:
    """The row of the command that `args` would run. Raises `CommandRefused` for one that is not in the table."""
    return (_exact(args[0]) if args else None) or _resolve(args)


def policy_of(command: Command, args: Sequence[Any]) -> Policy:
    """The policy of this very call."""
    rule = command.policy_rule
    return command.policy if rule is None else rule(operands_of(command, args))


def is_idempotent(command: Command, args: Sequence[Any]) -> bool:
    """Whether this call, sent twice, leaves the same data as once and its second reply cannot mislead."""
    rule = command.idempotent_rule
    return command.idempotent if rule is None else rule(operands_of(command, args))


def is_blind(command: Command, args: Sequence[Any]) -> bool:
    """Whether what this call leaves in its keys does not depend on what they held before."""
    rule = command.blind_rule
    return command.blind if rule is None else rule(operands_of(command, args))


def keys_of(command: Command, args: Sequence[Any]) -> list[Any]:
    """All keys of this call, in order and as given. A malformed call has fewer, never an error."""
    return command.keys.of(operands_of(command, args))


def written_keys(command: Command, args: Sequence[Any]) -> list[Any]:
    """The keys that this call may change. FLUSH names none, although it changes all."""
    if policy_of(command, args) in _UNLOGGED:
        return []
    return (command.writes or command.keys).of(operands_of(command, args))


def _exact(head: Any) -> Command | None:
    """The row whose whole name is `head`, spelled in one of the usual ways."""
    if isinstance(head, str):
        return _BY_STR.get(head)
    return _BY_BYTES.get(head) if isinstance(head, bytes) else None


def operands_of(command: Command, args: Sequence[Any]) -> Operands:
    """What follows the name in `args`."""
    if _exact(args[0]) is command:
        return args[1:]
    return _words(args)[len(command.name.split()) :]


def _words(args: Sequence[Any]) -> list[Any]:
    """The arguments as redis-py sends them: the words of the first one are arguments of their own."""
    head = args[0]
    if isinstance(head, (bytearray, memoryview)):
        head = bytes(head)
    return [*(head.split() if isinstance(head, (str, bytes)) else [head]), *args[1:]]


def _resolve(args: Sequence[Any]) -> Command:
    words = _words(args) if args else []
    if not words:
        raise CommandRefused("(nothing)", "no command was given")
    name = word(words[0])[:_SHOWN_LENGTH]
    if name in _CONTAINERS:
        full = f"{name} {word(words[1])[:_SHOWN_LENGTH]}" if len(words) > 1 else name
        name = full if full in COMMANDS or name not in COMMANDS else name
    command = COMMANDS.get(name)
    if command is None and name in _CONTAINERS and len(words) == 1:
        raise Malformed(name, f"wrong number of arguments for '{name.lower()}' command")
    if command is None:
        raise CommandRefused(name, "it is not in the command table, so how to keep it equal on two stores is not known")
    return command
