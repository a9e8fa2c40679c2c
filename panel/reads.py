"""Reads that may be slow, taken off the page: a thread asks, the page waits a moment at most and says what is known.

A dead store delays no page: the answer is the last one known, or that nothing is known and why.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar, cast

__all__ = ["Answer", "Known", "ReadFailed", "Reads", "Unknown"]

logger = logging.getLogger("hybrid.panel")

T = TypeVar("T")
FAILED_S = 10.0
"""A failure is believed for so long at most, however long an answer would be: the store may be back."""
LATE_S = 10.0
"""For so long an answer that has become old still counts as one, while the next is awaited: pages shall not blink."""


class ReadFailed(Exception):
    """What a read raises when it cannot be answered now, with the sentence to show."""


@dataclass(frozen=True, slots=True)
class Known(Generic[T]):
    """An answer and when it was taken, in Unix time."""

    value: T
    at_s: float
    pending: ClassVar[bool] = False

    @property
    def last(self) -> Known[T]:
        return self


@dataclass(frozen=True, slots=True)
class Unknown(Generic[T]):
    """No answer now. `why` is a sentence, `since_s` a Unix time; `pending` means that the read is still under way, so
    that looking again soon is worth it. `last` is what was known before."""

    why: str
    since_s: float
    pending: bool = False
    last: Known[T] | None = None


Answer = Known[T] | Unknown[T]


class _Read:
    """One question: its last answer, its last failure, and the thread that asks now."""

    def __init__(self) -> None:
        self.known: Known[Any] | None = None
        self.failure: tuple[str, float, float] | None = None  # why, since, tried at
        self.began_s = 0.0
        self.done = threading.Event()
        self.done.set()

    def answer(self, max_age_s: float) -> Answer[Any] | None:
        """What can be said at once; None when the question has to be asked again."""
        now_s = time.time()
        if self.failure is not None:
            why, since_s, tried_s = self.failure
            return Unknown(why, since_s, last=self.known) if now_s - tried_s <= min(max_age_s, FAILED_S) else None
        if self.known is not None and now_s - self.known.at_s <= max_age_s:
            return self.known
        return None

    def run(self, ask: Callable[[], Any]) -> None:
        since_s = self.failure[1] if self.failure else time.time()
        try:
            self.known = Known(ask(), time.time())
            self.failure = None
        except ReadFailed as failed:
            self.failure = (str(failed), since_s, time.time())
        except Exception:
            logger.exception("a read for the panel failed")
            self.failure = ("It could not be read; the panel's log says why.", since_s, time.time())
        finally:
            self.done.set()


class Reads:
    """The answers to the latest `keep` questions. Any thread may ask; a question is asked once at a time."""

    def __init__(self, keep: int = 64) -> None:
        self._keep = keep
        self._reads: OrderedDict[Hashable, _Read] = OrderedDict()
        self._lock = threading.Lock()

    def get(
        self, question: Hashable, ask: Callable[[], T], *, max_age_s: float = 5.0, patience_s: float = 0.8
    ) -> Answer[T]:
        """The answer, at most `max_age_s` old if `ask` gives one within `patience_s`; else the last one known.

        `ask` runs on a thread of its own and goes on when patience is over; it must not call Streamlit. A failure
        counts as an answer for `max_age_s`, 10 s at most, so that a dead store is not asked again and again.
        """
        read = self._read(question)
        with self._lock:
            if found := read.answer(max_age_s):
                return cast("Answer[T]", found)
            if read.done.is_set():
                read.done.clear()
                read.began_s = time.time()
                threading.Thread(target=read.run, args=(ask,), name="hybrid-read", daemon=True).start()
        if read.done.wait(patience_s) and (found := read.answer(max(max_age_s, 1.0))):
            return cast("Answer[T]", found)
        known = read.known
        if known is not None and read.failure is None and time.time() - known.at_s <= max_age_s + LATE_S:
            return cast("Known[T]", known)
        return Unknown("The answer is still awaited.", read.began_s, pending=True, last=known)

    def last(self, question: Hashable) -> Known[Any] | None:
        """What was answered last; nobody is asked."""
        with self._lock:
            read = self._reads.get(question)
        return None if read is None else read.known

    def _read(self, question: Hashable) -> _Read:
        with self._lock:
            read = self._reads.setdefault(question, _Read())
            self._reads.move_to_end(question)
            while len(self._reads) > self._keep:
                self._reads.popitem(last=False)
            return read

    def retry(self) -> None:
        """What failed is asked again at the next look, instead of being believed: a store is back."""
        with self._lock:
            for read in self._reads.values():
                if read.failure is not None:
                    why, since_s, _tried_s = read.failure
                    read.failure = why, since_s, 0.0

    def forget(self, *kinds: str) -> None:
        """Drop the answers to questions that are tuples beginning with one of `kinds`: something was changed."""
        with self._lock:
            for question in [asked for asked in self._reads if isinstance(asked, tuple) and asked[0] in kinds]:
                del self._reads[question]
