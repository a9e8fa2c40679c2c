"""One thread per store that keeps a connection to it, hears what other processes push, and notices when it fails.

The store's own traffic is the health signal; a PING goes out only after silence, or when someone waits too long. Of all
processes the one that ships asks the cloud store: the others hear from it, so that their number costs next to nothing.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Final, Protocol

from hybrid.core.allowance import Allowance
from hybrid.core.authority import Authority
from hybrid.core.connections import FLUSHES_CHANNEL, flushes_to
from hybrid.core.health import Evidence
from hybrid.core.outcomes import LeftAlone, NotSent, ReplyLost
from hybrid.core.resp import pack
from hybrid.core.tokens import Seal
from hybrid.replication.bell import Bell
from hybrid.replication.board import Board
from hybrid.replication.messages import Progress, Word
from hybrid.replication.warmer import Warmer
from hybrid.stores.endpoint import Endpoint
from hybrid.stores.wire import HELD_UP_S, HELD_UP_TIMES, SILENT, Wire, plain_reason
from hybrid.types import Purpose, Store

__all__ = ["Watcher"]

logger = logging.getLogger("hybrid")

SILENCE_S: Final = {Store.LOCAL: 0.5, Store.CLOUD: 30.0}
"""How long a store may say nothing before it is asked. The cloud is billed: 30 s are under 3,000 PINGs a day."""

FREE_S: Final = 2.0
"""The same for a cloud store whose commands are free, or of which somebody wants to know."""

INQUIRIES: Final = (20, 30.0)
"""Where they are billed it is asked for those who want to know so often at once, and then once in so many seconds: a
probed process sends under 3,000 PINGs a day."""

AWAITED_S: Final = 0.01
"""The same for a local store whose entries are on their way to the cloud one: it is not billed."""

HEARSAY_S: Final = 600.0
"""The same for the cloud store in a process that hears of its loss over the local store, from the one that ships. TCP
keeps the connection alive."""

RETRY_S: Final = {Store.LOCAL: (0.05, 0.5), Store.CLOUD: (0.1, 1.0)}
"""First and longest pause between attempts to reach a store that is down."""

AGAIN_S: Final = 0.1
"""How long a store that was found silent is given over the connection that is there, before a new one is tried."""

LEFT_ALONE_RETRY_S: Final = 5.0
"""The longest one while it is none of the pair, which may last for days: each attempt is four commands and more."""

WANTED_RETRY_S: Final = {Store.LOCAL: 0.05, Store.CLOUD: 0.25}
"""The longest one while no store takes writes."""


class Live(Protocol):
    """What of the live configuration a watcher needs: a look at it (and at the authority) for each new connection, and
    an ear."""

    def look(self, store: Store) -> None: ...
    def hear(self, store: Store, record: bytes | None) -> None: ...


class Watcher(threading.Thread):
    """Watches `endpoint`; `greet` is called on each new connection, before the store counts as answering, `relay` with
    each message on its channel."""

    def __init__(
        self,
        endpoint: Endpoint,
        board: Board,
        peer: Endpoint | None,
        greet: Callable[[Wire], Evidence],
        live: Live,
        relay: Callable[[bytes], None] | None = None,
    ) -> None:
        super().__init__(name=f"hybrid-watch-{endpoint.store}", daemon=True)
        self._endpoint = endpoint
        self._board = board
        self._greet = greet
        self._live = live
        self._relay = relay
        self._store = endpoint.store
        self._bell = Bell()
        self._renewing = False
        self._poked = False
        self._tries_anew = False
        self._heard_s = self._inquired_s = 0.0
        self._inquiries = Allowance(*INQUIRIES)
        self._pause_s = RETRY_S[self._store][0]
        self._warmer = Warmer(endpoint, peer, board) if peer is not None else None

    def poke(self) -> None:
        """Ask the store now: someone waits for it."""
        self._poked = True
        self._bell.ring()

    def inquire(self) -> None:
        """Somebody wants to know how the store is: ask it, if it has said nothing lately."""
        now_s = time.monotonic()
        is_silent = now_s - max(self._heard_s, self._inquired_s) >= FREE_S
        if is_silent and self._board.reachable(self._store) and self._inquiries.take(now_s):
            self._inquired_s = now_s
            self.poke()

    def renew(self) -> None:
        """Greet the store anew, over a new connection."""
        self._renewing = True
        self._bell.ring()

    def close(self) -> None:
        self._bell.ring()

    def run(self) -> None:
        if self._warmer is not None:
            self._warmer.start()
        try:
            while not self._board.closing:
                try:
                    self._watch_once()
                except Exception:
                    # A watcher that is gone would never see its store return.
                    logger.exception("watching the %s store failed and starts again", self._store)
                    self._hear(RETRY_S[self._store][1])
        finally:
            self._bell.close()
            if self._warmer is not None:
                self._warmer.ask()
                self._warmer.join(timeout=1.0)

    def _watch_once(self) -> None:
        self._renewing = False  # what is asked for from here on is heeded after this greeting
        self._poked = False
        generation = self._endpoint.generation
        try:
            wire = self._endpoint.connect_raw(purpose=Purpose.HEALTH, patience_s=self._greeting_patience_s)
        except NotSent as error:
            self._fail(error)
            return
        try:
            evidence = self._greet(wire)
            if not self._is_latest(generation):
                wire.disconnect()
                return
            self._board.observe(self._store, evidence)
            self._subscribe(wire)
            self._live.look(self._store)
        except (NotSent, ReplyLost) as error:
            self._fail(error)
            wire.disconnect()
            return
        try:
            self._listen(wire)
        except (NotSent, ReplyLost) as error:
            if error.silent and self._board.reachable(self._store):
                self._fail(error)
            else:
                # It is tried anew: a refusal then says that the store is down. Perhaps another server answers, or it
                # was only the old connections on which nothing came any more.
                if not error.silent:
                    self._board.broke(self._store)
                self._endpoint.retire()
        finally:
            self._tries_anew = True
            wire.disconnect()

    def _greeting_patience_s(self) -> float:
        """A store that was just lost need not be slow: the first connection after that may be dead as well, and is not
        waited for as long as a last store is."""
        is_brisk = self._tries_anew and not self._board.reachable(self._store)
        return self._endpoint.usual_patience_s if is_brisk else self._endpoint.patience_s

    def _is_latest(self, generation: int) -> bool:
        """Whether what the store was asked in this generation is the last word of it: another thread may have lost it
        since, and what it had said before does not bring it back."""
        return generation == self._endpoint.generation or self._board.reachable(self._store)

    def _fail(self, error: NotSent | ReplyLost) -> None:
        self._endpoint.retire()
        is_alone = isinstance(error, LeftAlone)
        evidence = Evidence.SILENT if error.silent else Evidence.LEFT_ALONE if is_alone else Evidence.REFUSED
        self._board.observe(self._store, evidence, str(error))
        was_brisk, self._tries_anew = self._tries_anew and error.silent, False
        if was_brisk or self._poked:
            return  # it has waited already; or this attempt began before somebody asked for one
        self._board.tried(self._store)
        is_wanted = self._board.routes.writer is None
        self._hear(min(self._pause_s, WANTED_RETRY_S[self._store]) if is_wanted else self._pause_s)
        longest_s = LEFT_ALONE_RETRY_S if is_alone else RETRY_S[self._store][1]
        self._pause_s = min(self._pause_s * 2, longest_s)

    def _subscribe(self, wire: Wire) -> None:
        endpoint, asked_s = self._endpoint, time.monotonic()
        channels = [endpoint.applied, endpoint.moved, endpoint.config]
        if self._relay is not None:
            channels.append(endpoint.relay)
        flushes = self._flushes(wire)
        count = 2 if flushes else 0
        replies = wire.exchange(flushes + pack(("SUBSCRIBE", *channels)), count + len(channels))
        self._board.measure(self._store, time.monotonic() - asked_s)
        if flushes and endpoint.is_lost(replies[1]) and not self._board.is_wiped(self._store):
            self._renewing = True  # since it was greeted
        for reply in replies[count:]:
            if isinstance(reply, Exception):
                raise NotSent(plain_reason(reply))

    def _flushes(self, wire: Wire) -> bytes:
        """The commands to have the server say here that it was emptied, and show its mark; nothing where it cannot."""
        if not self._endpoint.hears_flushes:
            return b""
        number = wire.exchange(pack(("CLIENT", "ID")), 1)[0]
        return flushes_to(number) + self._endpoint.ask_marks if isinstance(number, int) else b""

    def _listen(self, wire: Wire) -> None:
        self._heard_s = time.monotonic()
        self._tries_anew = False
        while not self._board.closing and not self._renewing:
            self._pause_s = RETRY_S[self._store][0]
            if self._warmer is not None:
                self._warmer.ask()
            readable = self._wait(wire, self._patience_s)
            if readable:
                self._take(wire.receive(1)[0])
                # If it was lost, the message may be older than that.
                self._poked = self._poked or not self._board.reachable(self._store)
            if not readable and self._nobody_tells():
                return
            if self._poked or (not readable and self._is_to_be_asked()):
                self._poked = False
                self._ask(wire)
            elif not readable:
                continue
            self._heard_s = time.monotonic()

    @property
    def _patience_s(self) -> float:
        """Who waits for the other store's confirmation has no question open to this one: that it hangs is to be found
        out meanwhile, by asking."""
        board = self._board
        if self._store is Store.CLOUD and not board.settings.cloud_price:
            return FREE_S
        if board.is_wiped(self._store):
            return RETRY_S[self._store][1]
        waits = self._store is Store.LOCAL and board.confirms and board.acks[Store.LOCAL].is_awaited
        return AWAITED_S if waits else SILENCE_S[self._store]

    def _nobody_tells(self) -> bool:
        """Whether others may have refilled the store, and this process does not reach the one where that is said, or
        holds that one for wiped as well. It greets the store anew then."""
        other = self._store.other
        is_heard = self._board.reachable(other) and not self._board.is_wiped(other)
        return self._board.is_wiped(self._store) and not is_heard

    def _is_to_be_asked(self) -> bool:
        board, peer = self._board, self._store.other
        if board.is_wiped(self._store):
            return False  # it serves nobody, and who refills it notices its loss
        hears = self._store is Store.CLOUD and not board.shipping and board.reachable(peer)
        return not hears or time.monotonic() - self._heard_s >= HEARSAY_S

    def _ask(self, wire: Wire) -> None:
        generation, asked_s = self._endpoint.generation, time.monotonic()
        wire.send(pack(("PING",)))
        while True:
            self._await_word(wire)
            message = wire.receive(1)[0]
            if isinstance(message, Exception):
                raise NotSent(plain_reason(message))
            if message[0] == b"pong":
                now_s = time.monotonic()
                self._board.measure(self._store, now_s - asked_s)
                self._endpoint.pace.took(now_s - asked_s, now_s)
                if self._is_latest(generation):
                    # Another thread may have found the store silent while this connection stayed open.
                    self._board.observe(self._store, Evidence.ANSWERED)
                else:
                    self.poke()
                return
            self._take(message)

    def _await_word(self, wire: Wire) -> None:
        """Until something comes over `wire`. Raises ReplyLost when nothing does in time."""
        for _ in range(HELD_UP_TIMES):
            if self._comes_in_time(wire):
                return
            if self._bell.late_s < HELD_UP_S:
                break  # or else the machine may have held up the store as well
        raise ReplyLost(SILENT, silent=True)

    def _comes_in_time(self, wire: Wire) -> bool:
        """Time is over soon where another thread finds the store silent meanwhile: perhaps only the connections that
        are there are dead."""
        until_s = time.monotonic() + self._given_s
        while not self._wait(wire, max(0.0, until_s - time.monotonic())):
            now_s = time.monotonic()
            until_s = min(until_s, now_s + self._given_s)
            if now_s >= until_s:
                return False
        return True

    @property
    def _given_s(self) -> float:
        """How long the store is given to answer."""
        if self._board.reachable(self._store):
            return self._endpoint.patience_s
        return min(AGAIN_S, self._endpoint.usual_patience_s)

    def _take(self, message: list[Any]) -> None:
        if message[0] != b"message":
            return
        if message[1] == FLUSHES_CHANNEL:
            # Perhaps it was another database of the same server.
            if message[2] is None and self._endpoint.has_another_mark():
                self._renewing = True
            return
        if message[1] == self._endpoint.config:
            self._live.hear(self._store, message[2])
            return
        if message[1] == self._endpoint.relay and self._relay is not None:
            self._relay(message[2])
            return
        if message[1] == self._endpoint.moved:
            # A service does not say that it was emptied: whoever has begun it anew has claimed the authority for it.
            if not self._endpoint.hears_flushes and self._endpoint.has_another_mark():
                self._renewing = True
            else:
                self._board.learn(Authority.parse(message[2]), source=self._store)
            return
        try:
            progress = Progress.parse(message[2])
            seal = Seal.parse(progress.rest) if progress.word is Word.SEAL else None
        except ValueError:
            logger.warning("a message on %r that is not hybrid's was ignored", message[1])
            return
        if seal is not None:
            self._board.acks[Store.LOCAL].seal(seal)
        elif progress.word is Word.FREE:
            self._board.nudge()
        elif progress.word is Word.PASSED:
            self._board.acks[Store.LOCAL].advance(progress.place)
        elif self._store is self._board.authority.store:
            self._board.acks[self._store].advance(progress.place)
            live = progress.word is Word.LIVE
            if self._board.shipping:
                return  # it knows by itself, and sooner: here it would hear its own echo
            if live and self._board.is_wiped(self._store.other):
                # Perhaps the shipper has not noticed yet: its mark tells whether it was refilled.
                self._board.on_new_mark(self._store.other)
                return
            if progress.rest:
                self._board.refused(self._store.other, progress.rest.decode(errors="replace"))
                return
            self._board.observe(self._store.other, Evidence.CAUGHT_UP if live else Evidence.BEHIND)

    def _wait(self, wire: Wire, timeout_s: float) -> bool:
        """Whether the wire has something to read before `timeout_s` or a poke."""
        return wire.has_replies() or wire.fileno() in self._readable(timeout_s, wire.fileno())

    def _hear(self, timeout_s: float) -> None:
        self._readable(timeout_s)

    def _readable(self, timeout_s: float, *files: int) -> set[int]:
        return self._bell.wait(timeout_s, *files)
