"""The project's virtual environment: made once, checked cheaply on every start, repaired when it is not whole."""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tools.progress import PipReport, Progress

POLL_S = 0.2
LOG_TAIL_LINES = 15
PYTHON_VERSION = ".".join(map(str, sys.version_info[:3]))
OFFLINE = re.compile(r"NewConnectionError|ConnectTimeout|ReadTimeout|NameResolution|ProxyError|Failed to establish")
NO_VENV = "this Python cannot make virtual environments; on Debian and Ubuntu: sudo apt install python3-venv"


class SetupError(Exception):
    """Setting up is not possible; the message says why and what to do."""


class Environment:
    """The `.venv` of a checkout. The folder `.hybrid` beside it holds pip's log and a lock."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.venv = root / ".venv"
        self.python = self.venv / "bin" / "python"
        self.log = root / ".hybrid" / "install.log"
        self._unfinished = self.venv / "unfinished"

    def ensure(self, requirements: str) -> Path:
        """Return a Python that has all of the file `requirements`, installing only what is not there yet.

        Raises SetupError.
        """
        if self._is_ready(requirements):
            return self.python
        try:
            with self._lock():
                if not self._is_ready(requirements):  # another ./run may have done it meanwhile
                    self._install(requirements)
        except OSError as error:
            raise SetupError(f"cannot write {error.filename or self.root}: {error.strerror}") from error
        return self.python

    def _is_ready(self, requirements: str) -> bool:
        try:
            stamp = self._stamp(requirements).read_text()
        except OSError:
            return False
        return stamp == self._digest(requirements) and self._is_whole()

    def _is_whole(self) -> bool:
        """Whether the environment runs, belongs to this very Python, has pip, and no installation was cut short."""
        if self._unfinished.exists():
            return False
        probe = "import importlib.util as u, sys; print(*sys.version_info[:3], sep='.') if u.find_spec('pip') else 0"
        try:
            answer = subprocess.run([self.python, "-c", probe], capture_output=True, text=True, check=False)
        except OSError:
            return False
        return answer.stdout.strip() == PYTHON_VERSION

    def _install(self, requirements: str) -> None:
        progress = Progress()
        try:
            if not self._is_whole():
                self._create_venv(progress)
            self._unfinished.touch()
            self._pip_install(requirements, progress)
            for file in self._files(requirements):
                self._stamp(file.name).write_text(self._digest(file.name))
            self._unfinished.unlink()
        except BaseException:
            progress.clear()
            raise
        progress.done(f"{self._count_installed()} packages are installed in .venv")

    def _create_venv(self, progress: Progress) -> None:
        if not (importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip")):
            raise SetupError(NO_VENV)
        progress.show("creating .venv")
        if self.venv.is_dir():
            shutil.rmtree(self.venv)
        self.venv.mkdir()
        self._unfinished.touch()
        # The interpreter below an active environment: the one at hand may have lived in the .venv just removed.
        base = getattr(sys, "_base_executable", "") or sys.executable
        code = self._run_logged([base, "-m", "venv", str(self.venv)], lambda line: progress.show("creating .venv"))
        if code:
            raise SetupError(f"python -m venv failed:\n{self._log_tail()}")

    def _pip_install(self, requirements: str, progress: Progress) -> None:
        pins = sum(len(re.findall(r"^[\w.-]+==", file.read_text(), re.M)) for file in self._files(requirements))
        report = PipReport(pins, self._count_installed)

        def watch(line: str) -> None:
            report.read(line)
            progress.show(*report.step())

        pip = [str(self.python), "-m", "pip", "install", "--no-input", "--disable-pip-version-check"]
        if self._run_logged([*pip, "--progress-bar", "off", "-r", requirements], watch):
            offline = OFFLINE.search(self.log.read_text(errors="replace"))
            cause = "the package index cannot be reached; check the network or the proxy" if offline else "pip failed"
            raise SetupError(f"{cause}. The end of {self.log.relative_to(self.root)}:\n{self._log_tail()}")

    def _run_logged(self, command: list[str], watch: Callable[[str], None]) -> int:
        """Run `command` with its output in the log; `watch` gets each line, and an empty text while there is none."""
        with self.log.open("wb") as output, self.log.open(errors="replace") as lines:
            child = subprocess.Popen(
                command,
                cwd=self.root,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
            try:
                while child.poll() is None:
                    for line in lines:
                        watch(line)
                    watch("")
                    with suppress(subprocess.TimeoutExpired):
                        child.wait(POLL_S)
            finally:  # Ctrl-C: never leave an installer behind
                child.terminate()
                child.wait()
        return child.returncode

    def _log_tail(self) -> str:
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return "\n".join(f"    {line}" for line in lines[-LOG_TAIL_LINES:])

    def _files(self, requirements: str) -> list[Path]:
        """The requirements file and those that it includes."""
        file = self.root / requirements
        included = re.findall(r"^-r +(\S+)", file.read_text(), re.M)
        return [file, *(path for name in included for path in self._files(name))]

    def _digest(self, requirements: str) -> str:
        contents = b"".join(file.read_bytes() for file in self._files(requirements))
        return hashlib.sha256(PYTHON_VERSION.encode() + contents).hexdigest()

    def _stamp(self, requirements: str) -> Path:
        return self.venv / f"installed-{requirements}"

    def _count_installed(self) -> int:
        return sum(1 for _ in self.venv.glob("lib/python*/site-packages/*.dist-info"))

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """One ./run installs at a time: two would tear down each other's half-made environment."""
        self.log.parent.mkdir(exist_ok=True)
        with (self.log.parent / "install.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                print("  another ./run is installing: waiting for it", file=sys.stderr)
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield
