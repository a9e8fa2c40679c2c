"""`python -m hybrid password`."""

from __future__ import annotations

import argparse
import getpass
import sys
import threading

from hybrid.errors import ConfigurationError
from hybrid.ops.password import LEAST_LENGTH, OPERATOR_VARIABLE, VIEWER_VARIABLE, password_hash

__all__ = ["run"]


def run(options: argparse.Namespace, stop: threading.Event) -> int:
    """Print the line for `.env` that sets the panel's password. It is asked for twice, or read from standard input."""
    password = asked() if sys.stdin.isatty() else sys.stdin.readline().rstrip("\r\n")
    if len(password) < LEAST_LENGTH:
        raise ConfigurationError(f"use at least {LEAST_LENGTH} characters; nothing was made")
    print(f"{VIEWER_VARIABLE if options.viewer else OPERATOR_VARIABLE}={password_hash(password)}")
    return 0


def asked() -> str:
    password = getpass.getpass("Password for the panel: ")
    if getpass.getpass("Once more: ") != password:
        raise ConfigurationError("the two differ; nothing was made")
    return password
