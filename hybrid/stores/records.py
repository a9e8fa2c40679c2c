"""Small files by which processes of one machine find each other, and what tells one process from another."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

__all__ = ["KEEPER_FILE", "read_record", "running_keeper", "start_mark", "write_record"]

KEEPER_FILE = "keeper.json"


def read_record(path: Path) -> dict[str, Any]:
    """What `write_record` wrote; {} when there is nothing that can be read."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def write_record(path: Path, content: dict[str, Any]) -> None:
    """Replace the file in one step, so that no reader sees half of it; only its owner may read it."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    with contextlib.suppress(FileNotFoundError):
        draft.unlink()
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(content, file)
    draft.replace(path)


def running_keeper(folder: Path) -> dict[str, Any] | None:
    """The address of the keeper that serves this folder now (see `hybrid.stores.keeper`), if one does."""
    keeper = read_record(folder / KEEPER_FILE).get("keeper")
    if not keeper or start_mark(keeper["pid"]) != keeper["mark"]:  # a dead one's port may be a stranger's by now
        return None
    address: dict[str, Any] = keeper["control"]
    return address


def start_mark(pid: int) -> str | None:
    """What tells a process from a later one with the same id; None when it does not run."""
    if sys.platform != "linux":
        found = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
        return found.stdout.strip() or None
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None
    return None if state in "ZX" else f"{boot_id} {fields[18]}"
