"""`./run` end to end, in a copy of the project whose requirements are tiny wheels in a folder: no network."""

from __future__ import annotations

import ast
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tools import environment, tasks
from tools.environment import Environment, SetupError
from tools.progress import PipReport

ROOT = Path(__file__).resolve().parents[2]
OFFLINE = "--no-index\n--find-links wheels\n"
ECHO = "import sys; print(__spec__.name, sys.argv[1:])\n"
STUBS = {
    "hybrid/__main__.py": ECHO,
    "click.py": "class Abort(Exception): ...\nclass ClickException(Exception): ...\n",
    "streamlit/web/cli.py": "import click\ndef main(arguments, **_): print(arguments); raise click.Abort\n",
    "ruff.py": ECHO,
    "mypy.py": ECHO,
    "importlinter/cli.py": "import sys\ndef lint_imports_command(): print('lint-imports'); sys.exit(0)\n",
    "pytest.py": ECHO + "import os; sys.exit(int(os.environ.get('PYTEST_EXIT_CODE', 0)))\n",
}


class Project:
    """A checkout in a folder of its own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.log = root / ".hybrid" / "install.log"
        self.env = {"PATH": os.environ["PATH"], "HOME": str(root), "PIP_RETRIES": "0"}

    def run(self, *arguments: str, cwd: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, self.root / "run", *arguments]
        return subprocess.run(command, cwd=cwd, env=self.env | env, capture_output=True, text=True, check=False)

    def require(self, text: str) -> None:
        (self.root / "requirements.txt").write_text(text)


def make_wheel(folder: Path, name: str) -> None:
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{name}.py", "")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", f"{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project after its first ./run; `installed` hands out copies. Its path has a space."""
    root = tmp_path_factory.mktemp("projects") / "my project"
    shutil.copytree(ROOT / "tools", root / "tools", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "run", root)
    for name, text in STUBS.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / "wheels").mkdir()
    for name in ("runtime_thing", "test_thing"):
        make_wheel(root / "wheels", name)
    project = Project(root)
    project.require(f"{OFFLINE}runtime_thing==1.0\n")
    (root / "requirements-dev.txt").write_text("-r requirements.txt\ntest_thing==1.0\n")
    first = project.run("status", "--json")
    assert first.returncode == 0, first.stderr
    assert first.stdout == "hybrid.__main__ ['status', '--json']\n"
    assert "creating .venv" in first.stderr and "packages are installed in .venv" in first.stderr
    return project


@pytest.fixture
def installed(template: Project, tmp_path: Path) -> Project:
    root = tmp_path / "my project"
    shutil.copytree(template.root, root, symlinks=True)
    return Project(root)


def test_second_run_installs_nothing(installed: Project, tmp_path: Path) -> None:
    installed.log.unlink()
    again = installed.run("demo", cwd=tmp_path)
    assert (again.returncode, again.stderr) == (0, "")
    assert not installed.log.exists()


def test_changed_requirements_are_installed_once(installed: Project) -> None:
    installed.require(f"{OFFLINE}runtime_thing==1.0\ntest_thing==1.0\n")
    assert "packages are installed" in installed.run("status").stderr
    assert list(installed.root.glob(".venv/lib/*/site-packages/test_thing.py"))
    assert installed.run("status").stderr == ""


@pytest.mark.parametrize("fault", ["python removed", "another python"])
def test_environment_of_another_python_is_rebuilt(installed: Project, fault: str) -> None:
    python = installed.root / ".venv/bin/python"
    python.unlink()
    if fault == "python removed":
        python.symlink_to("/nowhere/python3")
    else:
        python.write_text("#!/bin/sh\necho 3.11.0\n")
        python.chmod(0o755)
    repaired = installed.run("status")
    assert (repaired.returncode, repaired.stdout) == (0, "hybrid.__main__ ['status']\n")
    assert "creating .venv" in repaired.stderr


def request_of_pip(index: socket.socket) -> socket.socket:
    """The connection on which pip asks for the package. Others may be looking for a server of another test, which had
    this port before."""
    while True:
        connection, _ = index.accept()
        connection.settimeout(60)
        if connection.recv(4096).startswith(b"GET /missing/"):
            return connection
        connection.close()


def test_interrupted_installation_stops_pip_and_is_redone(installed: Project) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent_index:
        silent_index.settimeout(60)
        installed.require(f"--index-url http://127.0.0.1:{silent_index.getsockname()[1]}/\nmissing==1.0\n")
        command = [sys.executable, installed.root / "run", "status"]
        running = subprocess.Popen(
            command,
            env=installed.env,
            stderr=subprocess.PIPE,
            text=True,
            # Where the suite runs in the background of a shell, what it starts would never see the signal.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        connection = request_of_pip(silent_index)
        running.send_signal(signal.SIGINT)
        _, errors = running.communicate(timeout=60)
        while connection.recv(4096):  # ends when pip is gone, too
            pass
        connection.close()
    assert running.returncode == 130, errors
    assert "interrupted" in errors and "Traceback" not in errors
    installed.require(f"{OFFLINE}runtime_thing==1.0\n")
    redone = installed.run("status")
    assert redone.returncode == 0, redone.stderr
    assert "creating .venv" in redone.stderr


def test_failure_of_pip_shows_the_end_of_its_log(installed: Project) -> None:
    installed.require(f"{OFFLINE}missing==1.0\n")
    failed = installed.run("status")
    assert failed.returncode == 1
    assert re.search(r"run: pip failed. The end of .hybrid/install.log:\n.*missing==1.0", failed.stderr, re.S)
    assert "Traceback" not in failed.stderr


def test_missing_network_is_named(installed: Project) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # not listening: connections are refused
        installed.require(f"--index-url http://127.0.0.1:{unused.getsockname()[1]}/\nmissing==1.0\n")
        failed = installed.run("status", PIP_RETRIES="1")  # pip names the cause when it tries again
    assert failed.returncode == 1
    assert "the package index cannot be reached; check the network or the proxy" in failed.stderr


def test_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").touch()
    tmp_path.chmod(0o555)
    with without_root(), pytest.raises(SetupError, match=r"cannot write .*\.hybrid: Permission denied"):
        Environment(tmp_path).ensure("requirements.txt")


def test_python_without_venv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "requirements.txt").touch()
    monkeypatch.setattr(environment.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SetupError, match="sudo apt install python3-venv"):
        Environment(tmp_path).ensure("requirements.txt")
    assert not (tmp_path / ".venv").exists()


def test_old_python_gets_a_sentence(tmp_path: Path) -> None:
    program = (
        f"import sys; sys.version_info = (3, 8, 0); exec(compile(open({str(ROOT / 'run')!r}).read(), 'run', 'exec'))"
    )
    told = subprocess.run(
        [sys.executable, "-c", program], env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert told.returncode == 1
    assert told.stderr == "run: Python 3.11 or newer is needed, this is 3.8, and PATH has no newer one.\n"


def test_run_has_no_syntax_that_an_old_python_refuses() -> None:
    modern = (
        ast.JoinedStr,
        ast.NamedExpr,
        ast.AnnAssign,
        ast.Starred,
        ast.AsyncFunctionDef,
        ast.Match,
        ast.FunctionDef,
    )
    tree = ast.parse((ROOT / "run").read_text(), feature_version=(3, 7))
    assert [node for node in ast.walk(tree) if isinstance(node, modern)] == []
    assert not [n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.module == "__future__"]


def test_help_lists_the_commands() -> None:
    shown = subprocess.run([ROOT / "run"], capture_output=True, text=True, check=True).stdout
    for command in ("panel", "test", "demo", "status", "agent"):
        assert re.search(rf"^  {command}\b", shown, re.M)


def test_panel_starts_streamlit_on_loopback(installed: Project) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        refused = installed.run("panel", "--port", str(port))
        assert (refused.returncode, refused.stdout) == (1, "")
        assert f"port {port} is in use" in refused.stderr
    started = installed.run("panel", f"--port={port}", "--server.fileWatcherType=auto")
    told = [
        "run",
        "app.py",
        "--server.address",
        "127.0.0.1",
        "--server.port",
        str(port),
        "--server.fileWatcherType=auto",
    ]
    assert (started.returncode, started.stdout, started.stderr) == (0, f"{told}\n", "")  # as after Ctrl-C


def test_next_free_port_skips_a_taken_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        assert tasks.next_free_port(taken) > taken


def test_all_checks_run_and_one_failure_decides(installed: Project) -> None:
    passed = installed.run("test", "-k", "routing")
    assert passed.returncode == 0, passed.stdout + passed.stderr
    everything = ["style", "format", "types", "layers", "tests", "fault tests", "simulation", "quiet tests"]
    assert re.findall(r"^(\w+(?: \w+)*) +passed", passed.stdout, re.M) == everything
    assert passed.stdout.count("'-k', 'routing']") == 4
    assert list(installed.root.glob(".venv/lib/*/site-packages/test_thing.py"))
    failed = installed.run("test", PYTEST_EXIT_CODE="1")
    assert failed.returncode == 1
    assert re.search(r"^tests +FAILED \(exit code 1\)", failed.stdout, re.M)


def test_pip_report_counts_what_pip_says() -> None:
    installed = 3
    report = PipReport(pins=4, count_installed=lambda: installed)
    assert report.step() == ("starting pip", "")
    report.read("Ignoring async-timeout: markers 'python_full_version < \"3.11.3\"' don't match your environment")
    report.read("Collecting python-dotenv==1.2.4 (from -r requirements.txt (line 9))")
    report.read("  Downloading python_dotenv-1.2.4-py3-none-any.whl (21 kB)")
    report.read("Processing /opt/files/redis-8.1.0-py3-none-any.whl (from -r requirements.txt (line 7))")
    assert report.step() == ("downloading", "3 of 4 packages redis")
    report.read("Installing collected packages: python-dotenv, redis")
    installed = 4
    assert report.step() == ("installing", "1 of 2 packages")


@contextmanager
def without_root() -> Iterator[None]:
    """Root may write everywhere: act as nobody for a moment."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
