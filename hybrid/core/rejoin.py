"""Both stores were written while apart: what of the returning store's unshipped tail goes to the authority, and how.

Key by key, from what each log says happened to it since they parted:

* only the returning store wrote it: its state is **copied**;
* what both did commutes (counting, adding different members or fields, appending): the commands of the tail are
  **applied again** on the authority, in order, and nothing is lost;
* everything else is a **conflict**: the newer value wins, by the clocks of the stores, and the other is archived. Keys
  between which something was moved (`LMOVE`, `SMOVE`, `RENAME`) are all the returning store's, or all the authority's.

An entry that may have reached the authority already (`doubt`) is applied again only where twice is as good as once, or
where the values of both stores tell that it has not (`hybrid.core.lacking`). An
entry that its own writer has run again on the authority, which its token shows, is left out. One without a token that
stands on the authority word for word was probably run again as well, and executed here late (a store that hung still
runs what waits in its sockets): it never counts as the newer one, because what its writer did next came after it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping, Set
from enum import Enum
from hashlib import blake2b
from typing import Final, NamedTuple

from hybrid.core.authority import Position
from hybrid.core.command_rules import xadd_id_at
from hybrid.core.commands import lookup, written_keys
from hybrid.core.effects import absolute
from hybrid.core.folding import Folded
from hybrid.core.footprint import GONE, Counted, Effect, Footprint
from hybrid.core.granted import Granted
from hybrid.core.lacking import count_of
from hybrid.core.resp import pack, unpack
from hybrid.core.shipping import Group

__all__ = [
    "Branch",
    "Decision",
    "Repeat",
    "again",
    "brought",
    "commutes",
    "decision",
    "hides_a_sum",
    "why_kept",
]


class Decision(Enum):
    """What becomes of one key of the tail."""

    COPY = "only the returning store wrote it"
    AGAIN = "what both did commutes"
    LACKING = "what both did commutes, and some of it may be there already"
    KEEP_AUTHORITY = "conflict: the authority's value is the newer one"
    KEEP_RETURNING = "conflict: the returning store's value is the newer one"
    DONE = "its writers ran everything again themselves"


class Branch:
    """What one store's log did since the stores parted; `keys` limits it to these. `left_out` are the `marks` of the
    other one, by which groups that were run again there are known. Entries up to `doubt` may have reached it. `counts`:
    take note of them.
    """

    def __init__(
        self,
        keys: Container[bytes] | None = None,
        left_out: Collection[bytes] = frozenset(),
        doubt: Position = (0, 0),
        *,
        counts: bool = False,
    ) -> None:
        self.footprints: dict[bytes, Footprint] = {}
        self.marks: set[bytes] = set()
        self.emptied: Position | None = None
        self._nets: dict[bytes, set[bytes]] = {}
        self._anew = False
        self._emptied_fresh: Position = (0, 0)
        self._keys = keys
        self._left_out = left_out
        self._doubt = doubt
        self._counts = counts

    def add(self, group: Group) -> None:
        mark = _mark(group)
        self.marks.add(mark)
        was_run_again = mark in self._left_out
        if was_run_again and group.token is not None:
            return
        if group.empties or group.refills:
            self.emptied = group.place
            self._emptied_fresh = self._emptied_fresh if was_run_again else group.place
            self._anew |= group.empties
            for known in self.footprints.values():
                known.add(None)
                known.anew |= group.empties
                known.last, known.fresh = group.place, max(known.fresh, self._emptied_fresh)
        for keys, effect, args in _effects(group):
            if args[0].upper() in _MOVES:
                self._link(keys)
            for key in keys:
                if self._keys is None or key in self._keys:
                    self._take(key, effect, args, group, was_run_again=was_run_again)

    def _take(self, key: bytes, effect: Effect | None, args: list[bytes], group: Group, *, was_run_again: bool) -> None:
        footprint = self.footprints.setdefault(key, Footprint(whole=self.emptied is not None, anew=self._anew))
        footprint.add(effect)
        footprint.by_state |= args is _NOT_TOLD
        if effect is not None and effect.times:
            footprint.ends_ms = _deadline_ms(args, group.ms)
        if self._counts and (change := count_of(args)):
            footprint.counts.append(Counted(group.place, group.token, change))
        footprint.last, footprint.token = group.place, group.token
        if not was_run_again:
            footprint.fresh = group.place
        footprint.doubtful |= group.place <= self._doubt

    def start_from(self, folded: Folded) -> None:
        """Take in what stood in the log before it was folded: which keys, but not how they were changed."""
        self.emptied = self._emptied_fresh = folded.emptied or folded.refilled or (0, 0)
        self.emptied = self.emptied if folded.concerns_all else None
        self._anew = folded.emptied is not None
        for key, place in folded.keys.items():
            if self._keys is None or key in self._keys:
                doubtful = place <= self._doubt
                self.footprints[key] = Footprint(
                    place, place, whole=True, anew=self._anew, by_state=True, doubtful=doubtful
                )

    def _link(self, keys: list[bytes]) -> None:
        net = max((self._nets.get(key, set()) for key in keys), key=len)
        for key in keys:
            if key not in net:
                joined = self._nets.get(key, {key})
                net |= joined
                self._nets |= dict.fromkeys(joined, net)

    def net(self, key: bytes) -> Set[bytes]:
        """The keys between which something was moved, over others too, this one among them; empty without."""
        return self._nets.get(key, frozenset())

    def of(self, key: bytes) -> Footprint | None:
        """None if nothing happened to the key here."""
        known = self.footprints.get(key)
        if known is None and self.emptied is not None:
            doubtful = self.emptied <= self._doubt
            return Footprint(self.emptied, self._emptied_fresh, whole=True, anew=self._anew, doubtful=doubtful)
        return known


def decision(returning: Footprint | None, authority: Footprint | None) -> Decision:
    """What becomes of a key, from its footprints in the tail and in the authority's log."""
    if authority is None:
        return Decision.COPY
    if returning is None:
        return Decision.DONE
    if returning.anew and authority.is_past:
        return Decision.COPY
    if commutes(returning, authority):
        if not (returning.doubtful and returning.counted):
            return Decision.AGAIN
        if not authority.edits:  # these may have taken away what had arrived
            return Decision.LACKING
    newer = returning.fresh[0] > authority.last[0] and not returning.doubtful
    return Decision.KEEP_RETURNING if newer else Decision.KEEP_AUTHORITY


def why_kept(returning: Footprint | None, authority: Footprint | None) -> str:
    """What a conflict says of the value that was kept."""
    apart = "written on both stores while they were apart"
    if returning and authority and returning.doubtful and returning.fresh[0] > authority.last[0]:
        return f"{apart}; the later value may have been sent before, so it does not count as newer"
    return f"{apart}; the newer value was kept"


def hides_a_sum(returning: Footprint | None, authority: Footprint | None, *, has_number: bool) -> bool:
    """Whether equal values prove nothing, because both added to the same number, or may have, and one sum is kept.
    `has_number`: there is something in the value that is plainly one."""
    if returning is None or authority is None:
        return False
    sides = (returning, authority)
    if any(side.sums or (side.by_state and has_number) for side in sides):
        return all(side.sums or side.by_state or side.counted for side in sides)
    return has_number and bool(returning.adds & authority.adds)


def commutes(returning: Footprint, authority: Footprint) -> bool:
    """Whether everything the tail did can be done again on top of what the authority did, losing nothing of either."""
    if returning.whole or authority.whole or returning.edits:
        return False
    if returning.ends_ms is not None and returning.ends_ms <= authority.last[0] and not authority.times:
        return False  # what the authority did then would go with what has expired
    if returning.family and authority.family and returning.family != authority.family:
        return False
    if returning.adds & authority.puts.keys() or authority.adds & returning.puts.keys():
        return False
    common = returning.puts.keys() & authority.puts.keys()
    return all(returning.puts[e] is not None and returning.puts[e] == authority.puts[e] for e in common)


class Repeat(NamedTuple):
    """A command of the tail, and the packed ones that do on the authority what it did. `times`: it changes the key's
    expiry only."""

    args: list[bytes]
    packed: list[bytes]
    times: bool

    def is_due(self, authority: Footprint | None) -> bool:
        """Whether it is to be applied where the authority did this: an expiry that it has set as well stays so."""
        return not (self.times and authority is not None and authority.times)


def again(
    groups: Iterable[Group], keys: Iterable[bytes], left_out: Collection[bytes], *, lacks_past: bool = False
) -> dict[bytes, list[Repeat]]:
    """What was done to each of these keys, to be applied again on the authority, in order. `lacks_past`: it was done to
    an empty store."""
    found: dict[bytes, list[Repeat]] = {key: [] for key in keys}
    granted = Granted()
    for group in groups:
        was_run_again = group.token is not None and group.token in left_out
        for args, timed in _commands(group):
            [key, *others] = _written(args) or [b""]
            if others or key not in found:
                continue
            effect = _effect(args)
            done = granted.unconditional(key, args, effect) if lacks_past else args
            if was_run_again or done is None:
                continue
            packed = [pack(command) for command in _repeated(done, timed, group.ms)]
            found[key].append(Repeat(args, packed, effect is not None and effect.times))
    return found


def brought(groups: Iterable[Group]) -> set[bytes]:
    """The items that these have added to lists, and the ids of their stream entries."""
    found = set[bytes]()
    for group in groups:
        for args, _ in _commands(group):
            name = args[0].upper()
            if name in _PUSHES:
                found.update(args[2:])
            elif name in (b"LINSERT", b"LSET"):
                found.update(args[-1:])
            elif name == b"XADD":
                found.add(args[1 + xadd_id_at(args[1:])])
    return found


def _mark(group: Group) -> bytes:
    """By what a group is known again on the other store: its token, or else its content."""
    if group.token is not None:
        return group.token
    digest = blake2b(digest_size=20)
    for name, payload in group.fields:
        digest.update(b"%b%d " % (name, len(payload)))
        digest.update(payload)
    return digest.digest()


def _repeated(args: list[bytes], timed: bool, entry_ms: int) -> list[list[bytes]]:
    if timed:
        return absolute(args, entry_ms)
    if args[0].upper() == b"XADD":
        # Its id is older than what the stream has got since, so it gets a new one.
        return [[b"XADD", args[1], b"*", *args[xadd_id_at(args[1:]) + 2 :]]]
    return [args]


def _deadline_ms(args: list[bytes], entry_ms: int) -> int | None:
    """The moment at which a command ends its key, None for one that does not."""
    if args[0].upper() in (b"EXPIRE", b"PEXPIRE"):
        [args] = absolute(args, entry_ms)
    try:
        return {b"EXPIREAT": 1000, b"PEXPIREAT": 1}[args[0].upper()] * int(args[2])
    except (KeyError, IndexError, ValueError):
        return None


def _effects(group: Group) -> Iterator[tuple[list[bytes], Effect | None, list[bytes]]]:
    """Of each command: what it writes, how, and itself."""
    for name, payload in group.fields:
        if name == b"s":
            yield [payload], None, _NOT_TOLD
    for args, _ in _commands(group):
        keys = _written(args)
        effect = _effect(args)
        if len(keys) > 1 and not (effect is not None and (effect.edits or effect.replaces)):
            effect = None
        yield keys, effect, args


def _commands(group: Group) -> Iterator[tuple[list[bytes], bool]]:
    """The commands of a group, each with whether its time is relative. Where what was asked for (field `i`) stands
    behind what came of it, the former says what is to be done again."""
    fields = [pair for pair in group.fields if pair[0] in (b"v", b"t", b"i")]
    for number, (name, payload) in enumerate(fields):
        if name == b"i" or number + 1 == len(fields) or fields[number + 1][0] != b"i":
            yield unpack(payload), name == b"t"


def _written(args: list[bytes]) -> list[bytes]:
    command = lookup(args)
    return list(dict.fromkeys(written_keys(command, args)))


def _effect(args: list[bytes]) -> Effect | None:
    rule = _RULES.get(args[0].upper())
    try:
        return rule(args) if rule else None
    except (IndexError, ValueError):
        return None  # the server refused it, too


_Rule = Callable[[list[bytes]], Effect | None]
_NOT_TOLD: Final = [b""]
_ADD: Final = Effect("counter", adds=(b"",), counted=True)
_EDIT_LIST: Final = Effect("list", edits=True)
_EDIT_STREAM: Final = Effect("stream", edits=True)
_TIME: Final = Effect(times=True)
_REPLACE: Final = Effect(replaces=True)
_SUM: Final = Effect(sums=True)
_PUSHES: Final = frozenset((b"RPUSH", b"LPUSH", b"RPUSHX", b"LPUSHX"))
_MOVES: Final = frozenset((b"LMOVE", b"LMOVEM", b"RPOPLPUSH", b"SMOVE", b"RENAME", b"RENAMENX"))
"""What they take from one key they put into another one."""
_SET_IF: Final = frozenset((b"NX", b"XX", b"IFEQ", b"IFNE", b"IFDEQ", b"IFDNE", b"KEEPTTL"))


def _same(effect: Effect) -> _Rule:
    return lambda args: effect


def _set(args: list[bytes]) -> Effect | None:
    """SET, unless what it does depends on what was there."""
    return None if _SET_IF.intersection(arg.upper() for arg in args[3:]) else _REPLACE


def _bitfield(args: list[bytes]) -> Effect | None:
    return _SUM if b"INCRBY" in (arg.upper() for arg in args[2:]) else None


def _members(family: str, value: bytes | None, start: int = 2) -> _Rule:
    return lambda args: Effect(family, puts=tuple((member, value) for member in args[start:]))


def _pairs(args: list[bytes]) -> Effect:
    return Effect("hash", puts=tuple(zip(args[2::2], args[3::2], strict=True)))


def _listed_fields(value: bytes | None) -> _Rule:
    """HGETDEL key FIELDS n field ..., HPEXPIREAT key time [condition] FIELDS n field ...: the fields end the call."""

    def rule(args: list[bytes]) -> Effect:
        at = [arg.upper() for arg in args].index(b"FIELDS")
        return Effect("hash", puts=tuple((name, value) for name in args[at + 2 :]))

    return rule


def _zadd(args: list[bytes]) -> Effect:
    at, options = 2, set()
    while args[at].upper() in (b"NX", b"XX", b"GT", b"LT", b"CH", b"INCR"):
        options.add(args[at].upper())
        at += 1
    pairs = list(zip(args[at::2], args[at + 1 :: 2], strict=True))
    if b"INCR" in options:
        return Effect("zset", adds=tuple(member for _, member in pairs), counted=True)
    plain = not options - {b"CH"}
    return Effect("zset", puts=tuple((member, score if plain else None) for score, member in pairs))


def _geoadd(args: list[bytes]) -> Effect:
    at = 2
    while args[at].upper() in (b"NX", b"XX", b"CH"):
        at += 1
    return Effect("zset", puts=tuple((member, None) for member in args[at + 2 :: 3]))


_RULES: Final[Mapping[bytes, _Rule]] = {
    b"SET": _set,
    **dict.fromkeys((b"SETEX", b"PSETEX", b"MSET", b"GETSET", b"DEL", b"UNLINK"), _same(_REPLACE)),
    **dict.fromkeys((b"INCR", b"DECR", b"INCRBY", b"DECRBY", b"INCRBYFLOAT"), _same(_ADD)),
    b"APPEND": _same(Effect("text", appends=True, counted=True)),
    b"BITFIELD": _bitfield,
    **dict.fromkeys((b"JSON.NUMINCRBY", b"JSON.NUMMULTBY", b"JSON.TOGGLE"), _same(_SUM)),
    **dict.fromkeys((b"JSON.ARRAPPEND", b"JSON.ARRINSERT", b"JSON.STRAPPEND"), _same(_SUM)),
    **dict.fromkeys((b"CMS.INCRBY", b"CF.ADD", b"CF.INSERT", b"TS.INCRBY", b"TS.DECRBY"), _same(_SUM)),
    b"SETBIT": lambda args: Effect("bits", puts=((args[2], args[3]),)),
    b"PFADD": _same(Effect("hll", appends=True)),
    **dict.fromkeys((b"HSET", b"HMSET"), _pairs),
    b"HDEL": _members("hash", GONE),
    b"HSETNX": lambda args: Effect("hash", puts=((args[2], None),)),
    **dict.fromkeys((b"HINCRBY", b"HINCRBYFLOAT"), lambda args: Effect("hash", adds=(args[2],), counted=True)),
    b"HGETDEL": _listed_fields(GONE),
    **dict.fromkeys((b"HEXPIRE", b"HPEXPIRE", b"HEXPIREAT", b"HPEXPIREAT", b"HPERSIST"), _listed_fields(None)),
    b"SADD": _members("set", b"in"),
    b"SREM": _members("set", GONE),
    b"ZADD": _zadd,
    b"GEOADD": _geoadd,
    b"ZINCRBY": lambda args: Effect("zset", adds=(args[3],), counted=True),
    b"ZREM": _members("zset", GONE),
    **dict.fromkeys((b"RPUSH", b"LPUSH"), _same(Effect("list", appends=True, counted=True))),
    **dict.fromkeys((b"RPUSHX", b"LPUSHX"), _same(_EDIT_LIST)),  # on another list they might push nothing
    **dict.fromkeys(
        (b"LPOP", b"RPOP", b"LREM", b"LTRIM", b"LSET", b"LINSERT", b"LMOVE", b"LMOVEM", b"RPOPLPUSH", b"LMPOP"),
        _same(_EDIT_LIST),
    ),
    b"XADD": _same(Effect("stream", appends=True, counted=True)),
    **dict.fromkeys(
        (b"XDEL", b"XTRIM", b"XACK", b"XACKDEL", b"XDELEX", b"XCLAIM", b"XGROUP", b"XNACK", b"XSETID"),
        _same(_EDIT_STREAM),
    ),
    **dict.fromkeys((b"EXPIRE", b"PEXPIRE", b"EXPIREAT", b"PEXPIREAT", b"PERSIST"), _same(_TIME)),
}
"""By command: its effect on a key. Every other one counts as replacing the key."""
