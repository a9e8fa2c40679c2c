"""Several tasks' transactions as one: the fence, and the words around it, are paid once.

    MULTI · [parts of the first] · [parts of the second] · ... · EXEC · WATCH authority · GET authority

Two transactions must never be on their way at once on one connection. The record may change between the EXEC of the
first and the WATCH behind it; the GET then shows it, but the second transaction would have passed the fence already.
So the writes of many tasks wait for the connection, and go together: each keeps a log entry of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from hybrid.core.names import Names
from hybrid.core.resp import pack
from hybrid.core.transaction import Transaction

__all__ = ["GROUP_BYTES", "GROUP_PARTS", "Group", "group", "shares"]

GROUP_PARTS: Final = 512
GROUP_BYTES: Final = 256 * 1024
"""A group is closed at this size: the server runs it in one go, and serves nobody else meanwhile."""

AROUND: Final = 4
"""Replies to MULTI, EXEC, WATCH and GET."""

_MULTI_BYTES: Final = len(pack(("MULTI",)))
_EXEC_BYTES: Final = len(pack(("EXEC",)))


class Group(NamedTuple):
    """The request, how many replies to read, how much longer than usual they may take, and whether it wants the effect
    scripts."""

    payload: bytes
    replies: int
    work_s: float
    scripted: bool


def group(names: Names, transactions: Sequence[Transaction], tokens: Sequence[bytes]) -> Group:
    """`tokens` are those of the traced ones, in order, and anything for the others."""
    if len(transactions) == 1:
        (only,), (token,) = transactions, tokens
        return Group(only.payload(token), only.replies, only.work_s, only.scripted)
    packed = [transaction.payload(token) for transaction, token in zip(transactions, tokens, strict=True)]
    end = _EXEC_BYTES + len(pack(("WATCH", names.authority))) + len(pack(("GET", names.authority)))
    first, *between, last = packed
    pieces = [first[:-end], *(piece[_MULTI_BYTES:-end] for piece in between), last[_MULTI_BYTES:]]
    replies = sum(it.replies - AROUND for it in transactions) + AROUND
    work_s = sum(it.work_s for it in transactions)
    return Group(b"".join(pieces), replies, work_s, any(it.scripted for it in transactions))


def shares(transactions: Sequence[Transaction], replies: Sequence[Any]) -> list[Sequence[Any]]:
    """Each transaction's part of `replies`, of which there is one for each of their parts."""
    found: list[Sequence[Any]] = []
    start = 0
    for transaction in transactions:
        end = start + transaction.replies - AROUND
        found.append(replies[start:end])
        start = end
    return found
