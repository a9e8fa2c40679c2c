"""What an operator's command line may run where, and what it asks first. Pure: decides, sends nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from hybrid.core.commands import COMMANDS, Command, Policy, keys_of, lookup, policy_of
from hybrid.core.names import RESERVED
from hybrid.errors import CommandRefused, ConfigurationError

__all__ = ["Judgement", "OperatorNeeded", "Target", "completions", "judged", "size_question"]


class Target(StrEnum):
    """Where a command goes."""

    CLIENT = "client"
    """Through hybrid's client: what it writes reaches both stores."""
    LOCAL = "local"
    CLOUD = "cloud"
    EACH = "each"
    """To both stores directly, for two answers side by side."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """`name` is the full name. `changes`: it may change data or a server. `effect` is the sentence to confirm,
    by typing `phrase`; both "" where nothing is to be asked."""

    name: str
    changes: bool
    phrase: str = ""
    effect: str = ""


class OperatorNeeded(CommandRefused):
    """Only an operator may run this line; a viewer asked."""


_STATEFUL: Final = "each line has a connection of its own here, so this would have no effect"
_ENDLESS: Final = "it never stops answering; Insights shows it within limits"
_REFUSED: Final = {
    **dict.fromkeys(("MULTI", "EXEC", "DISCARD", "WATCH", "UNWATCH", "SELECT", "RESET", "QUIT", "HELLO"), _STATEFUL),
    **dict.fromkeys(("AUTH", "READONLY", "READWRITE", "ASKING", "CLIENT REPLY", "CLIENT TRACKING"), _STATEFUL),
    **dict.fromkeys(("MONITOR", "SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE", "SYNC", "PSYNC"), _ENDLESS),
}
_QUIET: Final = frozenset(
    {"INFO", "TIME", "ROLE", "LASTSAVE", "LOLWUT", "COMMAND", "CONFIG GET", "MODULE LIST", "MEMORY DOCTOR",
     "MEMORY MALLOC-STATS", "MEMORY STATS", "MEMORY USAGE", "SLOWLOG GET", "SLOWLOG LEN", "COMMANDLOG GET",
     "COMMANDLOG LEN", "HOTKEYS GET", "DEBUG OBJECT", "PING", "ECHO", "CLIENT LIST", "CLIENT INFO", "CLIENT ID",
     "CLIENT GETNAME", "ACL WHOAMI", "ACL CAT", "ACL LIST", "ACL USERS", "ACL GETUSER", "ACL LOG", "ACL GENPASS",
     "ACL DRYRUN", "CLUSTER INFO", "CLUSTER NODES", "CLUSTER SLOTS", "CLUSTER SHARDS", "CLUSTER MYID",
     "CLUSTER KEYSLOT", "CLUSTER LINKS", "CLUSTER REPLICAS", "CLUSTER COUNTKEYSINSLOT", "CLUSTER GETKEYSINSLOT",
     "COMMAND COUNT", "COMMAND DOCS", "COMMAND GETKEYS", "COMMAND GETKEYSANDFLAGS", "COMMAND INFO", "COMMAND LIST",
     "CLIENT TRACKINGINFO", "FUNCTION LIST", "FUNCTION STATS", "FUNCTION DUMP", "SCRIPT EXISTS", "PUBSUB CHANNELS",
     "PUBSUB NUMSUB", "PUBSUB NUMPAT", "PUBSUB SHARDCHANNELS", "PUBSUB SHARDNUMSUB", "LATENCY DOCTOR",
     "LATENCY GRAPH", "LATENCY HISTOGRAM", "LATENCY HISTORY", "LATENCY LATEST"}
)  # fmt: skip
"""Commands of one store that change nothing on it, besides those that read data."""
_SECRETIVE: Final = frozenset({"CONFIG GET", "ACL LIST", "ACL GETUSER", "ACL LOG", "CLIENT LIST", "SLOWLOG GET"})
"""Not for viewers: their replies hold hashes of passwords, addresses, or other people's values."""
_DANGERS: Final = {
    "KEYS": "It walks through every key in one go, and the server answers nobody else meanwhile. SCAN does not.",
    "FLUSHALL": "It deletes every key.",
    "FLUSHDB": "It deletes every key of the database.",
    "SHUTDOWN": "It ends the server.",
    "DEBUG": "It can stop or break the server.",
    "SWAPDB": "It exchanges two databases under everybody's feet.",
    "MIGRATE": "It moves keys to another server.",
    "CLIENT KILL": "It ends connections of applications.",
    "CLIENT PAUSE": "It makes every application wait.",
    "SAVE": "The server answers nobody until its data is on its disk.",
    "SCRIPT FLUSH": "It forgets every script.",
    "SCRIPT KILL": "It ends the script that runs.",
    "FUNCTION FLUSH": "It deletes every function.",
    "FUNCTION DELETE": "It deletes a library of functions.",
    "FUNCTION KILL": "It ends the function that runs.",
    "FUNCTION RESTORE": "It can replace functions.",
    "FAILOVER": "It moves the server's role to a replica.",
    "REPLICAOF": "It makes the server a replica: its own data is lost.",
    "SLAVEOF": "It makes the server a replica: its own data is lost.",
}
_DANGEROUS_CONTAINERS: Final = {
    "CONFIG": "It changes how the server works.",
    "ACL": "It changes who may do what on the server.",
    "MODULE": "It changes what the server can do.",
    "CLUSTER": "It changes the cluster.",
    "DEBUG": "It can stop or break the server.",
}
_SIZES: Final = {
    "SMEMBERS": ("SCARD", "SSCAN {key} 0 COUNT 100"),
    **dict.fromkeys(("HGETALL", "HKEYS", "HVALS"), ("HLEN", "HSCAN {key} 0 COUNT 100")),
    "LRANGE": ("LLEN", "LRANGE {key} 0 99"),
    **dict.fromkeys(("ZRANGE", "ZREVRANGE", "ZRANGEBYSCORE", "ZREVRANGEBYSCORE"), ("ZCARD", "ZSCAN {key} 0 COUNT 100")),
    **dict.fromkeys(("XRANGE", "XREVRANGE"), ("XLEN", "{name} {key} - + COUNT 100")),
    **dict.fromkeys(("GET", "DUMP"), ("STRLEN", "GETRANGE {key} 0 999")),
    "KEYS": ("DBSIZE", "SCAN 0 MATCH {key} COUNT 1000"),
}


def judged(words: Sequence[bytes], target: Target, *, operator: bool, past_hybrid: bool = False) -> Judgement:
    """Whether this line may run, and what it asks first. `past_hybrid`: the operator has said that writes to one store
    alone, which are not replicated, are meant.

    Raises ConfigurationError for an empty line, CommandRefused with the reason for what is not to be run; that is
    OperatorNeeded where an operator might.
    """
    if not words:
        raise ConfigurationError("type a command, such as: GET some:key")
    command = known(words)
    name = full_name(words, command)
    if name in _REFUSED:
        raise CommandRefused(name, _REFUSED[name])
    policy = Policy.REFUSED if command is None else policy_of(command, words)
    changes = policy is not Policy.READ and name not in _QUIET and not name.endswith(" HELP")
    if not operator and (changes or name in _SECRETIVE or name in _DANGERS):
        raise OperatorNeeded(name, "a viewer reads data; this takes an operator")
    if target is Target.CLIENT:
        _through_client(name, command, policy)
    elif changes:
        _past_hybrid(name, target, policy, words, past_hybrid)
    return Judgement(name, changes, *_question(name, target, policy, changes))


def known(words: Sequence[bytes]) -> Command | None:
    try:
        return lookup(words)
    except CommandRefused:
        return None


def full_name(words: Sequence[bytes], command: Command | None) -> str:
    return command.name if command else words[0].decode(errors="replace").upper()[:40]


def _through_client(name: str, command: Command | None, policy: Policy) -> None:
    if command is None:
        raise CommandRefused(name, "hybrid does not know it, so it could not be replicated; ask one store directly")
    if policy is Policy.REFUSED:
        raise CommandRefused(name, command.note or "it cannot be replicated")


def _past_hybrid(name: str, target: Target, policy: Policy, words: Sequence[bytes], agreed: bool) -> None:
    if policy is Policy.BLOCKING:
        raise CommandRefused(name, "it would wait; use its form that does not block")
    if any(word.startswith(RESERVED) for word in words[1:]):
        raise CommandRefused(name, f"keys that begin with {RESERVED.decode()!r} are hybrid's own")
    if not agreed:
        why = "the other store would not learn of it"
        if policy in (Policy.REFUSED, Policy.ONE_STORE):
            one = "choose one store, and allow writes to it" if target is Target.EACH else "allow writes to this store"
            raise CommandRefused(name, f"{why}; {one}")
        why = f"{why}; choose Replicated, and it reaches both"
        raise CommandRefused(name, why if target is Target.EACH else f"{why}, or allow writes to this store only")


def _question(name: str, target: Target, policy: Policy, changes: bool) -> tuple[str, str]:
    """(phrase, effect) of what asks first."""
    danger = _DANGERS.get(name) or (changes and _DANGEROUS_CONTAINERS.get(name.partition(" ")[0])) or ""
    where = {
        Target.CLIENT: "on one store" if policy in (Policy.READ, Policy.ONE_STORE) else "on both stores",
        Target.LOCAL: "on the local store",
        Target.CLOUD: "on the cloud store",
        Target.EACH: "on each store, directly",
    }[target]
    return (name, f"{danger} This is {name} {where}.") if danger else ("", "")


def size_question(words: Sequence[bytes]) -> tuple[tuple[bytes, ...], str] | None:
    """For a line whose answer is as long as its key: the command that tells how long, and what to type instead if it is
    too long. None for any other line."""
    command = known(words)
    entry = None if command is None else _SIZES.get(command.name)
    if command is None or entry is None or any(word.upper() in (b"LIMIT", b"COUNT") for word in words):
        return None
    if command.name in ("LRANGE", "ZRANGE", "ZREVRANGE") and not _open_range(words):
        return None
    question, instead = entry
    key = (keys_of(command, words) or list(words[1:2]) or [b""])[0]
    shown = instead.format(key=bytes(key).decode(errors="replace"), name=command.name)
    return ((question.encode(),) if question == "DBSIZE" else (question.encode(), bytes(key))), shown


MOST_ITEMS: Final = 10_000
MOST_BYTES: Final = 4_000_000


def _open_range(words: Sequence[bytes]) -> bool:
    """Whether a range by index may hold more than is shown."""
    try:
        start, stop = int(words[2]), int(words[3])
    except (IndexError, ValueError):
        return True
    return (start < 0) != (stop < 0) or stop - start >= MOST_ITEMS


def too_long(name: str, size: int) -> bool:
    """Whether an answer of this size (bytes for a string, else elements) is more than a page should fetch."""
    return size > (MOST_BYTES if name in ("GET", "DUMP") else MOST_ITEMS)


def completions(text: str, limit: int = 8) -> tuple[Command, ...]:
    """The command of a line, then those whose name begins with `text`, then those that contain it."""
    words = text.upper().split()
    asked = " ".join(words)
    if not asked:
        return ()
    whole = [COMMANDS[name] for name in (" ".join(words[:2]), words[0]) if name in COMMANDS]
    begin = [row for name, row in COMMANDS.items() if name.startswith(asked)]
    inside = [row for name, row in COMMANDS.items() if asked in name and not name.startswith(asked)]
    return tuple(dict.fromkeys([*whole, *begin, *inside]))[:limit]
