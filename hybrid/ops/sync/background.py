"""The periodic sync's way into every process: a thread that costs nothing until there is something to do."""

from __future__ import annotations

import threading
import time

from hybrid.replication.engine import Engine

__all__ = ["periodic_sync"]

CALM_S = 2.0
"""What it needs is imported only then: an application's first commands come first."""


def periodic_sync(engine: Engine) -> threading.Thread:
    """The thread of `hybrid.ops.sync.periodic.AntiEntropy` for this engine."""
    return threading.Thread(target=work, args=(engine,), name="hybrid-anti-entropy", daemon=True)


def work(engine: Engine) -> None:
    calm_s = time.monotonic() + CALM_S
    while (left_s := calm_s - time.monotonic()) > 0 and not engine.board.closing:
        engine.board.wait(left_s)
    if not engine.board.closing:
        from hybrid.ops.sync.periodic import AntiEntropy

        AntiEntropy(engine).run()
