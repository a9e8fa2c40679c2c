"""One write, or one pipeline of them, as the transaction that runs it on the authority and logs it there.

    MULTI · [PTTL key ...] · command · XADD log * v <command> · EXEC · WATCH authority · GET authority

* The log entry is in the same transaction as the command: it is exactly as durable, and in the same order.
* The trailing WATCH fences the *next* transaction of the connection: if the authority record changes meanwhile, its
  EXEC does nothing. The GET behind it shows whether the record changed in the gap before the WATCH.
* PTTL goes first for commands whose result depends on what their keys held (`hybrid.core.expiry_guard`). It goes last,
  too, for a key that is given an expiry in the same transaction before.

Fields of an entry, in order, names repeating: `v` a packed command, `t` a packed command with a relative time,
`i` the command that was asked for, where the `v` before it is only its result (a merge adds sums, not results),
`s` a key whose state is to be copied, `f` the store was emptied, `r` everything is to be copied anew, `m` the next
entry belongs to the same group, `e` nothing more, `p` the group is a plain pipeline, no transaction, `w` the token of
the writer (see `Transaction`). A group that holds an `s` is shipped by the state of all its keys: replaying a command
on top of a state that already contains it would apply it twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import chain
from typing import Any, Final, NamedTuple

from hybrid.core.authority import Position, position
from hybrid.core.commands import Policy
from hybrid.core.expiry_guard import EXPIRY_GUARD_MS, guarded_keys, timed_inside
from hybrid.core.log_entry import NO_TOKEN, TOKEN_BYTES, Log, Part, Role
from hybrid.core.names import Names
from hybrid.core.outcomes import WritesRefused
from hybrid.core.refusals import is_of_writes, is_out_of_memory, is_unknown_script
from hybrid.core.resp import pack
from hybrid.core.scripts import EFFECT_SHA, FLUSH_SHA
from hybrid.core.write import Write
from hybrid.errors import LogRefused, QueueRefused

__all__ = [
    "ENTRY_BYTES",
    "FLUSH_S",
    "LARGE_BYTES",
    "MOST_WORDS",
    "Transaction",
    "Verdict",
    "hint",
    "refill",
    "transaction",
    "verdict",
]

LARGE_BYTES: Final = 32 * 1024
"""A value larger than this is logged by the state of its key, so that it is not held twice. What is added to a key is
logged as it is up to `ENTRY_BYTES`: all that the key holds would be copied with every item."""

ENTRY_BYTES: Final = 128 * 1024
"""A transaction is logged in several entries beyond this: a service takes and gives 10 MB at a time."""

MOST_WORDS: Final = 4_000
"""So many words of what is logged fit on the stack of Lua, see `hybrid.core.merge_script`."""

FLUSH_S: Final = 10.0
"""Emptying a store of millions of keys keeps it busy for seconds; that is no silence."""

COMMAND_S: Final = 50e-6
BYTE_S: Final = 1 / 5_000_000
_CRLF: Final = b"\r\n"
_LOGS_ITSELF: Final = frozenset(("EVAL", "EVALSHA", "FCALL"))
"""Commands that may log entries of their own, which belong with the next one: see `hybrid.core.script_keys`."""

_MULTI = pack(("MULTI",))
_EXEC = pack(("EXEC",))


class Transaction(NamedTuple):
    """The bytes to send, how many replies to read, and how to read the one of EXEC.

    A transaction that is not idempotent is `traced`: its entry carries a token of the wire that sent it, by which a
    writer without a reply learns whether the entry was shipped. `guarded`: for each key whose expiry is asked for, the
    keys whose values depend on it.
    """

    name: str
    head: bytes
    tail: bytes
    traced: bool
    replies: int
    parts: tuple[Part, ...]
    guarded: tuple[tuple[bytes, ...], ...]
    idempotent: bool
    scripted: bool
    size: int

    def payload(self, token: bytes) -> bytes:
        """The request; `token` is `TOKEN_BYTES` long, and unused in one that is not traced."""
        return self.head + token + self.tail if self.traced else self.head + self.tail

    @property
    def is_usual(self) -> bool:
        """Whether it is a single plain command."""
        return self.parts is _USUAL_PARTS

    @property
    def flushes(self) -> bool:
        """Whether it empties the store, and does nothing else."""
        return self.name in ("FLUSHDB", "FLUSHALL")

    @property
    def unseen(self) -> tuple[bytes, ...]:
        """The keys to log by state where nobody sees the replies: one of them may have been about to expire."""
        return tuple(dict.fromkeys(chain.from_iterable(self.guarded)))

    @property
    def work_s(self) -> float:
        """How much longer than a single command it may take, generously: its commands and its bytes at the server."""
        if self.is_usual:
            return 0.0
        return FLUSH_S * self.flushes + len(self.parts) * COMMAND_S + (len(self.head) + len(self.tail)) * BYTE_S

    def refusal(self, queued: Sequence[Any], aborted: Exception) -> Exception:
        """Why EXEC was aborted, from the replies to the parts. WritesRefused where not even the log takes an entry."""
        failed = [(part, reply) for part, reply in zip(self.parts, queued, strict=True) if isinstance(reply, Exception)]
        for part, reply in failed:
            if part.role is Role.LOGGED and is_of_writes(reply):
                return WritesRefused(reply)
        errors = {part.number: reply for part, reply in failed if part.role in (Role.REPLY, Role.EFFECT)}
        if errors:
            return QueueRefused(errors)
        error = failed[0][1] if failed else aborted
        return LogRefused(error) if is_out_of_memory(error) else error

    def refused_writes(self, ran: Sequence[Any]) -> WritesRefused | None:
        """Whether a single command that is a script was told so by the replies of EXEC: it is queued all the same."""
        if self.size == 1:
            return next((WritesRefused(error) for error in self._failed_scripts(ran) if is_of_writes(error)), None)
        return None

    def lacks_script(self, ran: Sequence[Any]) -> bool:
        """Whether somebody has emptied the server's script cache, by the replies of EXEC. A single command has done
        nothing then; in a longer transaction the others have run, and the error stands in its place."""
        return any(map(is_unknown_script, self._failed_scripts(ran)))

    def _failed_scripts(self, ran: Sequence[Any]) -> list[Exception]:
        if not self.scripted:
            return []
        pairs = zip(self.parts, ran, strict=True)
        return [reply for part, reply in pairs if part.role is Role.EFFECT and isinstance(reply, Exception)]


class Verdict(NamedTuple):
    """What a committed transaction did: a raw reply for each write, the place of its entry in the log (None when
    nothing was logged), and the keys that were about to expire, with those whose values depend on them."""

    replies: list[Any]
    position: Position | None
    expiring: tuple[bytes, ...]

    def at(self, place: Position | None) -> Verdict:
        return self._replace(position=place or self.position)


def hint(names: Names, keys: Sequence[bytes]) -> Transaction:
    """A transaction that only logs: copy the state of these keys."""
    entry = Log(names).entry([part for key in keys for part in (b"s", key)])
    return _assembled(names, "hint", [entry], (tuple(keys),), True, 0)


def refill(names: Names) -> Transaction:
    """A transaction that only logs: copy everything anew."""
    return _assembled(names, "refill", [Log(names).entry([b"r", b"1"])], (), True, 0)


def transaction(
    names: Names, writes: Sequence[Write], *, resp3: bool, atomic: bool = True, full: bool = False
) -> Transaction:
    """The transaction that runs `writes`, in order, and logs them as one group; one that need not be `atomic` on the
    other store saves it the MULTI and EXEC, which are billed there. `full`: for a store that takes no other entry in
    its log, because it has no memory left; raises LogRefused if they are too many for that."""
    if not full and (usual := _usual(names, writes, atomic)) is not None:
        return usual
    guarded = guarded_keys(writes)
    numbers = {key: number for number, key in enumerate(guarded)}
    parts = [Part(pack((b"PTTL", key)), Role.GUARD, number) for key, number in numbers.items()]
    idempotent = all(write.idempotent for write in writes)
    parts += _steps(Log(names, full), writes, resp3, traced=not idempotent, atomic=atomic)
    parts += [Part(pack((b"PTTL", key)), Role.GUARD, numbers[key]) for key in timed_inside(writes)]
    name = writes[0].command.name if len(writes) == 1 else "pipeline"
    return _assembled(names, name, parts, tuple(guarded.values()), idempotent, len(writes))


def _usual(names: Names, writes: Sequence[Write], atomic: bool) -> Transaction | None:
    """The commonest case, plain SETs and their like, without the general machinery: a third of the cost of such a
    write was there. None for every other case."""
    packed = []
    size_bytes = 0
    for write in writes:
        size_bytes += len(write.packed)
        if write.policy is not Policy.VERBATIM or write.first or len(write.packed) > LARGE_BYTES:
            return None
        if not (write.is_blind and write.idempotent):
            return None
        packed.append(write.packed)
    if size_bytes > ENTRY_BYTES:
        return None
    size = len(packed)
    add, after = _frame(names)
    if size == 1:
        command = packed[0]
        head = b"%b%b*5\r\n%b$1\r\nv\r\n$%d\r\n%b\r\n%b" % (_MULTI, command, add, len(command), command, after)
        return Transaction(writes[0].command.name, head, b"", False, 6, _USUAL_PARTS, (), True, False, 1)
    logged = [b"$1\r\nv\r\n$%d\r\n%b\r\n" % (len(command), command) for command in packed]
    if not atomic:
        logged.append(_PLAIN)
    head = b"".join((_MULTI, *packed, b"*%d\r\n" % (3 + 2 * len(logged)), add, *logged, after))
    return Transaction("pipeline", head, b"", False, size + 5, _usual_parts(size), (), True, False, size)


@cache
def _frame(names: Names) -> tuple[bytes, bytes]:
    """The XADD of a usual transaction up to its fields, but for the number of its words, and what follows it."""
    log, authority = names.log, names.authority
    add = b"$4\r\nXADD\r\n$%d\r\n%b\r\n$1\r\n*\r\n" % (len(log), log)
    return add, _EXEC + pack((b"WATCH", authority)) + pack((b"GET", authority))


@cache
def _usual_parts(size: int) -> tuple[Part, ...]:
    return (*(Part(b"", Role.REPLY, number) for number in range(size)), Part(b"", Role.LOGGED))


def _assembled(
    names: Names, name: str, parts: list[Part], guarded: tuple[tuple[bytes, ...], ...], idempotent: bool, size: int
) -> Transaction:
    head: list[bytes] = [_MULTI]
    tail: list[bytes] = []
    traced = False
    for part in parts:
        if part.token_at < 0:
            (tail if traced else head).append(part.packed)
        else:
            head.append(part.packed[: part.token_at])
            tail.append(part.packed[part.token_at + TOKEN_BYTES :])
            traced = True
    tail += [_EXEC, pack((b"WATCH", names.authority)), pack((b"GET", names.authority))]
    return Transaction(
        name=name,
        head=b"".join(head),
        tail=b"".join(tail),
        traced=traced,
        replies=len(parts) + 4,
        parts=tuple(parts),
        guarded=guarded,
        idempotent=idempotent,
        scripted=any(part.role is Role.EFFECT for part in parts),
        size=size,
    )


_USUAL_PARTS: Final = _usual_parts(1)
_PLAIN: Final = b"$1\r\np\r\n$1\r\n1\r\n"


def verdict(transaction: Transaction, replies: Sequence[Any]) -> Verdict:
    """Read the replies of EXEC. Replies that are errors stand in their places."""
    if transaction.parts is _usual_parts(transaction.size):
        return Verdict(list(replies[:-1]), position(replies[-1]), ())
    answers: list[Any] = [None] * transaction.size
    place: Any = None
    expiring: dict[int, tuple[bytes, ...]] = {}  # keys that depend on each other share one list of themselves
    for part, reply in zip(transaction.parts, replies, strict=True):
        if part.role is Role.REPLY:
            answers[part.number] = reply
        elif part.role is Role.LOGGED:
            place = reply
        elif part.role is Role.EFFECT:
            if isinstance(reply, Exception):
                answers[part.number] = reply
            else:
                answers[part.number] = reply[0]
                place = reply[1] or place
        elif isinstance(reply, int) and 0 <= reply < EXPIRY_GUARD_MS:
            keys = transaction.guarded[part.number]
            expiring[id(keys)] = keys
    return Verdict(answers, position(place) if place else None, tuple(chain.from_iterable(expiring.values())))


def _steps(log: Log, writes: Sequence[Write], resp3: bool, traced: bool, atomic: bool) -> list[Part]:
    parts: list[Part] = []
    pending: list[bytes] = []
    size_bytes = 0
    alone = sum(write.is_logged for write in writes) == 1
    unfinished = False
    for index, write in enumerate(writes):
        if write.policy in (Policy.EFFECT, Policy.FLUSH):
            if pending:
                parts.append(log.entry([*pending, b"m", b"1"]))
                pending, size_bytes = [], 0
            parts.append(_scripted(log.names, write, index, alone, resp3, traced))
            unfinished = not alone
        else:
            fields = _fields(write)
            added_bytes = len(write.first) + sum(map(len, fields))
            if pending and size_bytes + added_bytes > ENTRY_BYTES:
                parts.append(log.entry([*pending, b"m", b"1"]))
                pending, size_bytes = [], 0
            if write.first:
                parts.append(Part(write.first, Role.FIRST))
                pending += (b"v", write.first)
            parts.append(Part(write.packed, Role.REPLY, index))
            pending += fields
            size_bytes += added_bytes
            unfinished = unfinished or write.command.name in _LOGS_ITSELF
    if pending and not atomic:
        pending += (b"p", b"1")
    if pending or unfinished:
        parts.append(log.entry(pending or [b"e", b"1"], traced=traced))
    return parts


def _scripted(names: Names, write: Write, index: int, alone: bool, resp3: bool, traced: bool) -> Part:
    if write.policy is Policy.FLUSH:
        return Part(pack((b"EVALSHA", FLUSH_SHA, b"1", names.log, b"1")), Role.EFFECT, index)
    keys = write.keys
    traced = traced and alone
    mark = (b"0" if alone else b"1") + (NO_TOKEN if traced else b"")
    before = pack((b"EVALSHA", EFFECT_SHA, len(keys) + 1, names.log, *keys, mark))
    after = pack((b"3" if resp3 else b"2", *_split_name(write.args)))
    # Two packed halves make one command: only the count in front changes.
    size, _, head = before.partition(_CRLF)
    more, _, rest = after.partition(_CRLF)
    first = b"*%d\r\n" % (int(size[1:]) + int(more[1:])) + head
    return Part(first + rest, Role.EFFECT, index, len(first) - TOKEN_BYTES - 2 if traced else -1)


def _split_name(args: tuple[Any, ...]) -> tuple[Any, ...]:
    name = args[0]
    return (*name.split(), *args[1:])


def _goes_by_state(write: Write) -> bool:
    if write.policy in (Policy.STATE, Policy.BLOCKING):
        return True
    if len(write.packed) <= LARGE_BYTES or not write.written_keys:
        return False
    return write.is_blind or len(write.packed) > ENTRY_BYTES or len(write.args) > MOST_WORDS


def _fields(write: Write) -> list[bytes]:
    if not write.is_logged:
        return []
    if _goes_by_state(write):
        return [part for key in write.written_keys for part in (b"s", key)]
    return [b"t" if write.policy is Policy.TIMED else b"v", write.packed]
