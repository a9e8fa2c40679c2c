"""An application at work during a drill: writes, reads back at once, and remembers what was acknowledged."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Any

import redis

__all__ = ["Call", "Traffic"]

KEYS = 10
PAUSE_S = 0.005


@dataclass(frozen=True, slots=True)
class Call:
    """One write and read: when it ended (monotonic), how long the slower of the two took, what went wrong."""

    at_s: float
    took_s: float
    error: str | None


class Traffic:
    """Writes and reads `prefix`0 to 9 on a thread of its own, from `start` to `stop`."""

    def __init__(self, client: Any, keys: list[str]) -> None:
        self._client = client
        self._keys = keys
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="hybrid-drill-traffic", daemon=True)
        self.calls: list[Call] = []
        self.acknowledged: dict[str, str] = {}

    def start(self) -> Traffic:
        self._thread.start()
        return self

    def stop(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=30.0)

    def since(self, at_s: float) -> list[Call]:
        """The calls that ended after `at_s`."""
        return [call for call in self.calls.copy() if call.at_s > at_s]

    def _run(self) -> None:
        number = 0
        while not self._stop.is_set():
            number += 1
            self.calls.append(self._call(self._keys[number % len(self._keys)], str(number)))
            self._stop.wait(PAUSE_S)

    def _call(self, key: str, value: str) -> Call:
        started = time.monotonic()
        written = started
        error = None
        try:
            self._client.set(key, value)
            written = time.monotonic()
            self.acknowledged[key] = value
            found = self._client.get(key)
            if found != value:
                error = f"GET returned {found!r} after SET {value!r} was acknowledged"
        except (redis.RedisError, OSError) as failure:
            error = f"{type(failure).__name__}: {failure}"
        ended = time.monotonic()
        return Call(ended, max(written - started, ended - written), error)
