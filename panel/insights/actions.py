"""What the page Insights starts: scans and listening, in the background, by operators only, with hard limits."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import Any

from redis.exceptions import ResponseError

from hybrid.ops.insights import connected, disconnect, empty_slow_log
from hybrid.ops.keyspace import Keyspace, ScanLimits, scan_keyspace
from hybrid.ops.listen import HotKeys, ListenLimits, Message, MonitorLine, monitor, subscribe
from hybrid.types import Store
from panel.actions import Outcome, record, require_operator
from panel.format import count, duration, sentence
from panel.i18n import _, ngettext
from panel.insights.queries import LINES_KEPT, MONITOR_JOB, SCAN_JOBS, SUBSCRIBE_JOB, Heard, estimate
from panel.jobs import Job, JobFailed, Progress
from panel.process import process
from panel.said import said
from panel.search import queries as search
from panel.work import FAILURES, NO_CLIENT, client

__all__ = ["ask_again", "cut_off", "forget_slow_calls", "post", "start_monitor", "start_scan", "start_subscription"]

logger = logging.getLogger("hybrid.panel")

SCAN_TIMEOUT_S = 10.0


def ask_again() -> Outcome:
    """Ask the servers anew, the cloud store too: somebody pressed the button, so it may cost its few commands."""
    process().reads.forget("server")
    search.forget()
    return Outcome(True, "")


def start_scan(store: Store, limits: ScanLimits) -> Outcome:
    """Scan one store for big keys, namespaces and expiry."""
    cost = estimate(store, limits)
    per_command_usd = cost.usd / cost.commands if cost else None

    def work(job: Job, connection: Any) -> Keyspace:
        def tell(scanned: int, total: int, commands: int) -> None:
            told = Progress("scanning", scanned, total)
            if store is Store.CLOUD:
                spent = None if per_command_usd is None else commands * per_command_usd
                told = Progress("scanning", scanned, total, cloud_commands=commands, cost_usd=spent)
            job.say(told)

        found = scan_keyspace(connection, store, limits, job.cancel, tell)
        job.summary = (
            f"{count(found.scanned)} keys scanned, {count(found.measured)} measured, {count(found.commands)} commands"
        )
        return found

    return _started(SCAN_JOBS[store], f"Scan of the {store} store", store, work)


def start_monitor(limits: ListenLimits, with_own: bool) -> Outcome:
    """Follow what the local server runs. The cloud store is never monitored."""

    def work(job: Job, connection: Any) -> Heard:
        hot, heard = HotKeys(), _Hearing(job, limits)

        def take(line: MonitorLine) -> None:
            hot.add(line)
            heard.take(line)

        _, ending = monitor(connection, limits, job.cancel, take, lambda: heard.tell(hot), with_own=with_own)
        return heard.result(ending, hot)

    return _started(
        MONITOR_JOB,
        f"MONITOR of the local store, for {duration(limits.seconds)}",
        Store.LOCAL,
        work,
    )


def start_subscription(store: Store, pattern: str, limits: ListenLimits) -> Outcome:
    """Follow the channels of one store that match a pattern."""

    def work(job: Job, connection: Any) -> Heard:
        heard = _Hearing(job, limits)
        _, ending = subscribe(connection, pattern, limits, job.cancel, heard.take, heard.tell)
        return heard.result(ending)

    return _started(SUBSCRIBE_JOB, f"Channels {pattern} of the {store} store", store, work)


def post(channel: str, text: str) -> Outcome:
    """Post a message where applications listen: on the store that takes the writes."""
    author, found = require_operator(), client()
    if found is None:
        return Outcome(False, _(NO_CLIENT))
    if not channel.strip():
        return Outcome(False, _("Name a channel first."))
    try:
        heard = found.publish(channel.strip(), text)
    except FAILURES as error:
        return Outcome(False, sentence(error))
    record(author, f"message posted to {channel.strip()}")
    return Outcome(True, ngettext("{n} subscriber heard it.", "{n} subscribers heard it.", heard).format(n=heard))


def cut_off(store: Store, client_id: int, address: str) -> Outcome:
    """Close one client's connection to a server."""
    was_there: list[bool] = []
    done = _told(
        store, lambda connection: was_there.append(disconnect(connection, client_id)),
        f"client {address} of the {store} store disconnected",
    )  # fmt: skip
    if done is not None:
        return done
    if not was_there[0]:
        return Outcome(True, _("{client} had gone already.").format(client=address))
    return Outcome(True, _("{client} is disconnected.").format(client=address))


def forget_slow_calls(store: Store) -> Outcome:
    """Have a server begin its slow log anew."""
    done = _told(store, empty_slow_log, f"slow log of the {store} store emptied")
    return done or Outcome(True, _("The slow log is empty now."))


def _told(store: Store, tell: Callable[[Any], object], deed: str) -> Outcome | None:
    """Tell one server something at once; what to say when that failed."""
    author, found = require_operator(), client()
    if found is None:
        return Outcome(False, _(NO_CLIENT))
    try:
        with connected(found, store) as connection:
            tell(connection)
    except FAILURES as error:
        return Outcome(False, said(sentence(error)))
    record(author, deed)
    process().reads.forget("server")
    return None


class _Hearing:
    """The latest lines of a job that listens, noted for the page by `tell`."""

    def __init__(self, job: Job, limits: ListenLimits) -> None:
        self._job = job
        self._limits = limits
        self._lines: deque[MonitorLine | Message] = deque(maxlen=LINES_KEPT)
        self._count = 0

    def take(self, line: MonitorLine | Message) -> None:
        self._lines.append(line)
        self._count += 1

    def tell(self, hot: HotKeys | None = None) -> None:
        self._job.note("heard", Heard(tuple(self._lines), self._count, hot.top(20) if hot else ()))
        self._job.say(Progress("listening", self._count, self._limits.lines, "lines", eta_s=self._left_s()))

    def _left_s(self) -> float:
        return max(0.0, self._limits.seconds - self._job.elapsed_s)

    def result(self, ending: str, hot: HotKeys | None = None) -> Heard:
        self._job.summary = f"{count(self._count)} lines, ended by {ending}"
        return Heard(tuple(self._lines), self._count, hot.top() if hot else (), ending)


def _started(kind: str, title: str, store: Store, work: Callable[[Job, Any], Any]) -> Outcome:
    author, agent = require_operator(), process().agent
    if agent is None:
        return Outcome(False, _(NO_CLIENT))

    def run(job: Job) -> Any:
        try:
            with connected(agent.client, store, SCAN_TIMEOUT_S) as connection:
                return work(job, connection)
        except ResponseError as error:
            raise JobFailed(f"The {store} store refuses it: {error}") from None
        except FAILURES as error:
            raise JobFailed(sentence(error)) from None

    process().jobs.start(kind, run, title=title, author=author)
    logger.info("%s started: %s", author, title)
    return Outcome(True, "")
