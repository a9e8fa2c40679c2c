"""What of a client's pipelined requests goes to a store together: reads with reads, writes in one logged pipeline."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Final

from hybrid.core.commands import Command, Policy, is_idempotent, lookup, policy_of
from hybrid.core.visible import SHOWN
from hybrid.core.write import Write
from hybrid.errors import CommandRefused, Malformed
from hybrid.proxy.execution import Execution
from hybrid.proxy.replies import error_line
from hybrid.proxy.requests import Request
from hybrid.queued import CHUNK_COMMANDS

__all__ = ["Batch", "refusal_line"]

CHUNK_BYTES: Final = 1024 * 1024
SPECIAL: Final = SHOWN | {"SCRIPT EXISTS"}


ALONE: Final = (Policy.BLOCKING, Policy.FLUSH, Policy.REFUSED)
ASKING: Final = (Policy.READ, Policy.ONE_STORE)


class Kind(Enum):
    NOTHING = "nothing"
    READS = "reads"
    WRITES = "writes"
    ONE_STORE = "one store"


class Batch:
    """Takes a session's commands in order and hands their replies, in the same order, to `answer`.

    `flush` runs what is collected. `deliver` is called before a command that may wait, so that the client has the
    replies to what it asked before.
    """

    def __init__(self, execution: Execution, answer: Callable[[bytes], object], deliver: Callable[[], None]) -> None:
        self.execution = execution
        self._answer = answer
        self._deliver = deliver
        self._kind = Kind.NOTHING
        self._requests: list[Request] = []
        self._writes: list[Write] = []
        self._commands: list[Command] = []
        self._size = 0

    def add(self, request: Request) -> None:
        args, packed = request
        try:
            command = lookup(args)
            self._sort(command, policy_of(command, args), request)
        except CommandRefused as error:
            self.flush()
            self._answer(refusal_line(error, args))
            return
        self._size += len(packed)
        if self._size >= CHUNK_BYTES or len(self._requests) + len(self._writes) >= CHUNK_COMMANDS:
            self.flush()

    def _sort(self, command: Command, policy: Policy, request: Request) -> None:
        args = request[0]
        if policy in ALONE or (policy in ASKING and _is_special(command, args)):
            self.flush()
            if policy is not Policy.REFUSED:
                self._deliver()
            self._answer(self.execution.alone(command, args))
        elif policy is Policy.READ:
            if self._kind is Kind.WRITES:
                self._writes.append(Write(args, request[1], command, policy))
            else:
                self._collect(Kind.READS, request)
        elif policy is Policy.ONE_STORE:
            self._one_store(command, request)
        else:
            write = self.execution.lane.prepared(args)
            if self.execution.replicated:
                if self._kind is not Kind.WRITES:
                    self.flush()
                    self._kind = Kind.WRITES
                self._writes.append(write)
            else:
                self._one_store(command, request)

    def flush(self) -> None:
        """Run what was collected."""
        kind, self._kind, self._size = self._kind, Kind.NOTHING, 0
        requests, self._requests = self._requests, []
        if kind is Kind.READS:
            self._answer(self.execution.reads(requests))
        elif kind is Kind.WRITES:
            writes, self._writes = self._writes, []
            for reply in self.execution.writes(writes):
                self._answer(reply)
        elif kind is Kind.ONE_STORE:
            commands, self._commands = self._commands, []
            idempotent = all(
                is_idempotent(command, args) for command, (args, _) in zip(commands, requests, strict=True)
            )
            self._answer(self.execution.on_authority(requests, commands[0].name, idempotent=idempotent))

    def _one_store(self, command: Command, request: Request) -> None:
        self._collect(Kind.ONE_STORE, request)
        self._commands.append(command)

    def _collect(self, kind: Kind, request: Request) -> None:
        if self._kind is not kind:
            self.flush()
            self._kind = kind
        self._requests.append(request)


def _is_special(command: Command, args: tuple[bytes, ...]) -> bool:
    return command.name in SPECIAL or (command.name == "XREAD" and any(word.upper() == b"BLOCK" for word in args[1:6]))


def refusal_line(error: CommandRefused, args: tuple[bytes, ...]) -> bytes:
    """A command that is in no table is unknown, in the words that clients look for."""
    try:
        lookup(args)
    except Malformed:
        return error_line(error)
    except CommandRefused as unknown:
        name, *operands = (arg[:128].decode(errors="replace") for arg in args[:20])
        beginning = " ".join(f"'{operand}'" for operand in operands)[:128]
        text = f"-ERR unknown command '{name}', with args beginning with: {beginning}"
        if " " in unknown.command:
            text = f"-ERR unknown subcommand '{operands[0]}'. Try {name.upper()} HELP."
        return " ".join(text.split()).encode() + b"\r\n"
    return error_line(error)
