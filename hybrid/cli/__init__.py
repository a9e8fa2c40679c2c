"""`python -m hybrid`: status, test, demo, agent and proxy.

Exit codes: 0 healthy or passed, 1 degraded or failed, 2 usage or configuration, 3 both stores down, 4 the machine was
too busy to judge, 130 Ctrl-C.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from hybrid.cli import operations
from hybrid.cli.diff_arguments import add_diff_arguments
from hybrid.cli.sync_arguments import add_keys_arguments, add_sync_arguments
from hybrid.cli.test_arguments import add_test_arguments
from hybrid.errors import AllStoresDown, ConfigurationError, EmbeddedServerError, HybridError

__all__ = ["main"]

ENV_FILE = ".env"
EPILOG = """\
Settings come from the environment or from .env (REDIS_URL, UPSTASH_REDIS_URL, ...). With no URL at all, two embedded
servers are used, one of them playing the cloud: everything can be tried before anything is set up.

exit codes: 0 healthy or passed, 1 degraded or failed, 2 usage or configuration error, 3 both stores down, 4 the machine
was too busy to judge, 130 Ctrl-C
"""


class Interrupt:
    """Ctrl-C and SIGTERM as an event, so that work ends in order; a second one ends it at once.

    A thread sets the event. Python runs a handler in the main thread alone, which may have begun to wait by the time it
    is to do that, and for ever; or it may hold the event's lock.
    """

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.by: signal.Signals | None = None
        self._before: dict[signal.Signals, Any] = {}

    def install(self) -> threading.Event:
        self._ear, self._rope = socket.socketpair()
        self._rope.setblocking(False)
        self._rope_before = signal.set_wakeup_fd(self._rope.fileno(), warn_on_full_buffer=False)
        threading.Thread(target=self._listen, name="hybrid-interrupt", daemon=True).start()
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._on_signal)
        return self.stop

    def restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self._before:
            signal.set_wakeup_fd(self._rope_before)
            self._rope.close()

    @property
    def exit_code(self) -> int | None:
        """130 after Ctrl-C; None after SIGTERM, which asks for an orderly end, or without any signal."""
        return 130 if self.by is signal.SIGINT else None

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self.by = signal.Signals(number)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def _listen(self) -> None:
        with self._ear:
            while numbers := self._ear.recv(64):
                if not self._before.keys().isdisjoint(numbers):
                    self.stop.set()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. Expected errors are one line on standard error."""
    options = parser().parse_args(arguments)
    set_up_logging(options)
    interrupt = Interrupt()
    try:
        require_env_file(options.env_file)
        command = importlib.import_module(f"hybrid.cli.{options.command}")  # only what is needed: a quick --help
        code: int = command.run(options, interrupt.install())
    except (ConfigurationError, EmbeddedServerError) as error:
        return complain(str(error), 2)
    except AllStoresDown as error:
        return complain(str(error), 3)
    except (HybridError, OSError) as error:
        if isinstance(error, BrokenPipeError):  # whoever read the output has left, as `| head` does
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        return complain(str(error), 1)
    except KeyboardInterrupt:
        return complain("interrupted", 130)
    finally:
        interrupt.restore()
    return interrupt.exit_code or code


def require_env_file(path: str) -> None:
    """A file that was asked for must be there; the default one need not."""
    if path not in (ENV_FILE, os.devnull) and not Path(path).is_file():
        raise ConfigurationError(f"there is no file {path}; name an existing one with --env-file")


def complain(text: str, code: int) -> int:
    sys.stderr.write(f"hybrid: {text}\n")
    return code


def set_up_logging(options: argparse.Namespace) -> None:
    """Logs go to standard error: all of them with --verbose, else only those that the command asks for."""
    level = logging.DEBUG if options.verbose else options.log_level
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)-7s %(message)s", stream=sys.stderr)


def parser() -> argparse.ArgumentParser:
    common = common_options()
    top = argparse.ArgumentParser(
        prog="python -m hybrid",
        description="Two Redis stores as one: look at them, test them, watch them work.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = top.add_subparsers(metavar="COMMAND", required=True, title="commands")

    def command(name: str, text: str, level: int = logging.CRITICAL) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text[0].lower() + text[1:], description=f"{text}.", parents=[common])
        sub.set_defaults(command=name, log_level=level)
        return sub

    status = command("status", "Show both stores: state, who takes writes, what is waiting")
    status.add_argument("--json", action="store_true", help="print the health document as JSON")
    add_test_arguments(command("test", "Test both stores end to end, or rehearse failures one by one"))
    demo = command("demo", "Run a small shop on both stores, to watch and to break")
    demo.add_argument("--rate", type=positive, default=50.0, metavar="N", help="actions per second (default: 50)")
    demo.add_argument("--seconds", type=positive, metavar="N", help="end after N seconds (default: at Ctrl-C)")
    demo.add_argument("--seed", type=int, metavar="N", help="make the customers' behaviour repeatable")
    demo.add_argument("--while-stdin", action="store_true", help=argparse.SUPPRESS)
    agent = command("agent", "Keep both stores equal in the background, around the clock", logging.INFO)
    agent.add_argument(
        "--listen",
        metavar="HOST:PORT",
        help="serve /api/health (200 while a store serves, else 503) and /metrics; a PORT alone: this machine only",
    )
    agent.add_argument("--json", action="store_true", help="print events as JSON, one per line")
    add_config_arguments(command("config", "Show and change the live configuration of every process"), common)
    add_alerts_arguments(command("alerts", "See what fires; acknowledge, silence, change rules, send a test"), common)
    proxy = command("proxy", "Serve both stores to clients in any language, at one address", logging.INFO)
    proxy.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine only)")
    proxy.add_argument("--port", type=int, default=6390, help="port to listen on (default: 6390; 0: a free one)")
    proxy.add_argument("--password-env", metavar="NAME", help="environment variable that holds the password")
    proxy.add_argument("--json", action="store_true", help="print the address and events as JSON, one per line")
    add_diff_arguments(command("diff", "Compare both stores: what differs, why, and what finding it out costs"))
    add_sync_arguments(command("sync", "Make both stores equal: plan, apply, undo"))
    add_keys_arguments(command("keys", "List, show, export, import, copy, rename, expire and delete keys"))
    operations.register(command)
    password = command("password", "Print the hash of a password for the panel, as a line for .env")
    password.add_argument("--viewer", action="store_true", help="for those who may look and not change")
    return top


def add_config_arguments(sub: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    from hybrid.cli import config

    config.add_arguments(sub, common)


def add_alerts_arguments(sub: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    from hybrid.cli import alerts

    alerts.add_arguments(sub, common)


def common_options() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--env-file", default=ENV_FILE, metavar="FILE", help="file with settings (default: .env, if there is one)"
    )
    common.add_argument(
        "--folder",
        type=Path,
        default=Path(".hybrid"),
        metavar="DIR",
        help="where embedded servers keep their data (default: .hybrid)",
    )
    common.add_argument("-v", "--verbose", action="store_true", help="log what happens to standard error")
    return common


def positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e6:
        raise argparse.ArgumentTypeError(f"must be a positive number, not {text!r}")
    return value
