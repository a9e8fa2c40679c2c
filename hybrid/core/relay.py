"""What a process that alone cannot reach the local store asks of the one that ships, over a channel of the cloud.

The request holds the transaction as it would go to the local store, the answer that store's replies as they came.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from hybrid.core.authority import Position, position, position_text
from hybrid.core.resp import pack

__all__ = ["CLAIMED", "LARGEST_BYTES", "NO_EPOCH", "UNREACHED", "Answer", "Request", "claim", "parsed", "revocation"]

LARGEST_BYTES: Final = 512 * 1024
"""A larger transaction is not relayed: services limit the size of a message."""

NO_EPOCH: Final = 0
"""Of a request that only asks whether anybody is there: no authority has it."""

CLAIMED: Final = b"1"
"""Stands by a request that somebody is about to run, until it is revoked."""

UNREACHED: Final = b"?"
"""In place of replies (none of RESP begins so), to a request of no epoch: who ships does not reach the local store."""

REVOKED: Final = b"0"
CLAIMS_MS: Final = 600_000

_ASK: Final = b"ask"
_ANSWER: Final = b"answer"


class Request(NamedTuple):
    """Run `payload` on the local store, which answers with as many `replies`, under the authority's `epoch` and no
    other. `name` is unique. `protocol` is RESP's version, `scripted` says that the effect scripts are needed. Before
    that, what else the asker may have on its way there is to be ended by the `endings`, packed commands: these may
    revoke requests, and so break a WATCH."""

    name: bytes
    epoch: int
    protocol: int
    replies: int
    scripted: bool
    payload: bytes
    endings: tuple[bytes, ...] = ()

    @property
    def packed(self) -> bytes:
        ahead = b"".join(self.endings)
        numbers = b"%d %d %d %d" % (self.epoch, self.protocol, self.replies, self.scripted)
        lengths = b",".join(b"%d" % len(ending) for ending in self.endings) or b"-"
        return b" ".join((_ASK, self.name, numbers, lengths, ahead + self.payload))


class Answer(NamedTuple):
    """The `replies` to the request of this name, and how far the local store's log is on the cloud store; no replies:
    nothing was run."""

    name: bytes
    applied: Position
    replies: bytes

    @property
    def packed(self) -> bytes:
        return b" ".join((_ANSWER, self.name, position_text(self.applied), self.replies))


def claim(key: bytes, name: bytes) -> tuple[bytes, bytes]:
    """The packed commands that enter a request in the hash `key` of the local store: the first to do so, to whom the
    first reply is 1, may run it, as long as it stands there as `CLAIMED`."""
    return pack(("HSETNX", key, name, CLAIMED)), pack(("PEXPIRE", key, CLAIMS_MS))


def revocation(key: bytes, name: bytes) -> tuple[bytes, bytes]:
    """The packed commands after which nobody runs it any more, whoever has claimed it."""
    return pack(("HSET", key, name, REVOKED)), pack(("PEXPIRE", key, CLAIMS_MS))


def parsed(message: bytes) -> Request | Answer:
    """Raises ValueError when the message is neither."""
    word, _, rest = message.partition(b" ")
    if word == _ASK:
        name, epoch, protocol, replies, scripted, lengths, payload = rest.split(b" ", 6)
        endings = list[bytes]()
        for length in map(int, lengths.split(b",") if lengths != b"-" else ()):
            endings.append(payload[:length])
            payload = payload[length:]
        return Request(name, int(epoch), int(protocol), int(replies), scripted == b"1", payload, tuple(endings))
    if word == _ANSWER:
        name, applied, answer = rest.split(b" ", 2)
        return Answer(name, position(applied), answer)
    raise ValueError("neither a request nor an answer")
