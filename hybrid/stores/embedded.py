"""Two real servers when nothing is configured: a local one, and one that plays the cloud behind a delayed link.

They belong to a keeper process (`hybrid.stores.keeper`), which this module starts when none is there. Any number of
processes may use the servers of one folder; these stop when the last user has closed, exited or been killed, and their
data stays for the next start.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from hybrid.errors import EmbeddedServerError
from hybrid.stores.control import ControlClient, environment
from hybrid.stores.ports import LOOPBACK
from hybrid.stores.processes import ServerBinary, ServerProcess, find_server
from hybrid.stores.records import running_keeper
from hybrid.stores.remote_link import RemoteLink

__all__ = ["EmbeddedStores", "ServerBinary", "ServerProcess", "find_server"]

_START_TIMEOUT_S = 30.0


class EmbeddedStores:
    """This process's use of the servers in `folder`; `start` makes one.

    `local_url` and `cloud_url` (through the link) are None for a store that was not asked for. `pids` are the servers'
    process ids by name, for drills. `close` ends this use, and is called at exit; in a forked child it does nothing.
    """

    def __init__(self, folder: Path, control: ControlClient, ports: dict[str, int], pids: dict[str, int]) -> None:
        self.folder = folder
        self.pids = pids
        self.local_url = f"redis://{LOOPBACK}:{ports['local']}" if "local" in ports else None
        self.cloud_url = f"redis://{LOOPBACK}:{ports['link']}" if "link" in ports else None
        self._control = control
        self._link = RemoteLink(control, ports["link"]) if "link" in ports else None
        self._pid = os.getpid()
        self._closed = False
        atexit.register(self.close)

    @classmethod
    def start(
        cls,
        folder: Path = Path(".hybrid"),
        *,
        round_trip_s: float = 0.06,
        with_cloud: bool = True,
        with_local: bool = True,
    ) -> EmbeddedStores:
        """Start the servers, or use them with the processes that already do; then their link stays as it is.

        Data is kept in `folder`, one second of it at risk if the machine fails. Raises EmbeddedServerError.
        """
        if os.name == "nt":
            raise EmbeddedServerError("embedded servers need Linux or macOS: use WSL, or set REDIS_URL")
        find_server()
        folder = _prepared(folder)
        wanted = {"local": with_local, "cloud": with_cloud, "round_trip_s": round_trip_s}
        deadline = time.monotonic() + _START_TIMEOUT_S
        while time.monotonic() < deadline:
            with contextlib.suppress(ConnectionError):  # no keeper, or one that is just stopping
                return cls._attached(folder, wanted)
            _start_keeper(folder)
        raise EmbeddedServerError(f"the embedded servers in {folder} did not start in {_START_TIMEOUT_S:g} s")

    @classmethod
    def _attached(cls, folder: Path, wanted: dict[str, Any]) -> EmbeddedStores:
        address = running_keeper(folder)
        if address is None:
            raise ConnectionError("no keeper is running")
        control = ControlClient(**address)
        try:
            answer = control.ask("attach", **wanted)
        except BaseException:
            control.close()
            raise
        asked = [name for name, yes in (("local", wanted["local"]), ("link", wanted["cloud"])) if yes]
        return cls(folder, control, {name: answer["ports"][name] for name in asked}, answer["pids"])

    @property
    def link(self) -> RemoteLink:
        """The link to the cloud store: delay and faults. Raises EmbeddedServerError without a cloud store."""
        if self._link is None:
            raise EmbeddedServerError("there is no link: the embedded cloud store was not asked for")
        return self._link

    def close(self) -> None:
        """End this use. The servers stop, before this returns, if nobody else uses them."""
        if self._closed or os.getpid() != self._pid:
            return
        self._closed = True
        atexit.unregister(self.close)
        with contextlib.suppress(ConnectionError):
            self._control.ask("detach")
        self._control.close()

    def __enter__(self) -> EmbeddedStores:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _prepared(folder: Path) -> Path:
    folder = folder.absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".gitignore").write_text("*\n")
    except OSError as error:
        raise EmbeddedServerError(f"cannot write to {folder}: {error.strerror}; choose another folder") from error
    return folder


def _start_keeper(folder: Path) -> None:
    """Start a keeper, and return when it answers or another one has the folder. Raises EmbeddedServerError."""
    with (folder / "keeper.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "hybrid.stores.keeper", str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            env=environment(),
            start_new_session=True,  # Ctrl-C must not stop servers that the application still flushes to
        )
    output, _ = process.communicate()  # up to the report; the keeper lets go of the pipe then
    report = json.loads(output) if output else {"error": f"the keeper did not start; see {folder / 'keeper.log'}"}
    if "error" in report:
        raise EmbeddedServerError(report["error"])
