"""After the catch-up: new entries of the log, replayed in order on the other store as they come."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, Final

from hybrid.core.authority import Position, position
from hybrid.core.expiry_guard import EXPIRY_GUARD_MS
from hybrid.core.outcomes import ReplyLost
from hybrid.core.resp import pack
from hybrid.core.shipping import Entry, Group, Run, by_state, failed, groups, parts, plain_run, plan
from hybrid.core.slots import crosses_slots
from hybrid.replication.catch_up import CatchUp
from hybrid.replication.endings import log_unreadable
from hybrid.replication.stream import Stream
from hybrid.replication.volatile import VolatileHashes
from hybrid.stores.wire import SILENT
from hybrid.types import Store

__all__ = ["Follow"]

BLOCK_MS: Final = {Store.LOCAL: 250, Store.CLOUD: 30_000}
"""How long the log is awaited before it is asked for anew, which the cloud bills."""

BEHIND_BLOCK_MS: Final = 1000
"""The same at the most, while the other store catches up: that is over soon."""

LINGER_S: Final = 0.002
LONG_LINGER_S: Final = 0.005
BURST_ENTRIES: Final = 8


class Follow:
    """Reads the log behind `stream.read_to` and forwards it."""

    def __init__(self, stream: Stream, catch_up: CatchUp) -> None:
        self._stream = stream
        self._catch_up = catch_up
        self._failed: list[Group] = []
        self._wrong: Counter[bytes] = Counter()
        self._volatile = VolatileHashes(stream)
        self._asked = False
        self._due_s = 0.0
        self._linger_s = 0.0

    def step(self) -> int:
        """Wait for what happens next, new entries or replies, and deal with it; the result is how many entries were
        forwarded."""
        stream = self._stream
        stream.keep_going()
        self.settle_failed()
        self._catch_up.copy_again()
        self._ask()
        if self._linger_s:
            # Many small batches would cost the application's threads more (each wakes this one) than a moment's
            # patience costs those who wait for a confirmation.
            stream.linger(self._linger_s)
            self._linger_s = 0.0
        awaits_log = stream.has_room
        readable = stream.poll()
        if stream.pipe.wire.fileno() in readable:
            stream.collect()
        if stream.control.wire.fileno() in readable:
            stream.control.collect(readable=True)
        if stream.reader.fileno() in readable and stream.has_room:
            self._asked = False
            began_s = time.monotonic()
            reply, marks = stream.reader.receive(2)
            if reply:
                if stream.look_again():
                    stream.keep_going()
                # The store may have been emptied, and begun anew, which is not said on this connection: such a log
                # is to be merged, not shipped.
                stream.opening.check_source(marks)
            count = self.forward(reply)
            if count:
                patience_s = LONG_LINGER_S if count >= BURST_ENTRIES else LINGER_S
                self._linger_s = max(0.0, patience_s - (time.monotonic() - began_s))
            return count
        overdue_s = time.monotonic() - self._due_s
        if awaits_log and overdue_s > stream.endpoints[stream.source].patience_s and not stream.is_held_up:
            # Nothing comes over this connection any more. Of the store that says nothing: see `Silence`.
            raise ReplyLost(SILENT, silent=False)
        return 0

    def _ask(self) -> None:
        if not self._asked:
            stream, most = self._stream, ("COUNT", self._stream.batch_entries)
            block_ms = BLOCK_MS[stream.source] if stream.live else min(BLOCK_MS[stream.source], BEHIND_BLOCK_MS)
            names, read_to = stream.names, stream.read_to
            ask_log = "XREAD", *most, "BLOCK", block_ms, "STREAMS", names.log, read_to
            stream.reader.send(pack(ask_log) + pack(names.ask_marks))
            self._asked, self._due_s = True, time.monotonic() + block_ms / 1000

    def forward(self, reply: Any) -> int:
        """Forward the entries in the reply to an XREAD; the result is how many there were."""
        stream = self._stream
        if isinstance(reply, Exception):
            if not stream.reads_fewer(reply):
                raise log_unreadable(reply)
            stream.at_end = False
            return 0
        if not reply:
            stream.reach_end()
            return 0
        # A wire that speaks RESP3 brings a mapping.
        entries: list[Entry] = next(iter(reply.values() if isinstance(reply, dict) else (log[1] for log in reply)))
        stream.at_end = len(entries) < stream.batch_entries
        if position(entries[0][0]) <= (read_to := position(stream.read_to)):
            # A handover that did not come about has read on past what was asked for before.
            entries = [entry for entry in entries if position(entry[0]) > read_to]
            if not entries:
                return 0
        stream.read_to = entries[-1][0]
        now_ms = int(stream.now_ms())
        if (run := self._plain_run(entries, now_ms)) is not None:
            self._catch_up.copied.lasting.clear()  # nobody has looked what becomes of their expiries
            stream.note(run.place, None)
            stream.push(run.payload, run.size, partial(self._ran, run, entries))
        else:
            self._forward_groups(groups(entries, self._catch_up.open_fields), now_ms)
        stream.flush()
        self._catch_up.copied.forget_read()
        return len(entries)

    def _plain_run(self, entries: Sequence[Entry], now_ms: int) -> Run | None:
        catch_up = self._catch_up
        if catch_up.copied.places or catch_up.open_fields or catch_up.refused or self._volatile.are_known:
            return None
        if self._stream.capabilities.is_cluster:
            return None
        counters, expire = self._stream.capabilities.has_stream_counters, self._volatile.may_be_met
        return plain_run(entries, now_ms, stream_counters=counters, fields_expire=expire)

    def _ran(self, run: Run, entries: Sequence[Entry], replies: list[Any]) -> None:
        if failed(replies) is None and not self._wrong and not self._is_late(position(entries[0][0])):
            self._stream.advance(run.place)
            return
        rest = iter(replies)
        for group in groups(entries, []):
            self._replayed(group, [next(rest) for _ in group.fields])

    def _forward_groups(self, logged: Iterable[Group], now_ms: int) -> None:
        for part in parts(logged):
            first = part[0]
            if first.refills:
                self._refill(first.place)
                continue
            if first.empties:
                # What stood before is gone on both stores; what follows starts from nothing.
                self._catch_up.empty()
            self._forward_part(part, now_ms)

    def _forward_part(self, part: Sequence[Group], now_ms: int) -> None:
        stream, copied = self._stream, self._catch_up.copied
        self._volatile.meet(part)
        went, keys = by_state(part, [self._plan(group, now_ms) for group in part])
        for group, goes_by_state in zip(part, went, strict=True):
            if goes_by_state:
                # One copy serves for all: a read between replays takes round trips.
                self._catch_up.copy(keys)
                keys = ()
                self._catch_up.push_keyless(group)
                stream.note(group.place, group.token)
                stream.push_advance(group.place)
                continue
            payload, count = group.replay(stream_counters=stream.capabilities.has_stream_counters)
            stream.note(group.place, group.token)
            is_timeless = group.is_timeless(copied.lasting)
            if not is_timeless:
                copied.lasting.difference_update(group.keys)
            stream.push(payload, count, partial(self._replayed, group, is_timeless=is_timeless))

    def _refill(self, place: Position) -> None:
        """Dual write begins again: the other store missed what was written meanwhile, whatever the log says."""
        self._stream.live_from = place
        self._stream.fall_behind()
        self._catch_up.hydrate()
        self._stream.push_advance(place)

    def _plan(self, group: Group, now_ms: int) -> tuple[bytes, ...] | None:
        copied = self._catch_up.copied
        keys = plan(group, copied.places, now_ms, copied.lasting)
        if keys is None and (
            group.empties or self._volatile.concern(group) or self._was_refused(group) or self._crosses_slots(group)
        ):
            return group.keys
        return keys

    def _crosses_slots(self, group: Group) -> bool:
        return self._stream.capabilities.is_cluster and crosses_slots(group.commands)

    def _was_refused(self, group: Group) -> bool:
        """Whether the other store has another value than a replay would start from."""
        return bool(self._catch_up.refused) and not self._catch_up.refused.isdisjoint(group.touched)

    def _replayed(self, group: Group, replies: list[Any], *, is_timeless: bool = False) -> None:
        is_right = failed(replies) is None and self._wrong.keys().isdisjoint(group.touched)
        if is_right and (is_timeless or not (group.keys and self._is_late(group.place))):
            self._stream.advance(group.place)
            return
        # It failed on the authority as well, or the stores differ: the state of its keys settles it either way. What is
        # on its way behind it may have read those keys as they were, and written others from them.
        self._failed.append(group)
        self._wrong.update(group.keys)
        self._stream.hold(group.place)

    def _is_late(self, place: Position) -> bool:
        """Whether what stands there may have arrived so late that a key had expired which the writer saw alive."""
        return self._stream.now_ms() - place[0] >= EXPIRY_GUARD_MS

    def settle_failed(self) -> bool:
        """Copy the keys of groups whose replay failed, or that may have read what such a one left; whether any did."""
        if not self._failed:
            return False
        groups, self._failed = self._failed, []
        for group in groups:
            self._catch_up.push_keyless(group)
        self._catch_up.copy(dict.fromkeys(key for group in groups for key in group.keys))
        self._stream.push(b"", 0, lambda _: self._settled(groups))
        self._stream.flush()
        return True

    def _settled(self, groups: Sequence[Group]) -> None:
        """The copies have arrived, and so has everything that was sent before them."""
        for group in groups:
            self._wrong -= Counter(group.keys)
            self._stream.release()
