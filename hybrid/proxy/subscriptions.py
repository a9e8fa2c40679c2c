"""Channels of one client: a connection of its own to the store that takes writes, moved along when that changes."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from redis import RedisError

from hybrid.core.outcomes import NotSent, ReplyLost
from hybrid.core.resp import pack
from hybrid.proxy.lanes import Lane
from hybrid.proxy.replies import NULL, bulk
from hybrid.proxy.wires import RawWire
from hybrid.replication.bell import Bell
from hybrid.types import Store

__all__ = ["SUBSCRIBING", "Subscriptions"]

SUBSCRIBING: Final = {
    b"SUBSCRIBE": b"subscribe",
    b"PSUBSCRIBE": b"psubscribe",
    b"SSUBSCRIBE": b"ssubscribe",
    b"UNSUBSCRIBE": b"unsubscribe",
    b"PUNSUBSCRIBE": b"punsubscribe",
    b"SUNSUBSCRIBE": b"sunsubscribe",
}
_KINDS: Final = (b"subscribe", b"psubscribe", b"ssubscribe")
_MESSAGES: Final = frozenset((b"message", b"pmessage", b"smessage"))
RETRY_S: Final = 0.1
CONFIRM_S: Final = 5.0
"""Far more than a failover takes; a client that waits longer for a confirmation is better off connecting anew."""


class Subscriptions:
    """`deliver` sends bytes to the client; messages come from a thread of their own. `lost` ends the session."""

    def __init__(self, lane: Lane, deliver: Callable[[bytes], None], lost: Callable[[], None]) -> None:
        self._lane = lane
        self._deliver = deliver
        self._lost = lost
        self._channels: dict[bytes, dict[bytes, None]] = {kind: {} for kind in _KINDS}
        self._changed = threading.Condition()
        self._pending: deque[tuple[bytes, bytes | None]] = deque()
        self._repeated = 0
        self._wire: RawWire | None = None
        self._store: Store | None = None
        self._closed = False
        self._bell: Bell | None = None

    @property
    def active(self) -> bool:
        return any(self._channels.values())

    def run(self, word: bytes, channels: tuple[bytes, ...]) -> bytes | None:
        """Subscribe or unsubscribe; returns when the client has the confirmations. An error is returned instead."""
        kind = SUBSCRIBING[word]
        leaving = b"unsub" in kind
        known = self._channels[kind.replace(b"unsub", b"sub")]
        if not channels and not leaving:
            return b"-ERR wrong number of arguments for '%b' command\r\n" % kind
        named: list[bytes | None] = list(channels) if channels or not leaving else list(known) or [None]
        if leaving and self._bell is None:
            for channel in named:
                self._deliver(self._confirmation(kind, channel))
            return None
        with self._changed:
            for channel in named:
                self._pending.append((kind, channel))
            self._start()
            wire = self._wire
            if wire is not None:
                # If it is lost, the thread notices as well, connects anew and asks for all of it.
                with suppress(NotSent, ReplyLost):
                    wire.send(pack((word, *channels)))
            assert self._bell is not None
            self._bell.ring()
            if not self._changed.wait_for(lambda: not self._pending or self._closed, CONFIRM_S):
                self._lost()
        return None

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            if self._bell is not None:
                self._bell.ring()

    # -- the thread

    def _start(self) -> None:
        if self._bell is None:
            self._bell = Bell()
            self._lane._board.bells.add(self._bell)
            threading.Thread(target=self._listen, name="hybrid-proxy-messages", daemon=True).start()

    def _listen(self) -> None:
        bell, board = self._bell, self._lane._board
        assert bell is not None
        try:
            while not self._closed and not board.closing:
                writer = board.routes.writer
                try:
                    if self._wire is None or (writer is not None and writer is not self._store):
                        self._connect(writer or board.authority.store)
                    self._take_messages(bell)
                except RedisError:
                    # The store was lost: the next one, or the same when it is back, is asked for the same channels.
                    self._disconnect()
                    bell.wait(RETRY_S)
        except OSError:
            pass  # the client has gone, and its session ends by itself
        finally:
            self._disconnect()
            board.bells.discard(bell)
            bell.close()

    def _take_messages(self, bell: Bell) -> None:
        wire = self._wire
        assert wire is not None
        ready = bell.wait(30.0, wire.fileno())
        if wire.fileno() in ready or wire.has_replies():
            for message, raw in wire.messages(readable=wire.fileno() in ready):
                self._hear(message, raw)

    def _connect(self, store: Store) -> None:
        self._disconnect()
        endpoint = self._lane._engine.endpoints[store]
        wire = endpoint.connect()
        with self._changed:
            self._wire, self._store = wire, store  # type: ignore[assignment]
            self._repeated = 0
            # What is being asked for comes after what is confirmed already, which the client is not told twice.
            for kind, known in self._channels.items():
                if known:
                    wire.send(pack((kind, *known)))
                    self._repeated += len(known)
            for kind, channel in self._pending:
                wire.send(pack((kind, channel) if channel is not None else (kind,)))

    def _disconnect(self) -> None:
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.disconnect()

    def _hear(self, message: list[bytes], raw: bytes) -> None:
        if isinstance(message, list) and message[0] in _MESSAGES:
            self._deliver(raw)
            return
        with self._changed:
            if self._repeated:
                self._repeated -= 1
            elif self._pending:
                kind, channel = self._pending.popleft()
                if isinstance(message, Exception):
                    self._refuse(kind, raw)
                else:
                    self._note(kind, channel)
                    self._deliver(self._confirmation(kind, channel))
            self._changed.notify_all()

    def _refuse(self, kind: bytes, raw: bytes) -> None:
        """The store refused the whole command: one error stands for all its channels."""
        while self._pending and self._pending[0][0] == kind:
            self._pending.popleft()
        self._deliver(raw)

    def _note(self, kind: bytes, channel: bytes | None) -> None:
        if channel is None:
            return
        if b"unsub" in kind:
            self._channels[kind.replace(b"unsub", b"sub")].pop(channel, None)
        else:
            self._channels[kind][channel] = None

    def _confirmation(self, kind: bytes, channel: bytes | None) -> bytes:
        names = _KINDS[2:] if kind in (b"ssubscribe", b"sunsubscribe") else _KINDS[:2]
        count = sum(len(self._channels[name]) for name in names)
        protocol = self._lane.protocol
        mark = b">" if protocol == 3 else b"*"
        name = NULL[protocol] if channel is None else bulk(channel)
        return mark + b"3\r\n" + bulk(kind) + name + b":%d\r\n" % count
