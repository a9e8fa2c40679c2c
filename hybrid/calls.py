"""What a command becomes: a flow, whichever client performs it. Shared by `hybrid.HybridRedis` and the asyncio one."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import redis
from redis.client import EMPTY_RESPONSE, NEVER_DECODE

from hybrid.core import flows
from hybrid.core.actions import Ask, Flow
from hybrid.core.command_rules import copy_within
from hybrid.core.command_types import word
from hybrid.core.commands import Command, Policy, lookup, operands_of, policy_of
from hybrid.core.effects import Blocking, blocking_twin, without_waiting
from hybrid.core.libraries import NOT_FOUND, PAST_HYBRID, TWIN, as_written, is_loaded
from hybrid.core.names import RESERVED, Names
from hybrid.core.script_keys import Scripts
from hybrid.core.transaction import Transaction, hint, transaction
from hybrid.core.visible import SHOWN
from hybrid.core.write import Write
from hybrid.errors import CommandRefused, LogRefused, QueueRefused
from hybrid.reading import Reading
from hybrid.replication.board import Board
from hybrid.types import Ack, Store

__all__ = ["Calls"]

_OK: Final = ("PING", "OK")
_OF_FUNCTIONS: Final = frozenset(("FCALL", "FUNCTION LOAD", "FUNCTION RESTORE"))


class Calls(Reading):
    """From the arguments of a command to a flow, and from its raw reply to what redis-py returns.

    Two underscores: classes that are derived from a client have attributes of such names (walrus' `_scripts`).
    """

    _board: Board
    _names: Names
    _resp3: bool
    _database: str | None = None
    """The one that the store's URL names: who selects it changes nothing."""
    response_callbacks: Any

    def _prepare_calls(self, names: Names, options: Mapping[str, Any]) -> None:
        self._names = names
        self.__scripts = Scripts(names.log)
        self._hint: Callable[[tuple[bytes, ...]], Transaction] = lambda keys: hint(names, keys)
        self.__encoding = options.get("encoding", "utf-8")
        self.__errors = options.get("encoding_errors", "strict")
        self._is_utf8 = self.__encoding.lower().replace("_", "-") in ("utf-8", "utf8") and self.__errors == "strict"

    def called(self, args: tuple[Any, ...], options: Mapping[str, Any]) -> Flow:
        """The flow of one command, by the policy that the command table gives it; its result is the raw reply.

        Raises CommandRefused.
        """
        if not self._is_utf8:
            args = self.encoded(args)
        command = lookup(args)
        policy = policy_of(command, args)
        decode = NEVER_DECODE not in options
        if policy is Policy.READ:
            return self._read(command, args, decode)
        if policy is Policy.REFUSED:
            return self.called(self._instead_of(command, args), options)
        if policy is Policy.BLOCKING:
            return self._blocked(args, decode)
        args, first = self.__scripts.followed(command, args, replicated=self._board.settings.replicated)
        if policy is Policy.ONE_STORE or not self._board.settings.replicated:
            return self._on_authority(self._packed(args), command.name, command.idempotent, decode)
        return self._written(Write(args, self._packed(args), command, policy, first), decode)

    # -- writing

    def _on_authority(self, payload: bytes, name: str, idempotent: bool, decode: bool) -> Flow:
        replies = yield from flows.ask_authority(
            self._board, lambda store: Ask(store, payload, 1, decode), name, idempotent=idempotent
        )
        return (yield from self._shown(name, replies[0], Store.LOCAL)) if name in SHOWN else replies[0]

    def _written(self, write: Write, decode: bool = True) -> Flow:
        self._refuse_reserved(write)
        try:
            verdict = yield from self.written((write,), decode)
        except QueueRefused as refused:
            return next(iter(refused.errors.values()))
        return verdict.replies[0]

    def written(self, writes: Sequence[Write], decode: bool = True, *, atomic: bool = True) -> Flow:
        """The flow that runs `writes` as one logged transaction; its result is a Verdict."""
        prepared = transaction(self._names, writes, resp3=self._resp3, atomic=atomic)
        try:
            verdict = yield from self._run_logged(prepared, decode)
        except LogRefused:
            try:
                prepared = transaction(self._names, writes, resp3=self._resp3, atomic=atomic, full=True)
                verdict = yield from self._run_logged(prepared, decode)
            except LogRefused as refused:
                raise refused.error from None
        if verdict.position is not None:
            self._board.wrote(verdict.position)
        if not prepared.is_usual:
            yield from self.explained(writes, verdict.replies)
        return verdict

    def _run_logged(self, prepared: Transaction, decode: bool) -> Flow:
        confirm = self._board.settings.ack is Ack.BOTH
        return (yield from flows.write(self._board, prepared, self._hint, confirm=confirm, decode=decode))

    def explained(self, writes: Sequence[Write], replies: list[Any]) -> Flow:
        """The flow that puts errors about functions in the application's terms: `Function not found` may be about one
        that is there, but was loaded past hybrid."""
        for number, reply in enumerate(replies):
            if not isinstance(reply, Exception) or writes[number].command.name not in _OF_FUNCTIONS:
                continue
            replies[number] = as_written(reply)
            if str(reply) == NOT_FOUND and writes[number].command.name == "FCALL":
                twin, listed = writes[number].args[1], (yield from self._functions())
                # Where it is there by both names, it is another store that was asked, after a failover.
                if is_loaded(twin.removeprefix(TWIN), listed) and not is_loaded(twin, listed):
                    replies[number] = CommandRefused("FCALL", PAST_HYBRID)

    def _blocked(self, args: tuple[Any, ...], decode: bool) -> Flow:
        blocking = blocking_twin(args)
        if blocking is None:
            raise CommandRefused(str(args[0]), "it has no form that does not block")
        for twin in blocking.attempts:
            self.prepared(twin)
        until_s = time.monotonic() + blocking.timeout_s if blocking.timeout_s else float("inf")
        return self._waited(blocking, until_s, decode)

    def _waited(self, blocking: Blocking, until_s: float, decode: bool) -> Flow:
        def attempt(twin: Sequence[Any]) -> Flow:
            command = lookup(twin)
            policy = policy_of(command, twin)
            if self._board.settings.replicated:
                reply = yield from self._written(Write(tuple(twin), self._packed(twin), command, policy), decode)
            else:
                reply = yield from self._on_authority(self._packed(twin), command.name, False, decode)
            if isinstance(reply, Exception):
                raise reply
            return reply

        return flows.block(self._board, blocking, attempt, lambda: until_s - time.monotonic())

    def prepared(self, args: tuple[Any, ...]) -> Write:
        """A queued command with its policy. Raises CommandRefused."""
        if not self._is_utf8:
            args = self.encoded(args)
        command = lookup(args)
        policy = policy_of(command, args)
        if policy is Policy.REFUSED:
            return self.prepared(self._instead_of(command, args))
        if policy is Policy.BLOCKING and (twin := without_waiting(args)):
            return self.prepared(twin)
        args, first = self.__scripts.followed(command, args, replicated=self._board.settings.replicated)
        write = Write(args, self._packed(args), command, policy, first)
        self._refuse_reserved(write)
        return write

    def _instead_of(self, command: Command, args: Sequence[Any]) -> tuple[Any, ...]:
        """What is sent for one of the refused commands that changes nothing as it stands. Raises CommandRefused."""
        operands = operands_of(command, args)
        if command.name == "SELECT" and [word(it) for it in operands] == [self._database]:
            return _OK
        if command.name == "COPY" and (within := copy_within(operands, self._database)) is not None:
            return (command.name, *within)
        raise CommandRefused(command.name, command.note or "see docs/commands.md")

    def _refuse_reserved(self, write: Write) -> None:
        # A key can only be reserved if the prefix is somewhere in the request: that is quick to see.
        if RESERVED in write.packed and write.is_logged:
            for key in write.written_keys:
                if key.startswith(RESERVED):
                    raise CommandRefused(
                        write.command.name, f"keys that begin with {RESERVED.decode()!r} are hybrid's own"
                    )

    # -- bytes in, replies out

    def encoded(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """With the operands in the encoding that the application chose; what is behind this takes str for UTF-8."""
        name, *operands = args
        words = self.__encoding, self.__errors
        return (name, *(arg.encode(*words) if isinstance(arg, str) else arg for arg in operands))

    def parsed(self, name: Any, reply: Any, options: dict[str, Any]) -> Any:
        """As redis-py's parse_response."""
        if isinstance(reply, Exception):
            if EMPTY_RESPONSE in options and isinstance(reply, redis.ResponseError):
                return options[EMPTY_RESPONSE]
            raise reply
        callback = self.response_callbacks.get(name)
        if callback is None:
            return reply
        if options:
            for mark in (NEVER_DECODE, EMPTY_RESPONSE, "keys"):
                options.pop(mark, None)
        return callback(reply, **options)
