"""What a pipeline does with its queued commands, as flows. Shared by the pipelines of both clients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

import redis
from redis.client import EMPTY_RESPONSE, NEVER_DECODE

from hybrid.calls import Calls
from hybrid.core import flows
from hybrid.core.actions import Ask, Flow, OnWire
from hybrid.core.authority import Authority
from hybrid.core.commands import Policy, lookup, policy_of
from hybrid.core.hints import log_expiring, log_state
from hybrid.core.outcomes import NotSent, ReplyLost, WritesRefused
from hybrid.core.resp import pack
from hybrid.core.scripts import LOAD_EFFECTS
from hybrid.core.transaction import Transaction, transaction, verdict
from hybrid.core.write import Write
from hybrid.errors import LogRefused, OutcomeUnknown, QueueRefused
from hybrid.reading import Run
from hybrid.types import Ack, Store

__all__ = ["FencedWire", "Loan", "Queue"]

CHUNK_COMMANDS: Final = 500
"""A pipeline that is no transaction is cut into transactions of at most this many commands."""

_MULTI, _EXEC = pack(("MULTI",)), pack(("EXEC",))


class FencedWire(Protocol):
    """A wire with a standing WATCH on the authority record, as the flows see it."""

    authority: Authority | None
    effects_loaded: bool

    @property
    def epoch(self) -> int: ...

    def see(self, record: Any) -> None: ...
    def next_token(self) -> bytes: ...


class Loan(Protocol):
    """A fenced wire lent to a pipeline that watches keys."""

    @property
    def store(self) -> Store: ...
    @property
    def wire(self) -> FencedWire: ...


class Queue:
    """Mixed into redis-py's pipelines, whose attributes it uses."""

    _client: Calls
    _atomic: bool
    _loan: Loan | None
    explicit_transaction: bool
    watching: bool
    annotate_exception: Any
    raise_first_error: Any

    # redis-py's pipeline is a client too, which would open these on a pool, and so on one store alone.

    def pipeline(self, transaction: bool = True, shard_hint: Any = None) -> Any:
        """Another pipeline of the same client."""
        return self._opener.pipeline(transaction, shard_hint)

    def pubsub(self, **kwargs: Any) -> Any:
        """As of the client."""
        return self._opener.pubsub(**kwargs)

    def monitor(self) -> Any:
        """As of the client."""
        return self._opener.monitor()

    @property
    def _opener(self) -> Any:
        return self._client

    # -- executing

    def _executed(self, stack: Sequence[Any]) -> Flow:
        """The flow that runs the queue; its result is the raw replies, errors in their places.

        Raises as `HybridRedis.execute_command`, and WatchError when a watched key moved.
        """
        if any(EMPTY_RESPONSE in options for _, options in stack):
            return (yield from self._executed_in_part(stack))
        writes = [self._client.prepared(args) for args, _ in stack]
        try:
            return (yield from self._run(writes))
        except QueueRefused as refused:
            index, error = next(iter(refused.errors.items()))
            self.annotate_exception(error, index + 1, stack[index][0])
            raise error from None

    def _executed_in_part(self, stack: Sequence[Any]) -> Flow:
        """As redis-py: what has no operands (MGET of no keys) has its reply already, and is not sent."""
        replies = iter((yield from self._executed([it for it in stack if EMPTY_RESPONSE not in it[1]])))
        return [options[EMPTY_RESPONSE] if EMPTY_RESPONSE in options else next(replies) for _, options in stack]

    def _parsed(self, stack: Sequence[Any], replies: list[Any], raise_on_error: bool) -> list[Any]:
        if raise_on_error:
            self.raise_first_error(stack, replies)
        parsed = self._client.parsed
        return [
            reply
            if isinstance(reply, Exception) or EMPTY_RESPONSE in options
            else parsed(args[0], reply, dict(options))
            for (args, options), reply in zip(stack, replies, strict=True)
        ]

    def _run(self, writes: list[Write]) -> Flow:
        loan = self._loan
        if loan is not None:
            return (yield from self._shown(writes, lambda sent, _: self._run_watched(loan, sent)))
        if self._atomic or self.explicit_transaction:
            return (yield from self._shown(writes, self._flow))
        replies: list[Any] = []
        for start in range(0, len(writes), CHUNK_COMMANDS):
            replies += yield from self._run_plain(writes[start : start + CHUNK_COMMANDS])
        return replies

    def _run_plain(self, writes: list[Write]) -> Flow:
        """A pipeline that is no transaction: a command that cannot be queued stops no other one."""
        try:
            return (yield from self._shown(writes, self._flow))
        except QueueRefused as refused:
            errors = refused.errors
        accepted = [write for index, write in enumerate(writes) if index not in errors]
        replies = iter((yield from self._run_plain(accepted)) if accepted else ())
        return [errors[index] if index in errors else next(replies) for index in range(len(writes))]

    def _shown(self, writes: Sequence[Write], run: Run) -> Flow:
        return self._client.shown(writes, run, self._loan.store if self._loan is not None else None)

    def _flow(self, writes: Sequence[Write], first: Store | None) -> Flow:
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
            readers = board.readers if first is None else lambda: self._client.readers(first)
            ask = flows.read(board, readers, lambda store: Ask(store, payload, count, reads=True))
        return _ran((yield from ask))

    # -- watching

    def _run_watched(self, loan: Loan, writes: Sequence[Write]) -> Flow:
        client, wire = self._client, loan.wire
        if not (client._board.settings.replicated and any(write.is_logged for write in writes)):
            return _ran((yield from _on_loan(loan, *_plain(writes))))
        prepared = transaction(client._names, writes, resp3=client._resp3)
        if prepared.scripted and not wire.effects_loaded:
            yield from _looked(OnWire(loan, LOAD_EFFECTS, 2))
            wire.effects_loaded = True
        try:
            replies = yield from _on_loan(loan, prepared.payload(wire.next_token()), prepared.replies, prepared.unseen)
        except OutcomeUnknown:
            yield from log_state(client._board, prepared.unseen, client._hint)
            raise
        self.watching = False  # EXEC ended that, and the fence stands again
        epoch = wire.epoch
        wire.see(replies[-1])
        client._board.learn(wire.authority, source=loan.store)
        answers = replies[:-2]
        if isinstance(answers[-1], Exception):
            refusal: Exception | None = prepared.refusal(answers[1:-1], answers[-1])
        else:
            refusal = prepared.refused_writes(_ran(answers))
        if isinstance(refusal, WritesRefused):
            yield from flows.take_over(client._board, loan.store, refusal)
            raise redis.WatchError(f"the other store takes the writes now: {refusal}")
        if refusal is not None:
            raise refusal.error if isinstance(refusal, LogRefused) else refusal
        settled = yield from self._settled(loan.store, epoch, prepared, _ran(answers))
        yield from client.explained(writes, settled)
        return settled

    def _settled(self, store: Store, epoch: int, prepared: Transaction, answers: list[Any]) -> Flow:
        client, result = self._client, verdict(prepared, answers)
        if result.expiring:
            result = yield from log_expiring(client._board, store, result, (), client._hint)
        if result.position is not None:
            client._board.wrote(result.position)
            if client._board.settings.ack is Ack.BOTH:
                yield from flows.confirm(client._board, store, result.position, epoch, prepared.name)
        return result.replies

    @property
    def _is_fenced(self) -> bool:
        """Whether the loan's wire watches the authority record and nothing else."""
        return not self.watching and self._client._board.settings.replicated

    def _at_once(self, args: tuple[Any, ...], options: Mapping[str, Any]) -> Flow:
        """The flow of a command between WATCH and MULTI; its result is the raw reply.

        A read runs where the keys are watched. A write goes its usual way: one to a watched key makes EXEC fail, as it
        does on a connection of one's own.
        """
        client = self._client
        if args[0] != "WATCH" and policy_of(lookup(args), args) is not Policy.READ:
            return (yield from client.called(args, options))
        if self._loan is None:
            self._loan = yield from flows.borrow(client._board)
        loan = self._loan
        if args[0] == "WATCH":
            return (yield from _looked(OnWire(loan, pack(client.encoded(args)))))[0]

        def run(writes: Sequence[Write], _: Store | None) -> Flow:
            packed = b"".join([write.packed for write in writes])
            return _looked(OnWire(loan, packed, len(writes), NEVER_DECODE not in options))

        return (yield from self._shown([client.prepared(args)], run))[0]


def _looked(request: OnWire) -> Flow:
    """Nothing was changed yet, so a lost wire means the same as a watched key that moved."""
    try:
        return (yield request)
    except redis.ConnectionError as error:
        raise redis.WatchError(f"the store was lost while watching: {error}") from None


def _on_loan(loan: Loan, payload: bytes, count: int, unseen: tuple[bytes, ...] = ()) -> Flow:
    try:
        return (yield OnWire(loan, payload, count, unseen=unseen))
    except NotSent as error:
        raise redis.WatchError(f"the store was lost while watching: {error}") from None
    except ReplyLost as error:
        # WatchError would say that nothing was run, and the caller's loop would run it again.
        raise OutcomeUnknown("transaction", f"sent to the {loan.store} store, {error}") from None


def _plain(writes: Sequence[Write]) -> tuple[bytes, int]:
    return _MULTI + b"".join(write.packed for write in writes) + _EXEC, len(writes) + 2


def _ran(replies: list[Any]) -> list[Any]:
    """The replies of EXEC. Raises what the server refused to queue, or WatchError."""
    executed = replies[-1]
    if isinstance(executed, Exception):
        errors = {index: reply for index, reply in enumerate(replies[1:-1]) if isinstance(reply, Exception)}
        raise QueueRefused(errors) if errors else executed
    if executed is None:
        raise redis.WatchError("Watched variable changed.")
    return list(executed)
