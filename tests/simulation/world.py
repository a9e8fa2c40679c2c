"""Two stores, the processes that use them, what can happen to either, and a record of all of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final
from unittest.mock import patch

from hybrid import HybridRedis
from hybrid.core.authority import FIRST, Authority, Holder
from hybrid.events import Event
from hybrid.stores.wire import SocketWire
from hybrid.types import Store, StoreState

from .keyspace import Value
from .network import Link, Network
from .scheduler import Host, Scheduler, Task
from .server import MARK, Server, Session
from .threads import Files, in_place

__all__ = ["Process", "World", "opened"]

RESERVED: Final = b"hybrid:"
LIVELY_S: Final = 0.05
"""How long writers write more when something happens."""

PORTS: Final = {Store.LOCAL: 1, Store.CLOUD: 2}


class Process(Host):
    """An application process with one client."""

    def __init__(self, name: str, skew_s: float, client: HybridRedis) -> None:
        super().__init__(name, skew_s)
        self.client = client
        self.stopping = False
        self.writers = 0
        self.working_since_s = dict.fromkeys(Store, 0.0)
        self.troubles = dict.fromkeys(Store, 0)


class World:
    """`say` adds to the record; with `verbose` also every command that a server runs and every log line."""

    def __init__(self, scheduler: Scheduler, files: Files, *, verbose: bool) -> None:
        self.scheduler = scheduler
        self.record: list[str] = []
        self.verbose = verbose
        self.network = Network(scheduler, files)
        self.stores: dict[Store, Server] = {}
        self.processes: list[Process] = []
        self.round_trip_s = {Store.LOCAL: 0.0005, Store.CLOUD: 0.03}
        self.lost_data_s: float | None = None
        self.seen: list[str] = []
        self._lively_until_s = 0.0
        self._resting: dict[Task, None] = {}
        for store in Store:
            self._add_store(store)

    def say(self, who: str, what: str) -> None:
        self.record.append(f"{self.scheduler.now_s:10.6f}  {who:<10} {what}")

    def _add_store(self, store: Store) -> None:
        server = self.stores[store] = Server(str(store), self.scheduler)
        self.network.servers[f"{store}:{PORTS[store]}"] = server
        if self.verbose:
            server.heard = partial(self._heard, store)

    def _heard(self, store: Store, session: Session, args: list[bytes], reply: Any) -> None:
        text = b" ".join(args[:7]).replace(b"\r\n", b"|").decode(errors="replace")
        answer = str(reply) if len(str(reply)) < 200 else str(reply)[:200] + "..."
        who = next((p.name for p in self.processes if session.number in self._sessions_of(p, store)), "?")
        self.say(str(store), f"{who}#{session.number}: {text[:200]} -> {answer}")

    def _sessions_of(self, process: Process, store: Store) -> set[int]:
        link = self.link(process, store)
        return {socket._session.number for socket in link.sockets.values() if socket._session is not None}

    # -- processes

    def start(self, name: str, skew_s: float, **settings: Any) -> Process:
        """A process whose client is made at once, and starts with its first command."""
        urls = [f"redis://{store}:{PORTS[store]}" for store in Store]
        client = HybridRedis.from_urls(*urls, hooks=[partial(self._event, name)], protocol=2, **settings)
        process = Process(name, skew_s, client)
        self.processes.append(process)
        for store, server in self.stores.items():
            self.network.links[process, server] = Link(self.scheduler, self.round_trip_s[store])
        return process

    def _event(self, name: str, event: Event) -> None:
        self.say(name, f"* {event.message}")
        self.stir()

    def link(self, process: Process, store: Store) -> Link:
        return self.network.links[process, self.stores[store]]

    @property
    def living(self) -> list[Process]:
        return [process for process in self.processes if not process.dead]

    def kill_process(self, process: Process) -> None:
        self.scheduler.kill(process)
        self.network.abandon(process)

    # -- when much is written

    def stir(self) -> None:
        """Something happens, or is about to: have the writers write, for mistakes show where they and it meet."""
        self._lively_until_s = self.scheduler.now_s + LIVELY_S
        for task in self._resting:
            self.scheduler.wake(task)

    def rest(self, lively: Callable[[], float], quiet: Callable[[], float]) -> None:
        """Let as much time pass as is drawn, the one while something happens and the other while nothing does."""
        task, scheduler = self.scheduler.current, self.scheduler
        assert task is not None, "called by tasks"
        if scheduler.now_s >= self._lively_until_s:
            self._resting[task] = None
            is_stirred = scheduler.block(quiet())
            del self._resting[task]
            if not is_stirred:
                return
        scheduler.sleep(lively())

    # -- what a judge knows, and no process

    def has(self, store: Store, key: bytes, holds: Callable[[Value], bool]) -> bool:
        value = self.stores[store].data.values.get(key)
        return value is not None and holds(value)

    def on_both(self, key: bytes, holds: Callable[[Value | None], bool]) -> bool:
        return all(holds(server.data.values.get(key)) for server in self.stores.values())

    def local_leads(self) -> bool:
        """Whether the latest authority record names the local store, and stands there, too."""
        found = {store: server.data.values.get(b"hybrid:authority") for store, server in self.stores.items()}
        records = {store: Authority.parse(value.body) for store, value in found.items() if value is not None}
        latest = max((record.epoch for record in records.values() if record), default=FIRST.epoch)
        own = records.get(Store.LOCAL) or FIRST
        return own.admits(Store.LOCAL) and own.epoch == latest

    def user_values(self, store: Store) -> dict[bytes, Value]:
        data = self.stores[store].data
        # The clocks differ, and so does the moment of expiry.
        data.now_ms = max(server.clock_ms() for server in self.stores.values())
        data.expire()
        return {key: value for key, value in data.values.items() if not key.startswith(RESERVED)}

    def unequal(self) -> list[str]:
        """Keys that differ, each with both values."""
        local, cloud = (self.user_values(store) for store in Store)
        return [
            f"{key.decode()}: local {_shown(local.get(key))}, cloud {_shown(cloud.get(key))}"
            for key in sorted(local.keys() | cloud.keys())
            if not _same(local.get(key), cloud.get(key))
        ]

    def is_quiet(self) -> bool:
        """Whether everything has come to rest: nothing waits, and every process knows both stores to be up."""
        boards = [process.client._board for process in self.living if process.client._engine.started]
        return (
            all(process.writers == 0 for process in self.living)
            and all(board.state(store) is StoreState.UP for board in boards for store in Store)
            and all(board.authority.holder is Holder.LOCAL for board in boards)
            and not self._backlog(Store.LOCAL)
            # One that was emptied a moment ago has none: that is still on its way to those who will refill it.
            and (not boards or all(MARK in server.data.values for server in self.stores.values()))
        )

    def _backlog(self, store: Store) -> int:
        log = self.stores[store].data.values.get(b"hybrid:log")
        return len(log.body.entries) if log else 0


def _same(a: Value | None, b: Value | None) -> bool:
    if a is None or b is None:
        return a is b
    close = a.expires_at_ms == b.expires_at_ms or (
        None not in (a.expires_at_ms, b.expires_at_ms) and abs(a.expires_at_ms - b.expires_at_ms) <= 1000  # type: ignore[operator]
    )
    return a.kind == b.kind and a.body == b.body and close


def _shown(value: Value | None) -> str:
    return "absent" if value is None else f"{value.kind} {value.body!r:.300} expires {value.expires_at_ms}"


class _LogLines(logging.Handler):
    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def emit(self, record: logging.LogRecord) -> None:
        task = self._world.scheduler.current
        is_told = self._world.verbose or record.levelno >= logging.WARNING
        if not (is_told or record.exc_info):
            return
        text = logging.Formatter().format(record)
        if record.exc_info:
            self._world.seen.append(text)
        if is_told:
            self._world.say(task.host.name if task else "-", f"log: {text}")


@contextmanager
def opened(seed: object, *, preempt: float, verbose: bool) -> Iterator[World]:
    """A world that lasts as long as the block; nothing of it is left behind."""
    scheduler = Scheduler(seed, preempt=preempt)
    logger = logging.getLogger("hybrid")
    level, propagate = logger.level, logger.propagate
    with in_place(scheduler) as files:
        world = World(scheduler, files, verbose=verbose)
        handler = _LogLines(world)
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG)  # always: a record that is made looks at the clock
        logger.propagate = False

        def connect(wire: Any) -> Any:
            return world.network.connect(f"{wire.host}:{wire.port}", wire.socket_connect_timeout, wire.socket_timeout)

        try:
            with patch.object(SocketWire, "_connect", connect):
                yield world
        finally:
            logger.removeHandler(handler)
            scheduler.end()
            for process in world.processes:
                process.client._abandon.detach()  # an engine that waits to be abandoned keeps its hooks: this world
            logger.setLevel(level)
            logger.propagate = propagate
