"""kill -9 of the agent and of either store while alerts flow: one alert, one recovery, none lost."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from receivers import HttpReceiver, SmtpReceiver
from rig import Rig
from servers import client, wait_until

from hybrid import Store
from hybrid.core.alert_desk import Desk
from hybrid.observe.alert_send import REPEATED
from hybrid.ops.alerts import AlertControl
from hybrid.stores.control import environment

WORKER = Path(__file__).with_name("alert_agent.py")
WAIT_S = 40.0


class AgentProcess:
    """An agent that tells both receivers."""

    def __init__(self, rig: Rig, receivers: str, log: Path) -> None:
        stores = {"REDIS_URL": rig.local_url, "UPSTASH_REDIS_URL": rig.cloud_url}
        patience = {"REDIS_LOCAL_TIMEOUT": "2", "REDIS_CLOUD_TIMEOUT": "2"}
        env = {**environment(), **stores, **patience, "HYBRID_ALERT_URLS": receivers}
        self.log = log
        self._process = subprocess.Popen([sys.executable, str(WORKER)], env=env, stderr=log.open("w"))

    @property
    def pid(self) -> int:
        return self._process.pid

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


@pytest.fixture
def receivers() -> Iterator[tuple[HttpReceiver, SmtpReceiver]]:
    http, smtp = HttpReceiver(), SmtpReceiver()
    yield http, smtp
    http.close()
    smtp.close()


@pytest.fixture
def start_agent(
    rig: Rig, receivers: tuple[HttpReceiver, SmtpReceiver], tmp_path: Path
) -> Iterator[Callable[[], AgentProcess]]:
    started: list[AgentProcess] = []
    urls = " ".join(receiver.url for receiver in receivers)

    def start() -> AgentProcess:
        started.append(AgentProcess(rig, urls, tmp_path / f"agent-{len(started)}.log"))
        return started[-1]

    yield start
    for agent in started:
        agent.kill()
        print(agent.log.name, agent.log.read_text()[-4000:], sep="\n")


def desk_of(url: str) -> Desk:
    with client(url) as connection:
        return Desk.parse(connection.hget("hybrid:alerts", "desk"))


def once(messages: list[tuple[str, str]]) -> list[str]:
    known: list[tuple[str, str]] = []
    for title, body in messages:
        message = (title.removeprefix("Hybrid Redis "), body.replace(REPEATED, "").strip())
        if message not in known or REPEATED not in body:
            known.append(message)
    return [title for title, _ in known]


def active_pid(url: str) -> int:
    """The process of the active agent, 0 without one."""
    with client(url) as connection:
        holder = connection.get("hybrid:agent")
    return int(holder.split(b":")[-2]) if holder else 0


@pytest.mark.parametrize("store", list(Store))
def test_kill_9_of_the_agent_and_of_a_store(
    rig: Rig,
    receivers: tuple[HttpReceiver, SmtpReceiver],
    start_agent: Callable[[], AgentProcess],
    store: Store,
) -> None:
    http, smtp = receivers
    steering = rig.client(local_timeout_s=2.0, cloud_timeout_s=2.0)
    steering.set("key", "value")
    with AlertControl(steering) as control:
        control.change_rule("ana", "store_down", raise_after_s=0.2, clear_after_s=0.2)
    first, second = start_agent(), start_agent()
    wait_until(lambda: active_pid(rig.local.url), "an agent is active", WAIT_S)
    server = rig.local if store is Store.LOCAL else rig.cloud
    survivor = rig.cloud if store is Store.LOCAL else rig.local

    http.broken = True
    server.kill()
    wait_until(lambda: http.refused and smtp.got, "one receiver has the alert, the other refused it", WAIT_S)
    wait_until(lambda: active_pid(survivor.url), "an agent is active there", WAIT_S)
    # Killed before it has written this down, the next one would send again and say so: rather twice than never.
    wait_until(lambda: any(each.is_sent for each in desk_of(survivor.url).messages), "the mail is written down", WAIT_S)
    victim = active_pid(survivor.url)
    for agent in (first, second):
        if agent.pid == victim:
            agent.kill()
    http.broken = False
    wait_until(lambda: http.got, "the agent that takes over delivers what was not", WAIT_S)
    wait_until(lambda: all(each.is_over(0) for each in desk_of(survivor.url).messages), "it is written down", WAIT_S)

    for agent in (first, second):
        agent.kill()
    server.start()
    start_agent()
    wait_until(lambda: len(http.got) == len(smtp.got) == 2, "the recovery", WAIT_S)
    told = [f"[CRITICAL] Store down: {store}", f"[RECOVERED] Store down: {store}"]
    assert (http.titles(), smtp.subjects()) == (told, told)

    def settled() -> bool:
        desks = [desk_of(each.url) for each in (rig.local, rig.cloud)]
        return desks[0] == desks[1] and not desks[0].active and all(each.is_over(0) for each in desks[0].messages)

    wait_until(settled, "both stores know that it is over", WAIT_S)
    assert (http.titles(), smtp.subjects()) == (told, told)


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(3))
def test_kills_at_any_moment(
    rig: Rig, receivers: tuple[HttpReceiver, SmtpReceiver], start_agent: Callable[[], AgentProcess], seed: int
) -> None:
    """Every outage is told and so is its end, in order; only what says that it may be a repetition is told twice."""
    dice = random.Random(seed)
    steering = rig.client(local_timeout_s=2.0, cloud_timeout_s=2.0)
    steering.set("key", "value")
    with AlertControl(steering) as control:
        control.change_rule("ana", "store_down", raise_after_s=0.2, clear_after_s=0.2)
        control.change_rule("ana", "no_store", enabled=False)
    agents = [start_agent(), start_agent()]
    http, smtp = receivers
    expected: list[str] = []

    def kill_one_soon() -> None:
        time.sleep(dice.uniform(0, 3))
        victim = dice.randrange(2)
        agents[victim].kill()
        agents[victim] = start_agent()

    def told() -> list[list[str]]:
        """The titles at each receiver; one that repeats another one, and says so, does not count."""
        posts = [(each["title"], each["message"]) for each in http.got]
        mails = [
            (str(each["Subject"]), each.get_payload(decode=True).decode().replace("\r\n", "\n")) for each in smtp.got
        ]
        return [once(posts), once(mails)]

    for _ in range(5):
        store = dice.choice(list(Store))
        server = rig.local if store is Store.LOCAL else rig.cloud
        for word, act in (("CRITICAL", server.kill), ("RECOVERED", server.start)):
            act()
            expected.append(f"[{word}] Store down: {store}")
            kill_one_soon()
            wait_until(lambda: all(each == expected for each in told()), f"{expected[-1]} after {len(expected)}", 60)
    print(f"told again in doubt: {len(http.got) + len(smtp.got) - 2 * len(expected)}")
