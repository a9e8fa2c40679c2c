"""One thread per client for what is not urgent: the live configuration, the register of processes, the reunion."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Final

import redis

from hybrid.core.outcomes import NotSent, ReplyLost
from hybrid.core.registry import BEAT_S
from hybrid.replication.reunion import Reunion

if TYPE_CHECKING:
    from hybrid.replication.engine import Engine

__all__ = ["Steward"]

logger = logging.getLogger("hybrid")

HASTE_S: Final = 0.1
"""Between two looks at the local store while others are waited for."""

RETRY_S: Final = 1.0


class Steward(threading.Thread):
    """Sleeps until something is due, or `wake`."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(name="hybrid-steward", daemon=True)
        self._engine = engine
        self._reunion = Reunion(engine)
        self._woken = threading.Event()

    def wake(self) -> None:
        self._woken.set()

    def run(self) -> None:
        board = self._engine.board
        while not board.closing:
            self._woken.wait(self._pause_s())
            self._woken.clear()
            if board.closing:
                break
            try:
                self._turn()
            except (NotSent, ReplyLost, redis.RedisError) as error:
                logger.debug("the steward tries again: %s", error)
                self._woken.wait(RETRY_S)
            except Exception:
                logger.exception("the steward failed and goes on")
                self._woken.wait(RETRY_S)
        self._engine.registry.close()

    def _pause_s(self) -> float:
        if self._reunion.waits:
            return HASTE_S
        # What it looks at besides (the states of the stores, who ships) does not wake it.
        return min(self._engine.live.copies.due_in_s(), self._engine.registry.due_in_s, BEAT_S)

    def _turn(self) -> None:
        engine = self._engine
        if engine.live.copies.due_in_s() <= HASTE_S:
            engine.live.copies.tend()
        if self._reunion.waits or engine.registry.due_in_s == 0.0:
            version = engine.board.version
            record = engine.registry.report()
            if engine.board.version == version:  # what was read before dual write was switched says nothing of it
                self._reunion.attend(record)
