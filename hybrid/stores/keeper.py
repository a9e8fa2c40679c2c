"""The keeper: the one process per folder that owns the embedded servers and carries the link to the cloud one.

Why a process of its own: the application that starts the servers may be killed at any moment, and others may be using
them. Every user holds a control connection, which is its lease: the system closes it however the user ends. With the
last lease gone the keeper waits a moment for a successor, shuts the servers down in order, and ends. So an application
needs no signal handler, and the servers outlive whoever came first for as long as somebody uses them.

If the keeper itself is killed, Linux sends its servers SIGTERM; whatever is left is cleaned up by the next keeper,
which knows the processes by id and start time. A lock on the folder, held by the running keeper, makes it the only one.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import IO, Any

from hybrid.errors import EmbeddedServerError
from hybrid.stores.control import ControlServer
from hybrid.stores.ports import LOOPBACK, port_is_free
from hybrid.stores.processes import ServerProcess
from hybrid.stores.proxy import Proxy
from hybrid.stores.records import KEEPER_FILE, read_record, running_keeper, start_mark, write_record
from hybrid.stores.steering import answer_for_link

__all__ = ["Keeper", "main"]

_FIRST_USER_S = 5.0  # how long a new keeper waits for whoever started it
_GRACE_S = 1.0  # how long servers wait for a successor after their last user has vanished
_STOP_TIMEOUT_S = 10.0
_LOCK_TIMEOUT_S = 20.0


class Keeper:
    """Servers, link and leases of one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._state_path = folder / KEEPER_FILE
        self._last = read_record(self._state_path)
        self._servers: dict[str, ServerProcess] = {}
        self._proxy: Proxy | None = None
        self._leases: set[int] = set()
        self._control = ControlServer(self._answer, self._leave)
        self._address: dict[str, Any] = {}
        self._stopping = asyncio.Event()
        self._stopped = asyncio.Event()
        self._starting = asyncio.Lock()
        self._unused: asyncio.TimerHandle | None = None

    async def run(self) -> None:
        """Serve until the last lease is gone, or SIGTERM."""
        _stop_leftovers(self._last)
        self._address = await self._control.start()
        self._write_state()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._stopping.set)
        self._stop_unless_used(_FIRST_USER_S)
        _report({})
        await self._stopping.wait()
        await self._stop()

    async def _answer(self, caller: int, do: str, arguments: dict[str, Any]) -> Any:
        if self._stopping.is_set():
            raise ConnectionError("the keeper is stopping")
        if do == "attach":
            return await self._attach(caller, **arguments)
        if do == "detach":
            return await self._detach(caller)
        if self._proxy is None:
            raise EmbeddedServerError("there is no link: the embedded cloud store was not asked for")
        return await answer_for_link(self._proxy, do, arguments)

    async def _attach(self, caller: int, local: bool, cloud: bool, round_trip_s: float) -> dict[str, Any]:
        self._leases.add(caller)
        async with self._starting:
            try:
                for name, wanted in (("local", local), ("cloud", cloud)):
                    if wanted:
                        self._ensure_server(name)
                if cloud:
                    await self._ensure_link(round_trip_s)
            except BaseException:
                self._leases.discard(caller)
                if not self._leases:
                    self._stopping.set()
                raise
        return {"ports": self._ports(), "pids": {name: server.pid for name, server in self._servers.items()}}

    async def _detach(self, caller: int) -> None:
        """The reply comes when the servers have stopped, if this was their last user."""
        self._leases.discard(caller)
        if not self._leases:
            self._stopping.set()
            await self._stopped.wait()

    def _leave(self, caller: int) -> None:
        if caller in self._leases:
            self._leases.discard(caller)
            self._stop_unless_used(_GRACE_S)

    def _stop_unless_used(self, within_s: float) -> None:
        def check() -> None:
            if not self._leases:
                self._stopping.set()

        if self._unused is not None:
            self._unused.cancel()
        self._unused = asyncio.get_running_loop().call_later(within_s, check)

    def _ensure_server(self, name: str) -> None:
        if name not in self._servers:
            self._servers[name] = self._start_server(name)
        else:
            self._servers[name].start()  # somebody may have killed it
        self._write_state()

    def _start_server(self, name: str) -> ServerProcess:
        """On its last port when that works, so that URLs stay the same from run to run."""
        port = self._last.get("ports", {}).get(name, 0)
        if port and port_is_free(port):
            with contextlib.suppress(EmbeddedServerError):
                return ServerProcess(self._folder / name, port=port, die_with_parent=True).start()
        return ServerProcess(self._folder / name, die_with_parent=True).start()

    async def _ensure_link(self, round_trip_s: float) -> None:
        if self._proxy is not None:
            return
        port = self._last.get("ports", {}).get("link", 0)
        port = port if port and port_is_free(port) else 0
        proxy = Proxy(LOOPBACK, self._servers["cloud"].port, port=port, round_trip_s=round_trip_s)
        await proxy.start()
        self._proxy = proxy
        self._write_state()

    async def _stop(self) -> None:
        self._write_state()  # without an address: those who start now wait for the lock
        self._control.close()
        for server in self._servers.values():
            server.stop(_STOP_TIMEOUT_S)
        if self._proxy is not None:
            await self._proxy.close()
        write_record(self._state_path, {"ports": self._last.get("ports", {}) | self._ports()})
        self._stopped.set()
        await asyncio.sleep(0.05)  # the reply to whoever detached last

    def _ports(self) -> dict[str, int]:
        ports = {name: server.port for name, server in self._servers.items()}
        return ports | ({} if self._proxy is None else {"link": self._proxy.port})

    def _write_state(self) -> None:
        processes = {str(server.pid): start_mark(server.pid or 0) for server in self._servers.values()}
        ports = self._last.get("ports", {}) | self._ports()
        state: dict[str, Any] = {"ports": ports, "processes": processes}
        if not self._stopping.is_set():
            state["keeper"] = {"pid": os.getpid(), "mark": start_mark(os.getpid()), "control": self._address}
        write_record(self._state_path, state)


def _stop_leftovers(state: dict[str, Any]) -> None:
    """End the servers of a keeper that was killed: in order when they react, by force otherwise."""
    for text, mark in state.get("processes", {}).items():
        pid = int(text)
        for number in (signal.SIGCONT, signal.SIGTERM, signal.SIGKILL):
            if mark is None or start_mark(pid) != mark:
                break
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
            deadline = time.monotonic() + (0.0 if number == signal.SIGCONT else _STOP_TIMEOUT_S)
            while start_mark(pid) == mark and time.monotonic() < deadline:
                time.sleep(0.01)


def _lock(folder: Path) -> IO[bytes] | None:
    """The folder's lock, held while the file is open; None when a running keeper has it. Waits for one that stops."""
    file = (folder / "lock").open("ab")
    deadline = time.monotonic() + _LOCK_TIMEOUT_S
    while time.monotonic() < deadline:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return file
        if running_keeper(folder):
            break
        time.sleep(0.01)
    file.close()
    return None


def _report(report: dict[str, str]) -> None:
    """Tell the starter, which waits for the end of our standard output, and let go of it."""
    os.write(1, json.dumps(report).encode())
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 1)


def main() -> None:
    """`python -m hybrid.stores.keeper FOLDER`, started by EmbeddedStores."""
    if os.fork():  # nobody's child: an application must not have to reap it
        os._exit(0)
    folder = Path(sys.argv[1])
    try:
        lock = _lock(folder)
        if lock is None:
            return _report({"busy": "another keeper has the folder"})
        asyncio.run(Keeper(folder).run())
    except (EmbeddedServerError, OSError) as error:
        _report({"error": str(error)})


if __name__ == "__main__":
    main()
