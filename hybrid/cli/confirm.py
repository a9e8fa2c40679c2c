"""Nothing is changed by a slip: the operator types what is about to be done, or says --yes."""

from __future__ import annotations

import getpass
import os
import sys

from hybrid.errors import ConfigurationError

__all__ = ["author", "require_consent"]


def require_consent(phrase: str, effect: str, *, yes: bool) -> None:
    """Return when the operator agrees. Raises ConfigurationError otherwise: nothing was changed then."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise ConfigurationError(f"nothing was changed: {effect}. Say --yes to do it without being asked")
    sys.stderr.write(f"{effect}.\nType {phrase!r} to go on: ")
    sys.stderr.flush()
    if sys.stdin.readline().strip() != phrase:
        raise ConfigurationError("nothing was changed")


def author() -> str:
    """Who runs this command, for the record."""
    try:
        return f"{getpass.getuser()}@{os.uname().nodename}"
    except (KeyError, OSError):  # a container's user without a name
        return f"{os.getuid()}@{os.uname().nodename}"
