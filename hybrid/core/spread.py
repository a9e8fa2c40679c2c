"""One request to a cluster, as what each of its nodes is asked, and how their replies become those of one server.

a command whose keys are in one slot       goes to the node of the slot
SCAN, DBSIZE, SCRIPT LOAD, PING, ...       concern every node
EXISTS, DEL, MGET, WATCH, ...              are split by slot
any other command that crosses slots       is refused, as the nodes would do
a transaction                              becomes one for each slot: atomic there, not as a whole
a command without keys                     goes to the node with hybrid's own keys
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any, Final, NamedTuple

from hybrid.core.resp import pack, unpack_all
from hybrid.core.slots import HOME, keys_named, own_name, slot_of
from hybrid.errors import CommandRefused

__all__ = ["Part", "Request", "requests"]

MOST_NODES: Final = 256
"""The lowest byte of a scan's cursor says which node it is at."""

Args = Sequence[bytes]


@dataclass(frozen=True, slots=True)
class Part:
    """What one node is asked: the one that has `slot`, or the one with this number."""

    packed: bytes
    replies: int = 1
    slot: int = HOME
    node: int | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """`join` makes the replies that the caller awaits from those to each part. `listens`: messages follow them.
    `watches`: whether keys are watched from then on, None where this changes nothing."""

    parts: Sequence[Part]
    join: Callable[[list[list[Any]]], list[Any]]
    listens: bool = False
    watches: bool | None = None


def requests(payload: bytes, nodes: int) -> Iterator[Request]:
    """The packed commands of `payload` for a cluster of so many nodes. Raises ValueError for half a transaction."""
    queued: list[_Command] | None = None
    for args in unpack_all(payload):
        command = _understood(args)
        if command.name == b"MULTI":
            queued = []
        elif command.name == b"EXEC" and queued is not None:
            yield _transaction(queued)
            queued = None
        elif queued is not None:
            queued.append(command)
        else:
            yield _request(command, nodes)
    if queued is not None:
        raise ValueError("a transaction must be sent to a cluster as a whole")


class _Command(NamedTuple):
    """Its keys have their names on a cluster, and these `slots`."""

    name: bytes
    args: Args
    slots: frozenset[int]

    @property
    def slot(self) -> int:
        return next(iter(self.slots), HOME)

    @property
    def crosses_slots(self) -> bool:
        return len(self.slots) > 1


def _understood(args: Args) -> _Command:
    names = {key: own_name(key) for key in keys_named(args)}
    return _Command(args[0].upper(), [names.get(arg, arg) for arg in args], frozenset(map(slot_of, names.values())))


def _request(command: _Command, nodes: int) -> Request:
    name, args, _ = command
    if (join := _EVERYWHERE.get(name)) is not None:
        parts = [Part(pack(args), node=node) for node in range(nodes)]
        return Request(parts, join, watches=False if name == b"UNWATCH" else None)
    if name == b"SCAN":
        return _scan(args, nodes)
    if name in (b"SUBSCRIBE", b"PSUBSCRIBE"):
        return Request([Part(pack(args), len(args) - 1)], _flat, listens=True)
    if name in _SPLIT and (command.crosses_slots or name == b"WATCH"):
        return _split(args, name)
    if command.crosses_slots:
        return Request([], lambda _: [_crossed(name)])
    return Request([Part(pack(args), slot=command.slot)], _flat)


def _split(args: Args, name: bytes) -> Request:
    """By slot."""
    shares = _by_slot(map(slot_of, args[1:]))
    parts = [Part(pack([args[0], *(args[at + 1] for at in share)]), slot=slot) for slot, share in shares.items()]

    def joined(replies: list[list[Any]]) -> list[Any]:
        found = _flat(replies)
        if (error := _first_error(found)) is not None:
            return [error]
        if not isinstance(found[0], list):
            return [_SPLIT[name](found)]
        values = dict(zip(chain(*shares.values()), chain(*found), strict=True))
        return [[values[at] for at in range(len(values))]]

    return Request(parts, joined, watches=True if name == b"WATCH" else None)


def _scan(args: Args, nodes: int) -> Request:
    cursor, node = divmod(int(args[1]), MOST_NODES)
    if node >= nodes:
        return Request(
            [], lambda _: [CommandRefused("SCAN", "the node that was scanned has left the cluster: begin anew")]
        )

    def joined(replies: list[list[Any]]) -> list[Any]:
        [[reply]] = replies
        if isinstance(reply, Exception):
            return [reply]
        rest = int(reply[0])
        place = rest * MOST_NODES + node if rest else (node + 1) % nodes
        return [[b"%d" % place, reply[1]]]

    return Request([Part(pack([args[0], b"%d" % cursor, *args[2:]]), node=node)], joined)


def _transaction(queued: Sequence[_Command]) -> Request:
    if any(command.crosses_slots for command in queued):
        refused = [_crossed(command.name) for command in queued]
        return Request([], lambda _: ["OK", *refused, _crossed(b"EXEC")])
    shares = _by_slot(command.slot for command in queued)
    parts = [
        Part(b"".join((_MULTI, *(pack(queued[at].args) for at in share), _EXEC)), len(share) + 2, slot)
        for slot, share in shares.items()
    ]
    return Request(parts, partial(_joined_transaction, list(shares.values()), len(queued)), watches=False)


def _joined_transaction(shares: Sequence[Sequence[int]], size: int, replies: list[list[Any]]) -> list[Any]:
    """None for EXEC, or its error, if any slot's is."""
    words: list[Any] = [None] * size
    results: list[Any] = [None] * size
    outcomes = [part[-1] for part in replies]
    for share, (_, *answers, outcome) in zip(shares, replies, strict=True):
        for at, answer, result in zip(share, answers, outcome if isinstance(outcome, list) else answers, strict=True):
            words[at], results[at] = answer, result
    spoilt = [outcome for outcome in outcomes if not isinstance(outcome, list)]
    return ["OK", *words, spoilt[0] if spoilt else results]


def _by_slot(slots: Iterable[int]) -> dict[int, list[int]]:
    """The places at which each slot stands."""
    shares: dict[int, list[int]] = {}
    for at, slot in enumerate(slots):
        shares.setdefault(slot, []).append(at)
    return shares


def _flat(replies: list[list[Any]]) -> list[Any]:
    return [reply for part in replies for reply in part]


def _first_error(replies: Sequence[Any]) -> Exception | None:
    return next((reply for reply in replies if isinstance(reply, Exception)), None)


def _over_all(join: Callable[[Sequence[Any]], Any], replies: list[list[Any]]) -> list[Any]:
    found = _flat(replies)
    error = _first_error(found)
    return [join(found) if error is None else error]


def _first(replies: Sequence[Any]) -> Any:
    return next((reply for reply in replies if reply is not None), None)


def _one_of_a_kind(replies: Sequence[Any]) -> Any:
    """Texts of all nodes one after the other (CLIENT INFO), sums of numbers (CLIENT KILL), or what all say."""
    if all(isinstance(reply, int) for reply in replies):
        return sum(replies)
    return b"".join(replies) if all(isinstance(reply, bytes) for reply in replies) else replies[0]


def _crossed(name: bytes) -> CommandRefused:
    return CommandRefused(name.decode(errors="replace"), "on a cluster, its keys must be in one slot")


_MULTI: Final = pack((b"MULTI",))
_EXEC: Final = pack((b"EXEC",))
_SPLIT: Final[Mapping[bytes, Callable[[Sequence[Any]], Any]]] = {
    **dict.fromkeys((b"EXISTS", b"DEL", b"UNLINK", b"TOUCH"), sum),
    **dict.fromkeys((b"MGET", b"WATCH"), _first),
}
_EVERYWHERE: Final[Mapping[bytes, Callable[[list[list[Any]]], list[Any]]]] = {
    **dict.fromkeys((b"PING", b"UNWATCH", b"SCRIPT", b"FUNCTION", b"RANDOMKEY"), partial(_over_all, _first)),
    b"DBSIZE": partial(_over_all, sum),
    b"KEYS": partial(_over_all, lambda found: list(chain(*found))),
    b"CLIENT": partial(_over_all, _one_of_a_kind),
}
