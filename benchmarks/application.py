"""One application process under mixed load: `python -m benchmarks.application LOCAL_URL CLOUD_URL SEED`.

It says `ready`, works until it is told to stop, tells every call it made as JSON, and closes when its input ends.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from random import Random
from typing import Any, Final

import redis

from hybrid import HybridRedis, OutcomeUnknown

__all__ = ["THREADS"]

THREADS: Final = 4
THINK_S: Final = 0.005
"""Between two calls of a thread: an application does something else, too."""

KEYS: Final = 50
SCRIPT: Final = "redis.call('INCR', KEYS[1]) return redis.call('RPUSH', KEYS[2], ARGV[1])"
Call = Callable[[HybridRedis, int, int], Any]

IDEMPOTENT: Final[dict[str, Call]] = {
    "SET": lambda client, key, value: client.set(f"string:{key}", value),
    "SET EX": lambda client, key, value: client.set(f"session:{key}", value, ex=600),
    "HSET": lambda client, key, value: client.hset(f"hash:{key}", "field", str(value)),
    "SADD": lambda client, key, value: client.sadd(f"set:{key}", value % 100),
    "ZADD": lambda client, key, value: client.zadd(f"zset:{key}", {"member": value}),
    "MULTI": lambda client, key, value: client.pipeline().set(f"a:{key}", value).set(f"b:{key}", value).execute(),
}
COUNTING: Final[dict[str, Call]] = {
    "INCR": lambda client, key, value: client.incr(f"counter:{key}"),
    "RPUSH": lambda client, key, value: client.rpush(f"list:{key}", value),
    "EVAL": lambda client, key, value: client.eval(SCRIPT, 2, f"counter:{key}", f"list:{key}", value),
}


class Load:
    """What one thread does: reads and writes in turn, a third of the writes not idempotent."""

    def __init__(self, client: HybridRedis, seed: str) -> None:
        self._client = client
        self._random = Random(seed)
        self.calls: list[tuple[float, float, str, str]] = []
        """Of each call: when it began (monotonic clock), how long it took, the command, and the error, if any."""

    def run(self, stopped: threading.Event) -> None:
        while not stopped.wait(THINK_S):
            draw, key = self._random, self._random.randrange(KEYS)
            self._time("GET", lambda: self._client.get(f"string:{key}"))  # noqa: B023
            kind = COUNTING if draw.random() < 1 / 3 else IDEMPOTENT
            name = draw.choice(list(kind))
            self._time(name, lambda: kind[name](self._client, key, draw.randrange(10**6)))  # noqa: B023

    def _time(self, name: str, call: Callable[[], Any]) -> None:
        began_s, error = time.monotonic(), ""
        try:
            call()
        except (redis.RedisError, OutcomeUnknown) as failure:
            error = type(failure).__name__
        self.calls.append((began_s, time.monotonic() - began_s, name, error))


def main() -> None:
    local, cloud, seed = sys.argv[1:]
    stopped = threading.Event()
    with HybridRedis.from_urls(local, cloud) as client:
        client.ping()
        loads = [Load(client, f"{seed} {number}") for number in range(THREADS)]
        threads = [threading.Thread(target=load.run, args=(stopped,)) for load in loads]
        for thread in threads:
            thread.start()
        print("ready", flush=True)
        sys.stdin.readline()
        stopped.set()
        for thread in threads:
            thread.join()
        print(json.dumps([call for load in loads for call in load.calls]), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
