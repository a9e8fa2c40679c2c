"""Where a drill is played: the stores in use behind links that fail, or two throwaway servers that fail for real."""

from __future__ import annotations

import logging
import shutil
import tempfile
import threading
from contextlib import ExitStack
from pathlib import Path

from hybrid.client import HybridRedis
from hybrid.ops.drills.library import Drill, Fault, Where
from hybrid.ops.drills.rig import Rig
from hybrid.settings import Settings
from hybrid.stores.processes import ServerProcess
from hybrid.types import Store

__all__ = ["Stage"]

logger = logging.getLogger("hybrid.drills")

OWN_ROUND_TRIP_S = {Store.LOCAL: 0.0, Store.CLOUD: 0.02}
"""Far enough that something is always under way to the cloud, near enough for a quick drill."""

SLOW_FACTOR = 2.0


class Stage:
    """One drill's stores, links and client. `close` removes every trace of it."""

    def __init__(self, settings: Settings, where: Where, cancel: threading.Event) -> None:
        self.where = where
        self._stack = ExitStack()
        self._servers: dict[Store, ServerProcess] = {}
        if where is Where.SERVERS:
            settings = self._with_servers(settings)
        self.rig = Rig(settings, cancel)
        self.timeouts_s = {Store.LOCAL: settings.local_timeout_s, Store.CLOUD: settings.cloud_timeout_s}

    def _with_servers(self, settings: Settings) -> Settings:
        """The settings on two new servers. Raises EmbeddedServerError when this machine has no server."""
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="hybrid-drill-")))
        try:
            for store in Store:
                server = ServerProcess(folder / store)
                self._stack.callback(server.kill)
                self._servers[store] = server.start()
        except BaseException:
            self._stack.close()
            raise
        urls = {f"{store}_url": server.url for store, server in self._servers.items()}
        return settings.with_changes(**urls, write_both=True)

    def open(self) -> HybridRedis:
        """Open the drill's client behind the links."""
        if self.where is Where.STORES:
            self.rig.enrol()
        client = self.rig.open_linked()
        for store in self._servers:
            self.rig.links[store].apply(round_trip_s=OWN_ROUND_TRIP_S[store])
        return client

    def inject(self, drill: Drill) -> None:
        """Begin a fault that lasts until `heal`."""
        for store in drill.stores:
            link = self.rig.links[store]
            if drill.fault is Fault.SLOW:
                link.apply(round_trip_s=SLOW_FACTOR * self.timeouts_s[store])
            elif store in self._servers:
                self._stop_for_real(self._servers[store], drill.fault)
            else:
                link.apply(hang=drill.fault is Fault.HUNG, refuse=drill.fault is Fault.REFUSING)

    def blink(self, drill: Drill) -> None:
        """A fault that is over at once."""
        for store in drill.stores:
            if drill.fault is Fault.CUT:
                self.rig.links[store].apply(cut=True)
            else:
                self.rig.links[store].apply(lose_reply=1)

    def has_blinked(self) -> bool:
        """Whether every reply that is to be lost was lost."""
        return not any(link.state.faults.lose_reply for link in self.rig.links.values())

    def heal(self, drill: Drill) -> None:
        """End the fault: the stores are back, a wiped one empty."""
        for store in drill.stores:
            self.rig.links[store].heal()
            if drill.fault is Fault.SLOW:
                self.rig.links[store].apply(round_trip_s=OWN_ROUND_TRIP_S[store] if self._servers else 0.0)
            if store in self._servers:
                self._servers[store].resume() if drill.fault is Fault.HUNG else self._servers[store].start()

    @staticmethod
    def _stop_for_real(server: ServerProcess, fault: Fault) -> None:
        if fault is Fault.HUNG:
            server.pause()
            return
        server.kill()
        if fault is Fault.WIPED:
            shutil.rmtree(server.folder)

    def cloud_commands(self) -> int | None:
        """What the drill's client has sent to the cloud store; None while there is no client."""
        client = self.rig.client
        if client is None:
            return None
        totals = client._engine.endpoints[Store.CLOUD].meter.totals().values()
        return sum(commands for commands, *_ in totals)

    def close(self) -> list[str]:
        """End everything; what could not be removed from stores in use, and why."""
        for server in self._servers.values():
            server.resume() if server.running else server.start()
        left = self.rig.close()
        self._stack.close()
        if left:
            logger.warning("a drill left keys behind: %s", "; ".join(left))
        return left
