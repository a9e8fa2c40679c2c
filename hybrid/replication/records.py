"""Small requests that several parts share: replies without errors among them, a transaction, lines of the audit."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Final

from hybrid.core.live import AuditEntry
from hybrid.core.outcomes import NotSent
from hybrid.core.resp import pack
from hybrid.errors import HybridError
from hybrid.stores.wire import Wire, plain_reason

__all__ = ["checked", "kept_entries", "one", "several", "transaction"]

SLOWEST_BYTES_S: Final = 1_000_000

logger = logging.getLogger("hybrid")


def checked(wire: Wire, *commands: tuple[Any, ...]) -> list[Any]:
    """The replies to `commands`. Raises NotSent when the store refuses one of them, and ReplyLost."""
    replies = wire.exchange(b"".join(map(pack, commands)), len(commands), decode=False)
    for reply in replies:
        if isinstance(reply, Exception):
            raise NotSent(plain_reason(reply))
    return replies


def one(wire: Wire, *command: Any) -> Any:
    """As `several`, for one command."""
    return several(wire, command)[0]


def several(wire: Wire, *commands: tuple[Any, ...], ahead: Sequence[bytes] = ()) -> list[Any]:
    """The replies to `commands`, within a second. The packed ones sent `ahead` may be refused. Raises HybridError when
    the store refuses another one, NotSent or ReplyLost."""
    payload = b"".join((*ahead, *map(pack, commands)))
    replies = wire.exchange(payload, len(ahead) + len(commands), timeout_s=1.0)[len(ahead) :]
    for reply in replies:
        if isinstance(reply, Exception):
            raise HybridError(str(reply))
    return replies


def transaction(wire: Wire, commands: Sequence[bytes], *, patience_s: float = 1.0) -> list[Any] | None:
    """Run packed commands as one transaction; None when something watched has changed. A large one may take longer than
    `patience_s`. Raises HybridError when the store refuses it, NotSent or ReplyLost."""
    payload = b"".join([pack(("MULTI",)), *commands, pack(("EXEC",))])
    timeout_s = patience_s + len(payload) / SLOWEST_BYTES_S
    replies = wire.exchange(payload, len(commands) + 2, timeout_s=timeout_s)
    if isinstance(replies[-1], Exception):
        raise HybridError(str(next((reply for reply in replies if isinstance(reply, Exception)), replies[-1])))
    ran: list[Any] | None = replies[-1]
    return ran


def kept_entries(wire: Wire, key: bytes, limit: int) -> list[AuditEntry]:
    """The latest lines of the audit trail, newest first; unreadable ones are left out. Raises NotSent or ReplyLost."""
    found = []
    for place, parts in checked(wire, ("XREVRANGE", key, "+", "-", "COUNT", limit))[0]:
        try:
            found.append(AuditEntry.parse(parts))
        except (ValueError, KeyError):
            logger.warning("line %s of the audit trail cannot be read", place.decode())
    return found
