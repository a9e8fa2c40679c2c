"""Several transactions as one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hybrid.core.commands import lookup, policy_of
from hybrid.core.group import group, shares
from hybrid.core.log_entry import TOKEN_BYTES
from hybrid.core.names import Names
from hybrid.core.resp import pack, unpack
from hybrid.core.transaction import Transaction, transaction
from hybrid.core.write import Write

NAMES = Names()
COMMANDS = [("SET", "k", "v"), ("INCR", "n"), ("SPOP", "s"), ("RPUSH", "l", "a", "b"), ("DEL", "k"), ("GETEX", "k")]


def prepared(*commands: tuple[str, ...]) -> Transaction:
    writes = []
    for args in commands:
        command = lookup(args)
        writes.append(Write(args, pack(args), command, policy_of(command, args)))
    return transaction(NAMES, writes, resp3=True)


def split(payload: bytes) -> list[list[bytes]]:
    """The commands of a request."""
    found = []
    while payload:
        end = next(at for at in range(1, len(payload) + 1) if _is_whole(payload[:at]))
        found.append(unpack(payload[:end]))
        payload = payload[end:]
    return found


def _is_whole(packed: bytes) -> bool:
    try:
        unpack(packed)
    except ValueError:
        return False
    return True


def tokens_of(transactions: list[Transaction]) -> list[bytes]:
    return [b"%016d" % number if it.traced else b"" for number, it in enumerate(transactions)]


def test_one_alone_is_sent_as_it_is() -> None:
    only = prepared(("INCR", "n"))
    token = bytes(TOKEN_BYTES)
    assert group(NAMES, [only], [token])[:2] == (only.payload(token), only.replies)


@given(st.lists(st.lists(st.sampled_from(COMMANDS), min_size=1, max_size=3), min_size=1, max_size=4))
def test_the_words_around_are_said_once_and_each_has_its_share(queues: list[list[tuple[str, ...]]]) -> None:
    transactions = [prepared(*queue) for queue in queues]
    together = group(NAMES, transactions, tokens_of(transactions))
    commands = split(together.payload)
    assert len(commands) == together.replies
    assert [command[0] for command in commands if command[0] in (b"MULTI", b"EXEC", b"WATCH", b"GET")] == [
        b"MULTI",
        b"EXEC",
        b"WATCH",
        b"GET",
    ]
    alone = [split(it.payload(token))[1:-3] for it, token in zip(transactions, tokens_of(transactions), strict=True)]
    assert shares(transactions, commands[1:-3]) == alone
    assert together.work_s >= 0
