"""Pipelines and transactions: one logged transaction on the authority, one on the other store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import redis
from redis.client import NEVER_DECODE, Pipeline

from hybrid.core import flows
from hybrid.core.commands import Policy, lookup, policy_of
from hybrid.core.flows import Ask, Flow
from hybrid.core.outcomes import NotSent, ReplyLost
from hybrid.core.resp import pack
from hybrid.core.transaction import Transaction, Write, verdict
from hybrid.core.transaction import transaction as logged_transaction
from hybrid.errors import CommandRefused, OutcomeUnknown, QueueRefused
from hybrid.replication.engine import Borrowed

if TYPE_CHECKING:
    from hybrid.client import HybridRedis

__all__ = ["HybridPipeline"]

CHUNK_COMMANDS: Final = 500
"""A pipeline that is no transaction is cut into transactions of at most this many commands."""

_MULTI, _EXEC = pack(("MULTI",)), pack(("EXEC",))


class HybridPipeline(Pipeline):
    """redis-py's pipeline over two stores. After WATCH, commands run at once on the authority, as in redis-py."""

    def __init__(self, client: HybridRedis, transaction: bool, shard_hint: Any) -> None:
        super().__init__(client.connection_pool, client.response_callbacks, transaction, shard_hint)
        self._client = client
        self._atomic = transaction
        self._engine = client._engine
        self._borrowed: Borrowed | None = None

    # -- watching

    def immediate_execute_command(self, *args: Any, **options: Any) -> Any:
        if self._borrowed is None:
            self._borrowed = self._engine.borrow()
        if args[0] not in ("WATCH", "UNWATCH") and policy_of(command := lookup(args), args) is not Policy.READ:
            raise CommandRefused(command.name, "between WATCH and MULTI only reads can run; call multi() first")
        try:
            if args[0] == "UNWATCH":
                # The standing fence is a WATCH too, and must stay.
                self._borrowed.endpoint.fence(self._borrowed.wire)
                self.watching = False
                return True
            reply = self._borrowed.wire.exchange(pack(args), 1, decode=NEVER_DECODE not in options)[0]
        except redis.ConnectionError as error:
            self.reset()
            raise redis.WatchError(f"the store was lost while watching: {error}") from None
        if args[0] == "WATCH":
            self.watching = True
        return self._client._parsed(args[0], reply, options)

    def reset(self) -> None:  # type: ignore[override]
        self.command_stack = []
        self.scripts = set()
        self.watching = False
        self.explicit_transaction = False
        borrowed, self._borrowed = getattr(self, "_borrowed", None), None
        if borrowed is not None:
            self._engine.give_back(borrowed)

    # -- executing

    def execute(self, raise_on_error: bool = True) -> list[Any]:
        """Run what is queued. Raises as `HybridRedis.execute_command`, and WatchError when a watched key moved."""
        stack = self.command_stack
        try:
            if not stack:
                return []
            if self.scripts:
                self.load_scripts()
            writes = [self._client.prepared(args) for args, _ in stack]
            try:
                replies = self._run(writes)
            except QueueRefused as refused:
                index, error = next(iter(refused.errors.items()))
                self.annotate_exception(error, index + 1, stack[index][0])
                raise error from None
            if raise_on_error:
                self.raise_first_error(stack, replies)
            return [
                reply if isinstance(reply, Exception) else self._client._parsed(args[0], reply, dict(options))
                for (args, options), reply in zip(stack, replies, strict=True)
            ]
        finally:
            self.reset()

    def _run(self, writes: list[Write]) -> list[Any]:
        if self._borrowed is not None:
            return self._run_watched(writes)
        if self._atomic or self.explicit_transaction:
            return list(self._engine.drive(self._flow(writes)))
        replies: list[Any] = []
        for start in range(0, len(writes), CHUNK_COMMANDS):
            replies += self._run_plain(writes[start : start + CHUNK_COMMANDS])
        return replies

    def _run_plain(self, writes: list[Write]) -> list[Any]:
        """A pipeline that is no transaction: a command that cannot be queued stops no other one."""
        try:
            return list(self._engine.drive(self._flow(writes)))
        except QueueRefused as refused:
            errors = refused.errors
        accepted = [write for index, write in enumerate(writes) if index not in errors]
        replies = iter(self._run_plain(accepted) if accepted else ())
        return [errors[index] if index in errors else next(replies) for index in range(len(writes))]

    def _flow(self, writes: Sequence[Write]) -> Flow:
        board = self._client._board
        if board.settings.replicated and any(write.is_logged for write in writes):
            result = yield from self._client.written(writes, atomic=self._atomic)
            return result.replies
        payload, count = _plain(writes)
        if any(write.is_logged for write in writes):
            idempotent = all(write.idempotent for write in writes)
            ask = flows.ask_authority(
                board, lambda store: Ask(store, payload, count), "pipeline", idempotent=idempotent
            )
        else:
            ask = flows.read(board, board.readers, lambda store: Ask(store, payload, count))
        return _executed((yield from ask))

    def _run_watched(self, writes: list[Write]) -> list[Any]:
        borrowed, client = self._borrowed, self._client
        assert borrowed is not None
        prepared: Transaction | None = None
        if client.settings.replicated:
            prepared = logged_transaction(client._names, writes, resp3=client._resp3)
            payload, count = prepared.payload(borrowed.wire.next_token()), prepared.replies
            if prepared.scripted:
                self._load_effects(borrowed)
        else:
            payload, count = _plain(writes)
        try:
            replies = borrowed.wire.exchange(payload, count)
        except NotSent as error:
            raise redis.WatchError(f"the store was lost while watching: {error}") from None
        except ReplyLost as error:
            # WatchError would say that nothing was run, and the caller's loop would run it again.
            raise OutcomeUnknown("transaction", f"sent to the {borrowed.store} store, {error}") from None
        if prepared is None:
            return _executed(replies)
        answers = self._engine.accept(borrowed, replies)
        if isinstance(answers[-1], Exception):
            raise prepared.refusal(answers[1:-1], answers[-1])
        executed = _executed(answers)
        result = verdict(prepared, executed)
        if result.expiring:
            hinted = flows.write(client._board, client._hint(result.expiring), client._hint, confirm=False)
            result = result.at(self._engine.drive(hinted).position)
        if result.position is not None:
            client._board.wrote(result.position)
            self._engine.confirm(borrowed.store, result.position)
        return result.replies

    def _load_effects(self, borrowed: Borrowed) -> None:
        try:
            borrowed.endpoint.load_effects(borrowed.wire)
        except (NotSent, ReplyLost) as error:
            raise redis.WatchError(f"the store was lost while watching: {error}") from None

    def load_scripts(self) -> None:
        """Make the queued scripts known to the stores."""
        scripts = list(self.scripts)
        exists = self._client.script_exists(*[script.sha for script in scripts])
        for script, known in zip(scripts, exists, strict=True):
            if not known:
                script.sha = self._client.script_load(script.script)


def _plain(writes: Sequence[Write]) -> tuple[bytes, int]:
    return _MULTI + b"".join(write.packed for write in writes) + _EXEC, len(writes) + 2


def _executed(replies: list[Any]) -> list[Any]:
    """The replies of EXEC. Raises what the server refused to queue, or WatchError."""
    executed = replies[-1]
    if isinstance(executed, Exception):
        errors = {index: reply for index, reply in enumerate(replies[1:-1]) if isinstance(reply, Exception)}
        raise QueueRefused(errors) if errors else executed
    if executed is None:
        raise redis.WatchError("Watched variable changed.")
    return list(executed)
