"""The commands of ./run."""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryFile
from typing import NoReturn

from tools.environment import Environment, SetupError

ROOT = Path(__file__).resolve().parent.parent
FIRST_PORT = 8501
PORTS_TRIED = 50
HELP = """\
usage: ./run COMMAND

  panel [--port N] [OPTION ...]   set up, then start the panel on 127.0.0.1 (port 8501, or the next free one);
                                  options of `streamlit run` are passed on
  test [OPTION ...]               set up, then run every check: style, types, layers, tests;
                                  options of pytest are passed on

  demo                            two embedded servers with demo traffic
  status                          both stores, as the library sees them
  agent                           ship, sync and repair in the background
                                  (any other command, too, is passed on to `python -m hybrid`)

The first call makes .venv and installs the pinned packages; later calls reuse it.
"""


def main(arguments: list[str]) -> int:
    """Do what the command line asks and return its exit code; `panel` and passed-on commands replace this process."""
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(HELP, end="")
        return 0
    command, *rest = arguments
    try:
        if command == "panel":
            start_panel(rest)
        if command == "test":
            return run_checks(rest)
        become(Environment(ROOT).ensure("requirements.txt"), "hybrid", command, *rest)
    except SetupError as error:
        print(f"run: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nrun: interrupted; the same command starts again", file=sys.stderr)
        return 130


def start_panel(options: list[str]) -> NoReturn:
    """Become the Streamlit server of the panel."""
    port, options = chosen_port(options)
    python = Environment(ROOT).ensure("requirements.txt")
    address = ("--server.address", "127.0.0.1", "--server.port", str(port))
    become(python, "tools.serve", "run", "app.py", *address, *options)


def become(python: Path, module: str, *arguments: str) -> NoReturn:
    """Replace this process, so that signals and the exit code are those of the module itself."""
    os.chdir(ROOT)
    os.execv(python, [str(python), "-m", module, *arguments])


def chosen_port(options: list[str]) -> tuple[int, list[str]]:
    """The port to listen on, and the options without `--port`. Raises SetupError if the port asked for is not free."""
    parser = argparse.ArgumentParser(prog="./run panel", add_help=False, allow_abbrev=False)
    parser.add_argument("--port", type=int)
    known, others = parser.parse_known_args(options)
    if known.port is None:
        return next_free_port(FIRST_PORT), others
    if not 0 < known.port < 65536:
        raise SetupError(f"there is no port {known.port}; ports go from 1 to 65535")
    if not is_free(known.port):
        raise SetupError(f"port {known.port} is in use or not permitted; without --port the next free one is taken")
    return known.port, others


def next_free_port(first: int) -> int:
    """The first free port from `first` on. Raises SetupError if many in a row are taken."""
    for port in range(first, first + PORTS_TRIED):
        if is_free(port):
            return port
    raise SetupError(f"no port from {first} to {first + PORTS_TRIED - 1} is free; give one with --port")


def is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port that was just closed is free
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@dataclass(frozen=True, slots=True)
class Check:
    """One step of ./run test."""

    name: str
    arguments: tuple[str, ...]
    again: tuple[str, ...] = ()
    """More arguments, to run only what failed once more, by itself; none where that makes no sense."""
    beside: Check | None = None
    """Begins at the same time, with what this one leaves of the processors; its output is shown behind this one's."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a check ended; its text is a line of the summary. Exit code 5 is pytest's for options that select nothing.
    `unsteady`: something failed in company and passed by itself, which is a race to be found."""

    name: str
    exit_code: int
    elapsed_s: float
    unsteady: bool = False

    @property
    def failed(self) -> bool:
        return self.exit_code not in (0, 5)

    def __str__(self) -> str:
        verdict = f"FAILED (exit code {self.exit_code})" if self.failed else "passed" if not self.exit_code else "none"
        verdict = "passed at the second go" if self.unsteady else verdict
        return f"{self.name:<12} {verdict:<24} {self.elapsed_s:6.1f} s"


LOWEST_PRIORITY = ("nice", "-n", "19")
AGAIN = ("--last-failed", "--last-failed-no-failures=none", "-n", "0", "--no-cov")


def checks(pytest_options: list[str]) -> tuple[Check, ...]:
    """Every check of the project, in the order in which they run."""

    def tests(name: str, marks: str, *options: str, beside: Check | None = None) -> Check:
        return Check(name, ("-m", "pytest", "-ra", "-m", marks, *options, *pytest_options), AGAIN, beside)

    simulation = replace(tests("simulation", "simulated", "-n", "2"), again=())  # a seed always gives the same run
    lint_imports = "from importlinter.cli import lint_imports_command as run; run()"
    return (
        Check("style", ("-m", "ruff", "check", ".")),
        Check("format", ("-m", "ruff", "format", "--check", ".")),
        Check("types", ("-m", "mypy")),
        Check("layers", ("-c", lint_imports, "--no-logo", "--no-cache")),  # its cache can be out of date
        tests("tests", "not alone and not quiet and not soak and not simulated", "-n", "4"),
        # Those wait half of the time, and a simulated clock does not mind how long anything takes.
        tests("fault tests", "alone and not soak", "-n", "3", "--dist", "worksteal", beside=simulation),
        # Measuring comes last and by itself: it wants a machine that nothing else keeps busy.
        tests("quiet tests", "quiet"),
    )


def run_checks(pytest_options: list[str]) -> int:
    """Run every check, also after one failed, and sum up; the exit code is 1 if any failed."""
    python = Environment(ROOT).ensure("requirements-dev.txt")
    outcomes = list(outcomes_of(python, checks(pytest_options)))
    print("\n" + "\n".join(map(str, outcomes)))
    return int(any(outcome.failed for outcome in outcomes))


def outcomes_of(python: Path, steps: tuple[Check, ...]) -> Iterator[Outcome]:
    """Run the steps one after the other, their output shown as it comes."""
    for step in steps:
        if step.beside is None:
            yield _outcome(python, step)
        else:
            with _begun(python, step.beside) as end:
                yield _outcome(python, step)
                yield _outcome(python, step.beside, end)


def _outcome(python: Path, step: Check, end: Callable[[], int] | None = None) -> Outcome:
    """Run the step, or wait for the `end` of one that has begun."""
    print(f"\n== {step.name}", flush=True)
    started_s = time.monotonic()
    exit_code, unsteady = end() if end else _run(python, step.arguments), False
    if exit_code == 1 and step.again:
        print(f"\n== {step.name}: what failed, by itself", flush=True)
        unsteady = _run(python, (*step.arguments, *step.again)) == 0
    return Outcome(step.name, 0 if unsteady else exit_code, time.monotonic() - started_s, unsteady)


def _run(python: Path, arguments: tuple[str, ...]) -> int:
    return subprocess.run([python, *arguments], cwd=ROOT, check=False).returncode


@contextmanager
def _begun(python: Path, step: Check) -> Iterator[Callable[[], int]]:
    """The step runs inside the block, which is given its end: to wait, show the output and return the exit code."""
    with TemporaryFile() as output:
        command = (*LOWEST_PRIORITY, str(python), *step.arguments)
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT)

        def end() -> int:
            exit_code = process.wait()
            output.seek(0)
            shutil.copyfileobj(output, sys.stdout.buffer)
            sys.stdout.flush()
            return exit_code

        try:
            yield end
        finally:
            process.terminate()
            process.wait()
