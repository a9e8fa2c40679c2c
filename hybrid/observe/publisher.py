"""Writes what this process measured to the local store, every ten seconds, where it is merged over all processes.

It goes to the local store because that one is not billed, on a connection of its own, outside the replication log: it
never reaches the cloud. While the local store is down, records wait; too many of them become coarser, never wrong.

    hybrid:metrics:10 ──(any process, each minute)──> hybrid:metrics:60 ──(each ten minutes)──> hybrid:metrics:600
                                                              └──> hybrid:metrics:days
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable
from typing import Final

from hybrid.core.metrics import Record
from hybrid.core.names import Names
from hybrid.core.outcomes import NotSent, ReplyLost
from hybrid.core.resp import pack
from hybrid.observe.folding import KEPT_S, fold
from hybrid.observe.metrics import Recorder
from hybrid.stores.endpoint import Endpoint
from hybrid.stores.wire import Wire
from hybrid.types import Purpose

__all__ = ["SPAN_S", "Publisher"]

logger = logging.getLogger("hybrid.metrics")

SPAN_S: Final = 10
WAITING: Final = 360
"""An hour of records, before the oldest are merged."""

TIMEOUT_S: Final = 1.0


class Publisher(threading.Thread):
    """Runs until `close`. `ready` says whether the local store may be asked now."""

    def __init__(self, recorder: Recorder, local: Endpoint, names: Names, ready: Callable[[], bool]) -> None:
        super().__init__(name="hybrid-metrics", daemon=True)
        self._recorder = recorder
        self._local = local
        self._names = names
        self._ready = ready
        self._id = secrets.token_hex(6)
        self._waiting: list[tuple[str, Record]] = []
        self._numbered = 0
        self._folded_minute = 0
        self._wire: Wire | None = None
        self._ended = threading.Event()

    def close(self) -> None:
        """Have it publish what is left, and end."""
        self._ended.set()

    def run(self) -> None:
        while not self._ended.is_set():
            now_s = time.time()
            slot_s = int(now_s) - int(now_s) % SPAN_S
            self._ended.wait(slot_s + SPAN_S - now_s)
            try:
                self._take(slot_s)
                self._publish()
            except Exception:
                # Measuring must outlive any surprise, and disturb nobody.
                logger.exception("publishing metrics failed")
        if self._wire is not None:
            self._wire.disconnect()

    def _take(self, began_s: int) -> None:
        record = self._recorder.take(began_s, SPAN_S)
        if record.is_empty:
            return
        self._numbered += 1
        self._waiting.append((f"{self._id}:{self._numbered}", record))
        if len(self._waiting) > WAITING:
            self._waiting = coarser(self._waiting)

    def _publish(self) -> None:
        if not self._ready():
            return
        try:
            wire = self._connected()
            self._send(wire)
            minute = int(time.time()) // 60
            if minute > self._folded_minute and not self._ended.is_set():
                self._folded_minute = minute
                fold(wire, self._names)
        except (NotSent, ReplyLost) as error:
            logger.debug("metrics wait: %s", error)
            self._wire = None

    def _connected(self) -> Wire:
        if self._wire is None or not self._wire.is_connected or not self._wire.is_quiet():
            self._wire = self._local.connect_raw(timeout_s=TIMEOUT_S, purpose=Purpose.HEALTH)
        return self._wire

    def _send(self, wire: Wire) -> None:
        """All that waits, in one round trip. What is sent again because its reply was lost has the same number, by
        which readers know it."""
        waiting = self._waiting
        if not waiting:
            return
        oldest_ms = int((time.time() - KEPT_S[SPAN_S]) * 1000)
        command = ("XADD", self._names.metrics_10, "MINID", "~", oldest_ms, "*", "n")
        replies = wire.exchange(
            b"".join(pack((*command, n, "d", record.packed())) for n, record in waiting), len(waiting)
        )
        refused = next((reply for reply in replies if isinstance(reply, Exception)), None)
        if refused is not None:
            logger.debug("the local store takes no metrics: %s", refused)
        self._waiting = [item for item, reply in zip(waiting, replies, strict=True) if isinstance(reply, Exception)]


def coarser(waiting: list[tuple[str, Record]]) -> list[tuple[str, Record]]:
    """Half as many records: two neighbours become one, with the counts of both."""
    merged = []
    for index in range(0, len(waiting) - 1, 2):
        (number, first), (_, second) = waiting[index : index + 2]
        whole = Record(first.at_s, second.at_s + second.span_s - first.at_s)
        whole.add(first)
        whole.add(second)
        merged.append((number, whole))
    return merged + waiting[len(merged) * 2 :]
