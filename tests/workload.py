"""A workload as the field tests databases: mixed commands of every type, and a record of every outcome.

A worker is a process with a client of its own (`python tests/workload.py`, a `Spec` as JSON on its standard input; see
`fleet`). It mixes commands of every type on shared keys with *tokens*: unique values on keys that nobody else writes.
The outcome of each token goes to a file at once, so that it outlives kill -9; `history` reads and judges it.
"""

from __future__ import annotations

import faulthandler
import json
import logging
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import redis
from mixed_commands import MIXED, Draw, run, run_together

from hybrid import HybridRedis, OutcomeUnknown

__all__ = ["Spec"]

HARMLESS = frozenset({"WRONGTYPE", "BUSYGROUP", "NOGROUP", "BUSYKEY", "DUMP"})
"""Codes of the answers that mixed commands may get from a server in good health, besides plain ERR."""


@dataclass(frozen=True, slots=True)
class Spec:
    """What one worker does. `commands=None`: until it is told to stop. `pause_s` follows each command. `preferred`: it
    ships rather than the others, as agents do."""

    name: str
    local: str
    cloud: str
    record: str
    seed: int = 1
    ack: str = "both"
    reads: str = "local"
    commands: int | None = None
    threads: int = 1
    pause_s: float = 0.0
    peers: Sequence[str] = ()
    local_timeout_s: float = 0.1
    cloud_timeout_s: float = 0.2
    preferred: bool = False


class Record:
    """Appends outcomes to a file, each in one write, so that kill -9 leaves whole lines."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def add(self, outcome: str, *details: Any) -> None:
        os.write(self._file, json.dumps([outcome, *details]).encode() + b"\n")


class Loop:
    """One thread of a worker."""

    def __init__(self, spec: Spec, client: HybridRedis, record: Record, thread: int, stopped: threading.Event) -> None:
        self.spec, self.client, self.record, self.stopped = spec, client, record, stopped
        self.random = Random(f"{spec.seed} {spec.name} {thread}")
        self.prefix = f"{spec.name}.{thread}"
        self.seen = dict.fromkeys([self.prefix, *(f"{peer}.0" for peer in spec.peers)], 0)
        self.names: list[str] = []
        self.done = 0
        self.longest: tuple[float, str] = (0.0, "")
        self.answers: Counter[str] = Counter()

    def run(self) -> None:
        limit = self.spec.commands
        while not self.stopped.is_set() and (limit is None or self.done < limit):
            self.turn()
            self.done += 1
            if self.spec.pause_s:
                self.stopped.wait(self.spec.pause_s)

    def turn(self) -> None:
        kind = self.random.random()
        draw = Draw(self.client, self.random, self.done)
        if kind < 0.25:
            self.add_token()
        elif kind < 0.35:
            self.check_session()
        elif kind < 0.42:
            self.attempt("together", lambda: run_together(draw))
        else:
            name = self.next_name()
            self.attempt(name, lambda: run(name, draw))

    def next_name(self) -> str:
        """Every command once, in a random order, then again."""
        if not self.names:
            self.names = self.random.sample(sorted(MIXED), len(MIXED))
        return self.names.pop()

    def attempt(self, name: str, action: Callable[[], Any]) -> str:
        """How `action` went: acked, unknown, contended, answered (by an error of the server's own) or failed."""
        started_s = time.perf_counter()
        try:
            action()
        except OutcomeUnknown as error:
            self.record.add("unclear", name, str(error))
            return "unknown"
        except redis.WatchError:
            return "contended"
        except redis.ResponseError as error:
            code = error_code(error)
            if code is None:
                self.record.add("failed", name, f"{type(error).__name__}: {error}")
                return "failed"
            self.answers[code] += 1
            return "answered"
        except Exception as error:
            self.record.add("failed", name, f"{time.time():.3f} {type(error).__name__}: {error}")
            return "failed"
        finally:
            self.longest = max(self.longest, (time.perf_counter() - started_s, name))
        return "acked"

    def add_token(self) -> None:
        client, prefix, token = self.client, self.prefix, f"{self.prefix}-{self.done}"
        kind = self.random.choice(("list", "set", "hash", "string", "expiring", "gone", "counter", "transaction"))
        key = f"{prefix}:{kind}:{self.done}" if kind in ("string", "expiring", "gone") else f"{prefix}:{kind}"

        def both() -> None:
            client.pipeline().rpush(key, token).incr(f"{prefix}:transactions").execute()

        def set_and_delete() -> None:
            client.set(key, token)
            client.delete(key)

        actions: dict[str, Callable[[], Any]] = {
            "list": lambda: client.rpush(key, token),
            "set": lambda: client.sadd(key, token),
            "hash": lambda: client.hset(key, token, "1"),
            "string": lambda: client.set(key, token),
            "expiring": lambda: client.set(key, token, ex=3600),
            "gone": set_and_delete,
            "counter": lambda: client.incr(key),
            "transaction": both,
        }
        outcome = self.attempt(kind, actions[kind])
        if outcome != "failed":  # that is recorded already, with its cause
            self.record.add(outcome, kind, key, token)

    def check_session(self) -> None:
        """Write, then read one's own value and a peer's: neither may be older than what was seen before."""
        mine = self.prefix
        if self.attempt("session", lambda: self.client.set(f"{mine}:seq", self.done)) == "acked":
            self.seen[mine] = self.done
        for prefix in (mine, self.random.choice(list(self.seen))):
            self.attempt("session", lambda prefix=prefix: self.read_again(prefix))  # type: ignore[misc]

    def read_again(self, prefix: str) -> None:
        value = int(self.client.get(f"{prefix}:seq") or 0)
        if value < self.seen[prefix]:
            kind = "stale" if prefix == self.prefix else "stale-peer"
            self.record.add(kind, prefix, f"{time.time():.3f}: {value} after {self.seen[prefix]}")
        self.seen[prefix] = max(value, self.seen[prefix])


def error_code(error: redis.ResponseError) -> str | None:
    """What a server answers to a command that does not fit the data; None for an answer that tells of trouble."""
    word = str(error).partition(" ")[0]
    if type(error) is not redis.ResponseError or (word.isupper() and word not in HARMLESS):
        return None
    return word if word in HARMLESS else "ERR"  # redis-py leaves that code out


def work() -> None:
    """The worker process: says `ready`, `done`; hears `go`, `stop`, `close`, or the end of its input."""
    faulthandler.register(signal.SIGUSR1)  # what its threads are at, for a test that waits in vain
    logging.basicConfig(
        level=logging.DEBUG if os.environ.get("HYBRID_TEST_DEBUG") else logging.INFO,
        format="%(asctime)s %(name)s %(message)s",
    )
    spec = Spec(**json.loads(sys.stdin.readline()))
    stopped, closing = threading.Event(), threading.Event()

    def listen() -> None:
        sys.stdin.readline()
        stopped.set()
        sys.stdin.readline()
        closing.set()

    with HybridRedis.from_urls(
        spec.local,
        spec.cloud,
        ack=spec.ack,
        read_preference=spec.reads,
        local_timeout_s=spec.local_timeout_s,
        cloud_timeout_s=spec.cloud_timeout_s,
    ) as client:
        if spec.preferred:
            client.prefer_shipping()
        client.start()
        print("ready", flush=True)
        sys.stdin.readline()
        listener = threading.Thread(target=listen)
        listener.start()
        record = Record(spec.record)
        loops = [Loop(spec, client, record, number, stopped) for number in range(spec.threads)]
        threads = [threading.Thread(target=loop.run) for loop in loops]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        answers = sum((loop.answers for loop in loops), Counter[str]())
        record.add("end", sum(loop.done for loop in loops), max(loop.longest for loop in loops), answers)
        print("done", flush=True)
        closing.wait()
        listener.join()


if __name__ == "__main__":
    work()
