"""What is read, as the application is to see it: without what is hybrid's, and scans where they began. Shared by both
clients and their pipelines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import redis

from hybrid.core import flows
from hybrid.core.actions import Ask, Flow
from hybrid.core.commands import Command, Policy, lookup
from hybrid.core.libraries import as_counted
from hybrid.core.names import Names
from hybrid.core.resp import pack
from hybrid.core.visible import CURSOR_AT, LISTS, SHOWN, cursor_of, is_reserved, sent_cursor, shown
from hybrid.core.write import Write
from hybrid.errors import HybridError
from hybrid.replication.board import Board
from hybrid.types import Store

__all__ = ["Reading", "Run"]

Run = Callable[[Sequence[Write], Store | None], Flow]
"""A pipeline's commands, and the store to read from if it can answer."""

RANDOM_TRIES: Final = 16
"""RANDOMKEY is asked this often at once: of a store that holds any user's key, one is found but for freak chance."""

FOREVER_S: Final = 20 * 86400.0
"""What stands for a wait without end: `poll` counts milliseconds in 31 bits, which is a little less than 25 days."""

_LIST: Final = pack(("FUNCTION", "LIST"))


class Reading:
    """The part of `Calls` that changes nothing."""

    _board: Board
    _names: Names

    def _read(self, command: Command, args: tuple[Any, ...], decode: bool) -> Flow:
        board, name = self._board, command.name
        if name in CURSOR_AT:
            return (yield from self._scanned(name, args, decode))
        if name in ("DBSIZE", "RANDOMKEY"):
            return (yield from self._read_without_reserved(name))
        payload, timeout_s = self._packed(args), _block_timeout_s(name, args)
        replies = yield from flows.read(
            board, board.readers, lambda store: Ask(store, payload, 1, decode, timeout_s, True)
        )
        return shown(name, replies[0], Store.LOCAL) if name in LISTS else replies[0]

    def _scanned(self, name: str, args: tuple[Any, ...], decode: bool) -> Flow:
        board, at = self._board, CURSOR_AT[name]
        asked: list[Store] = []

        def action(store: Store) -> Ask:
            asked.append(store)
            return Ask(store, self._packed(sent_cursor(args, at, store)), 1, decode, reads=True)

        origin = cursor_of(args, at)[1]
        replies = yield from flows.read(board, lambda: self.readers(origin), action)
        return shown(name, replies[0], asked[-1])

    def _read_without_reserved(self, name: str) -> Flow:
        """DBSIZE and RANDOMKEY as if hybrid had no keys of its own."""
        board, names = self._board, self._names
        if name == "DBSIZE":
            payload = pack(("DBSIZE",)) + pack(("EXISTS", *names.keys))
            size, reserved = yield from flows.read(
                board, board.readers, lambda store: Ask(store, payload, 2, reads=True)
            )
            return size if isinstance(size, Exception) else size - reserved
        payload = pack(("RANDOMKEY",)) * RANDOM_TRIES
        replies = yield from flows.read(
            board, board.readers, lambda store: Ask(store, payload, RANDOM_TRIES, reads=True)
        )
        visible = shown("KEYS", [key for key in replies if key is not None], Store.LOCAL)
        return visible[0] if visible else None

    def shown(self, writes: Sequence[Write], run: Run, lent: Store | None) -> Flow:
        """The flow `run` of a pipeline's commands, with cursors and replies as they are outside of one. `lent`: the
        store whose wire the pipeline has."""
        names = [write.command.name for write in writes]
        if SHOWN.isdisjoint(names):
            return list((yield from run(writes, None)))
        store = self._asked(writes, lent)
        sent = [self._sent(write, store) for write in writes]
        counts = [_count(self._names)] if "DBSIZE" in names else []
        replies = list((yield from run(sent + counts, store)))
        reserved = replies.pop() if counts else 0
        doubtful = self._asked(writes, lent) is not store
        for number, (name, reply) in enumerate(zip(names, replies, strict=True)):
            if name not in SHOWN or isinstance(reply, Exception):
                continue
            if name == "DBSIZE":
                replies[number] = reply - reserved
            elif name == "RANDOMKEY":
                hidden = reply is not None and is_reserved(reply)
                replies[number] = (yield from self._read_without_reserved(name)) if hidden else reply
            else:
                replies[number] = yield from self._shown(name, reply, store, doubtful=doubtful)
        return replies

    def _asked(self, writes: Sequence[Write], lent: Store | None) -> Store:
        """The store that these commands go to, as things are now. Where a scan began, it goes on."""
        if lent is None and any(write.is_logged for write in writes):
            routes = self._board.routes
            lent = Store.LOCAL if routes.relayed else routes.writer
        places = [(write, CURSOR_AT[write.command.name]) for write in writes if write.command.name in CURSOR_AT]
        origins = (cursor_of(write.args, at)[1] for write, at in places)
        readers = self.readers(next(filter(None, origins), None))
        return lent or next(iter(readers), Store.LOCAL)

    def readers(self, first: Store | None) -> tuple[Store, ...]:
        """The stores to ask for a read, in order: `first` first, if it can answer."""
        stores = self._board.readers()
        return tuple(sorted(stores, key=lambda store: store is not first)) if first else stores

    def _sent(self, write: Write, store: Store) -> Write:
        at = CURSOR_AT.get(write.command.name)
        if at is None:
            return write
        args = sent_cursor(write.args, at, store)
        return write._replace(args=args, packed=self._packed(args))

    def _shown(self, name: str, reply: Any, store: Store, *, doubtful: bool = False) -> Flow:
        """One reply as the application is to see it."""
        if name == "FUNCTION STATS":
            return as_counted(self._opened(reply), (yield from self._functions()))
        return shown(name, self._opened(reply), store, doubtful=doubtful)

    @staticmethod
    def _opened(reply: Any) -> Any:
        """The reply with nothing in it left as it came."""
        return reply

    def _functions(self) -> Flow:
        try:
            ask = flows.ask_authority(self._board, lambda store: Ask(store, _LIST, 1, False), "list", idempotent=True)
            return self._opened((yield from ask)[0])
        except HybridError:
            return []  # the transaction has run, and its replies count

    def _packed(self, args: Sequence[Any]) -> bytes:
        try:
            return pack(args)
        except TypeError as error:
            raise redis.DataError(str(error)) from None


def _count(names: Names) -> Write:
    args: tuple[Any, ...] = ("EXISTS", *names.keys)
    return Write(args, pack(args), lookup(args), Policy.READ)


def _block_timeout_s(name: str, args: Sequence[Any]) -> float | None:
    """How long a reply may take: XREAD waits by itself; None stands for the store's usual timeout."""
    if name != "XREAD":
        return None
    words = [str(arg.decode(errors="replace") if isinstance(arg, bytes) else arg).upper() for arg in args[:6]]
    try:
        wait_ms = float(args[words.index("BLOCK") + 1])
    except (IndexError, ValueError):
        return None
    return min(wait_ms / 1000 + 1.0, FOREVER_S) if wait_ms else FOREVER_S
