"""What the processes do: unique tokens, counters, keys that expire or are deleted, and reads of one's own writes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from math import inf
from random import Random
from typing import Any, Final

from hybrid import OutcomeUnknown
from hybrid.types import Store, StoreState

from .keyspace import Value
from .mixed import mixed
from .server import MARK
from .world import Process, World

__all__ = ["Attempt", "History", "Writer"]

QUIET_S: Final = 0.6
"""Between two commands of a writer, on average, while nothing happens."""

TOLD_S: Final = 0.01
"""Until every process that is reached has heard of a new record."""


@dataclass(slots=True)
class Attempt:
    """One token. `outcome`: sent, acked, unknown or failed. `both`: both stores had it when it was acknowledged."""

    kind: str
    key: str
    token: str
    process: str
    outcome: str = "sent"
    both: bool = False
    ended_s: float = 0.0
    due: bool = False


@dataclass
class History:
    attempts: list[Attempt] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)
    early: list[tuple[Attempt, str]] = field(default_factory=list)
    excused: Counter[str] = field(default_factory=Counter)
    longest_s: float = 0.0
    commands: int = 0


class Writer:
    """One thread of a process."""

    def __init__(
        self,
        world: World,
        process: Process,
        number: int,
        seed: object,
        history: History,
        pace_s: float,
        *,
        mixes: bool = False,
    ):
        """`mixes`: it also does what is only to be the same on both stores, and rests now and then."""
        self.world, self.process, self.history = world, process, history
        self.name = f"{process.name}.{number}"
        self.random = Random(f"{seed} {self.name}")
        self.pace_s = pace_s
        self.count = 0
        self._mixes = mixes
        self.floor: dict[str, int] = {}
        self.seen: dict[str, int] = {}
        self.local_leads_from_s = inf

    def run(self) -> None:
        self.process.writers += 1
        self.process.client.start()
        while not self.process.stopping:
            self.turn()
            draw = self.random.expovariate
            self.world.rest(partial(draw, 1 / self.pace_s), partial(draw, 1 / QUIET_S))
        self.process.writers -= 1

    def turn(self) -> None:
        self.count += 1
        if self._mixes and self.random.random() < 0.4:
            self.attempt(f"mixed {self.count}", mixed(self.random, self.process.client, f"{self.name}-{self.count}"))
            return
        if self._mixes and self.random.random() < 0.05:
            self.world.scheduler.sleep(self.random.uniform(0, 1.5))
        kind = self.random.choices(
            ("list", "shared", "set", "hash", "counter", "string", "gone", "brief", "long", "both", "session", "peer"),
            (6, 4, 3, 3, 4, 4, 3, 1, 1, 3, 5, 3),
        )[0]
        if kind == "session":
            self.session()
        elif kind == "peer":
            self.read_again(self.random.choice([p.name for p in self.world.processes]) + ".0:seq")
        else:
            self.token(kind)

    def token(self, kind: str) -> None:
        client, token = self.process.client, f"{self.name}-{self.count}"
        key = f"{self.name}:{kind}"
        if kind == "shared":
            key = f"shared:{self.random.randrange(3)}"
        elif kind in ("string", "gone", "brief", "long"):
            key = f"{key}:{self.count}"
        raw, mark = key.encode(), token.encode()
        actions: dict[str, tuple[Callable[[], Any], Callable[[Value | None], bool]]] = {
            "list": (lambda: client.rpush(key, token), partial(_within, mark)),
            "shared": (lambda: client.rpush(key, token), partial(_within, mark)),
            "both": (
                lambda: client.pipeline().rpush(key, token).incr(f"{self.name}:transactions").execute(),
                partial(_within, mark),
            ),
            "set": (lambda: client.sadd(key, token), partial(_within, mark)),
            "hash": (lambda: client.hset(key, token, token), partial(_within, mark)),
            "counter": (lambda: client.incr(key), lambda _: True),
            "string": (lambda: client.set(key, token), partial(_within, mark)),
            "gone": (partial(self._set_and_delete, key, token), lambda value: value is None),
            "brief": (lambda: client.set(key, token, px=self.random.randrange(50, 2500)), lambda _: True),
            "long": (lambda: client.set(key, token, ex=1000), partial(_within, mark)),
        }
        action, holds = actions[kind]
        attempt = Attempt(kind, key, token, self.process.name)
        self.history.attempts.append(attempt)
        due_before, lives = self._confirms(), self._lives()
        attempt.outcome = self.attempt(f"{kind} {key} {token}", action)
        attempt.ended_s = self.world.scheduler.now_s
        # That a key is nowhere proves nothing: perhaps neither its value nor its deletion has arrived yet.
        attempt.both = self.world.on_both(raw, holds) and (kind != "gone" or due_before)
        judged = due_before and self._confirms() and self._lives() == lives and kind != "gone"
        if attempt.outcome == "acked" and judged and not attempt.both:
            text = f"{self.name} {kind} {key} {token} at {self.world.scheduler.now_s:.6f}"
            self.history.early.append((attempt, text))

    def _confirms(self) -> bool:
        board = self.process.client._board
        all_up = all(board.state(store) is StoreState.UP for store in Store)
        return str(board.settings.ack) == "both" and all_up and not self._is_one_empty()

    def _lives(self) -> list[int]:
        """How often each store was started: with older data it may lack what it had when that was confirmed."""
        return [server.boots for server in self.world.stores.values()]

    def _is_one_empty(self) -> bool:
        return not all(MARK in server.data.values for server in self.world.stores.values())

    def _set_and_delete(self, key: str, token: str) -> None:
        self.process.client.set(key, token)
        self.process.client.delete(key)

    def attempt(self, what: str, action: Callable[[], Any]) -> str:
        world, started_s = self.world, self.world.scheduler.now_s
        self.history.commands += 1
        self._look_who_leads()
        try:
            action()
            outcome = "acked"
        except OutcomeUnknown as error:
            outcome = "unknown"
            what = f"{what} ({error})"
        except Exception as error:
            outcome = "failed"
            self._failed(what, error, started_s)
            what = f"{what} ({type(error).__name__}: {error})"
        took_s = world.scheduler.now_s - started_s
        self.history.longest_s = max(self.history.longest_s, took_s if not any(self.process.troubles.values()) else 0)
        world.say(self.name, f"{outcome} {what} in {took_s * 1000:.1f} ms")
        return outcome

    def _look_who_leads(self) -> None:
        leads = self.world.local_leads()
        self.local_leads_from_s = min(self.local_leads_from_s, self.world.scheduler.now_s) if leads else inf

    def _failed(self, what: str, error: Exception, started_s: float) -> None:
        """A failure counts if some store was there for it all the time, and had everything."""
        process, grace_s = self.process, 3.0
        for store in Store:
            since_s = max(process.working_since_s[store], self.world.stores[store].marked_at_s)
            steady = not process.troubles[store] and since_s < started_s - grace_s
            entitled = store is Store.CLOUD or self.local_leads_from_s < started_s - TOLD_S
            if steady and entitled:
                text = f"{self.name} {what}: {type(error).__name__}: {error}"
                self.history.failed.append(f"{self.world.scheduler.now_s:.6f} {text} ({store} was there)")
                return
        self.history.excused["failed while no store could serve"] += 1

    def session(self) -> None:
        """Write a number, then read it back: never less, if both stores had it."""
        key = f"{self.name}:seq"
        number = self.count
        done = self.attempt(f"set {key} {number}", lambda: self.process.client.set(key, number))
        if done == "acked":
            self.seen[key] = number
            self._raise_floor(key, number)
        self.read_again(key)

    def read_again(self, key: str) -> None:
        values: list[int] = []
        floor = self.floor.get(key, 0)
        if self.attempt(f"get {key}", lambda: values.append(int(self.process.client.get(key) or 0))) != "acked":
            return
        [value] = values
        if value == 0 and self._is_one_empty():
            self.history.excused["found nothing in a store emptied by hand, of which RESP2 tells later"] += 1
            return
        if value < floor:
            self.history.stale.append(f"{self.world.scheduler.now_s:.6f} {self.name}: {key} {value} after {floor}")
        elif value < self.seen.get(key, 0):
            self.history.excused["read older than seen, from a store left alone"] += 1
        self.seen[key] = max(value, self.seen.get(key, 0))
        self._raise_floor(key, value)

    def _raise_floor(self, key: str, number: int) -> None:
        if self.world.on_both(key.encode(), lambda value: value is not None and int(value.body) >= number):
            self.floor[key] = max(number, self.floor.get(key, 0))


def _within(token: bytes, value: Value | None) -> bool:
    return value is not None and (value.body == token if value.kind == "string" else token in value.body)
