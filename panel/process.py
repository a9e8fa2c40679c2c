"""What exists once per panel process: the agent, jobs, demo traffic, access. Survives reloads and cleared caches.

Streamlit drops imported modules when a watched file changes, and any client may clear `st.cache_resource`; either
would leave a second agent beside the running one. So the one instance hangs in `sys.modules`, which both leave alone.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import types
from collections import deque
from pathlib import Path
from typing import cast

from hybrid.agent import Agent
from hybrid.errors import HybridError
from hybrid.ops.control import Control
from hybrid.ops.demo_process import DemoProcess
from panel.access import Access
from panel.jobs import Jobs
from panel.reads import Reads

__all__ = ["PanelProcess", "process"]

logger = logging.getLogger("hybrid.panel")

HOLDER = "_hybrid_panel_process"
FOLDER_VARIABLE = "HYBRID_FOLDER"


class PanelProcess:
    """The parts that outlive every page. `problem` is the sentence to show when the agent could not start."""

    def __init__(self) -> None:
        self.agent: Agent | None = None
        self.problem: str | None = None
        self.access: Access | None = None
        self.jobs = Jobs()
        self.reads = Reads()
        self.demo = DemoProcess()
        self.introduced = False
        self.lines: dict[str, deque[str]] = {}  # of the console, by person
        self._lock = threading.Lock()

    def start(self) -> None:
        """Open and start the agent, unless it runs. A wrong setting becomes `problem`, never an exception."""
        with self._lock:
            if self.agent is not None:
                return
            try:
                agent = started_agent(Path(os.environ.get(FOLDER_VARIABLE, ".hybrid")))
            except (HybridError, OSError) as error:
                logger.error("the agent did not start: %s", error)
                self.problem = str(error)
                return
            self.agent, self.problem = agent, None

    def restart(self) -> None:
        """Close the agent and start one anew, with the settings as they are written now."""
        self.demo.stop()
        with self._lock:
            agent, self.agent = self.agent, None
        if agent is not None:
            agent.close()
        self.start()

    @property
    def control(self) -> Control | None:
        """What steers all processes on the agent's stores; None while no agent runs."""
        return None if self.agent is None else Control(self.agent.client)

    def close(self) -> None:
        """Stop everything that was started, the demo first: it talks to the agent's stores."""
        self.demo.stop()
        self.jobs.close()
        with self._lock:
            agent, self.agent = self.agent, None
        if agent is not None:
            agent.close()


def started_agent(folder: Path) -> Agent:
    name = os.environ.get("HYBRID_NAME", "").strip() or "panel"
    agent = Agent.open(folder=folder, standing=True, name=name)
    try:
        agent.start()
    except BaseException:
        agent.close()
        raise
    return agent


def process() -> PanelProcess:
    """The one instance of this process."""
    holder = sys.modules.setdefault(HOLDER, types.ModuleType(HOLDER))
    return cast(PanelProcess, holder.__dict__.setdefault("instance", None) or _create(holder))


def _create(holder: types.ModuleType) -> PanelProcess:
    lock = holder.__dict__.setdefault("lock", threading.Lock())
    with lock:
        if holder.__dict__["instance"] is None:
            holder.__dict__["instance"] = PanelProcess()
        return cast(PanelProcess, holder.__dict__["instance"])
