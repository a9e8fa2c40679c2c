"""What a stream asks the two stores before it ships: may something of the stream before it still arrive, did that one
end in order, has the other store its mark, and the record that this process knows?

Over the cloud's link each question costs a round trip for which writers may wait, so no answer is waited for that need
not be: it comes before those to anything that is shipped.
"""

from __future__ import annotations

import logging
import re
import time
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from hybrid.core.authority import Authority
from hybrid.core.checkpoint import OUTDATED
from hybrid.core.connections import WHO, endings_of, identities
from hybrid.core.health import Evidence
from hybrid.core.lua import NOTED
from hybrid.core.marks import Marks
from hybrid.core.outcomes import NotSent
from hybrid.core.resp import pack
from hybrid.core.shipping import failed
from hybrid.replication.endings import Ended, Outcome, TargetLost
from hybrid.replication.volatile import ASK_FIELDS
from hybrid.stores.capabilities import run_of
from hybrid.stores.pipe import ignore
from hybrid.stores.wire import plain_reason
from hybrid.types import Store

if TYPE_CHECKING:
    from hybrid.replication.stream import Stream

__all__ = ["TAKE_OVER", "UNKNOWN_STREAM", "Opening"]

UNKNOWN_STREAM: Final = b"unknown"
UNKNOWN_RUN: Final = b"?"
TAKE_OVER: Final = NOTED + (
    "local before=redis.call('GET',KEYS[1]) "
    "if not before or string.sub(before,1,5)=='clean' then noted('SET',KEYS[1],ARGV[1]) end return before"
)
_EVICTS = re.compile(rb"^maxmemory_policy:(allkeys-\w+)", re.MULTILINE)
_UNLIMITED = re.compile(rb"^maxmemory:0\s*$", re.MULTILINE)

logger = logging.getLogger("hybrid")


class Opening:
    """Of `stream`, which is connected.

    Attributes:
        local_run: the local server's name for its current run. A server that was restarted may have lost its last
            seconds.
        is_clean: whether the stream before this one ended in order: nothing that stands in the log was sent yet.
        offset_ms: how far the source's clock, which its entries are stamped with, is ahead of the monotonic one.
    """

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self.local_run = UNKNOWN_RUN
        self.is_clean = False
        self.offset_ms = 0.0
        self._source_marks = Marks(None, None)

    def ask(self) -> None:
        """Put all questions. Raises NotSent, ReplyLost or TargetLost."""
        self.local_run = self._run_of_local()
        self._end_previous()

    @property
    def clean_mark(self) -> bytes:
        """Stands in the local store in place of the last stream's connection when nothing of its log is in doubt, as
        long as the server runs."""
        return b"clean:" + self.local_run

    @property
    def source_mark(self) -> bytes:
        """The one that the source had when the stream began."""
        assert self._source_marks.own is not None, "checked before anything is copied"
        return self._source_marks.own

    def check_source(self, marks: Any) -> None:
        """What the source lacks counts as deleted only while it has the mark that it had when the stream began: a wipe
        is not to go over to the other store. And a log that was emptied with it says nothing of what was sent, and may
        have been begun anew. `marks` is the reply to `Names.ask_marks`, to be asked after what is looked at was read,
        or with it.

        Raises NotSent when the source has lost its data.
        """
        stream, known = self._stream, self._source_marks
        if known.is_gone or Marks(*marks).own != known.own:
            stream.endpoints[stream.source].retire()
            stream.board.observe(stream.source, Evidence.WIPED)
            raise NotSent("its data is gone")

    def target_has_mark(self) -> bool:
        """Whether the other store has a mark now. Raises TargetLost when it was begun anew meanwhile."""
        stream, names = self._stream, self._stream.names
        replies = stream.pipe.wire.exchange(pack(names.ask_marks), 1)
        stream.accepted(replies)
        marks = stream.endpoints[stream.target].marks(replies[0])
        if marks.is_newcomer_to(self._source_marks):
            raise TargetLost
        return marks.own is not None

    @property
    def knows_run(self) -> bool:
        return self.local_run != UNKNOWN_RUN

    def _run_of_local(self) -> bytes:
        stream, ask = self._stream, pack(("INFO",))
        if stream.source is Store.LOCAL:
            reply = stream.states.exchange(ask, 1)[0]
        else:
            with stream.target_errors():
                reply = stream.pipe.wire.exchange(ask, 1)[0]
        if isinstance(reply, bytes):
            _warn_of_eviction(reply)
        return run_of(reply) or UNKNOWN_RUN

    def _end_previous(self) -> None:
        """Have the server close the connection of the stream before this one: what is still on its way there would
        arrive after the copies of this one, and undo them. It stays known until this stream has a name of its own: if
        that breaks before, the next one has to do the same. A service without CLIENT KILL refuses: see
        `CatchUp.copy_again`."""
        stream, names = self._stream, self._stream.names
        taken = pack(("EVAL", TAKE_OVER, 1, names.stream, UNKNOWN_STREAM))
        about_pair = pack(names.ask_marks)
        questions = taken + about_pair + pack(("TIME",)) + ASK_FIELDS
        *answers, keyspace = stream.states.exchange(questions, 4)
        if (refused := failed(answers)) is not None:
            raise NotSent(plain_reason(refused))
        before, marks, (seconds, micros) = answers
        stream.growth.note_keyspace(keyspace)
        self.offset_ms = int(seconds) * 1000 + int(micros) / 1000 - time.monotonic() * 1000
        self._source_marks = stream.endpoints[stream.source].marks(marks)
        self.is_clean = stream.source is Store.LOCAL and before == self.clean_mark
        for ended in [] if self.is_clean else endings_of(before):
            stream.push(ended, 1, self._note_ending)
        stream.push(about_pair, 1, self._check_mark)
        stream.push(pack(("GET", names.authority)), 1, self._check_record)
        stream.push(WHO, 1, self._remember_connection)
        if stream.target is Store.LOCAL:
            stream.await_replies()

    def _note_ending(self, replies: list[Any]) -> None:
        self._stream.endpoints[self._stream.target].ends_connections = not isinstance(replies[0], Exception)

    def _check_mark(self, replies: list[Any]) -> None:
        """A store that came back empty may be met here before its watcher has greeted it: what the log names would then
        be taken for all that it lacks."""
        stream = self._stream
        stream.accepted(replies)
        marks = stream.endpoints[stream.target].marks(replies[0])
        if marks.is_gone and not stream.board.is_wiped(stream.target):
            endpoint = stream.endpoints[stream.target]
            endpoint.retire()
            evidence = Evidence.WIPED if endpoint.is_lost(marks) else Evidence.LOST
            stream.board.observe(stream.target, evidence, "its mark is gone")
            raise TargetLost
        self._refuse_newcomer(self._source_marks, marks)
        self._introduce(self._source_marks, marks)

    def _refuse_newcomer(self, source: Marks, target: Marks) -> None:
        """A store that was begun anew may have met the other one here before any greeting has seen both. It is merged
        and refilled, not shipped from, nor caught up. Raises NotSent or TargetLost."""
        stream = self._stream
        for store, its, others in (stream.source, source, target), (stream.target, target, source):
            if its.is_newcomer_to(others):
                stream.endpoints[store].retire()
                stream.board.observe(store, Evidence.WIPED)
                raise NotSent("it was begun anew") if store is stream.source else TargetLost

    def _introduce(self, source: Marks, target: Marks) -> None:
        """Have each store name the other one."""
        stream = self._stream
        if source.own in (None, OUTDATED) or target.own in (None, OUTDATED):
            return
        if source.own != target.partner:
            stream.pipe.push(pack(("SET", stream.names.partner, source.own)), 1, ignore)
        if target.own != source.partner:
            stream.control.push(pack(("SET", stream.names.partner, target.own)), 1, ignore)

    def _check_record(self, replies: list[Any]) -> None:
        """Whoever moved the authority may have told it while this process did not listen: copies from a store that has
        lost it would undo what was written on the other one. If the move is known, the stream ends anyway, or it is
        saying its last word."""
        stream, board = self._stream, self._stream.board
        is_known = board.authority.store is not stream.source
        if isinstance(replies[0], bytes):
            board.learn(Authority.parse(replies[0]), source=stream.target)
        if board.authority.store is not stream.source and not is_known:
            raise Ended(Outcome.MOVED)

    def _remember_connection(self, replies: list[Any]) -> None:
        stream = self._stream
        if not (mine := identities(replies[0])):
            stream.endpoints[stream.target].ends_connections = False
        else:
            name = b" ".join(chain(*mine))
            stream.control.push(stream.lease.set(stream.names.stream, name), 1, ignore)
            stream.control.flush()
            if stream.target is Store.LOCAL:
                # Whoever takes over there alone ends it, without asking the cloud store: see `Claims`.
                stream.push(pack(("SET", stream.names.incoming, name)), 1, ignore)


@cache
def _warn_of(policy: str) -> None:
    logger.warning(
        "the local store's maxmemory-policy %s takes hybrid's own keys, too, when memory is short: the store counts as "
        "wiped then, and what was not shipped yet is lost; set noeviction, or one that is volatile",
        policy,
    )


def _warn_of_eviction(info: bytes) -> None:
    """Once in a process, and only where there is a limit."""
    if (found := _EVICTS.search(info)) and not _UNLIMITED.search(info):
        _warn_of(found.group(1).decode())
