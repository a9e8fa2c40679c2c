"""Worker processes that run together on two stores (see `workload`), as a test steers them."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import workload
from history import History
from workload import Spec

from hybrid.stores.control import environment

__all__ = ["Fleet", "Worker"]


class Worker:
    """A worker process."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.record = Path(spec.record)
        self.log = self.record.with_suffix(".log")
        self._process = subprocess.Popen(
            [sys.executable, workload.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log.open("w"),
            env=environment(),
            text=True,
        )
        self.say(json.dumps(asdict(spec)))

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    @property
    def progress(self) -> int:
        """How many outcomes it has recorded."""
        return self.record.read_bytes().count(b"\n") if self.record.exists() else 0

    def say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def hear(self, word: str) -> None:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        assert line == word, (
            f"worker {self.spec.name} said {line!r} instead of {word!r}: {self.log.read_text()[-2000:]}"
        )

    def kill(self) -> None:
        """SIGKILL: nothing is flushed, released or closed."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """Let it close its client, and end."""
        if self.alive:
            self._process.communicate("close\n", timeout=30)
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            stream.close()


class Fleet:
    """Workers that run together: `go`, then `stop` (or `finish`, when they know how much to do), then `close`."""

    def __init__(
        self,
        folder: Path,
        urls: Sequence[tuple[str, str]],
        readers: Sequence[str],
        preferring: bool = False,
        **spec: Any,
    ) -> None:
        """One worker for each read preference in `readers`, with its URLs of both stores; `spec` holds for all. With
        `preferring`, the last one ships rather than the others."""
        names = [f"w{number}" for number in range(len(readers))]
        folder.mkdir(parents=True, exist_ok=True)
        self.workers = [
            Worker(
                Spec(
                    name,
                    *stores,
                    str(folder / f"{name}.jsonl"),
                    reads=reads,
                    peers=names,
                    preferred=preferring and name == names[-1],
                    **spec,
                )
            )
            for name, stores, reads in zip(names, urls, readers, strict=True)
        ]

    def __enter__(self) -> Fleet:
        try:
            for worker in self.workers:
                worker.hear("ready")
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def living(self) -> list[Worker]:
        return [worker for worker in self.workers if worker.alive]

    def go(self) -> None:
        for worker in self.workers:
            worker.say("go")

    def replace(self, worker: Worker) -> None:
        """Start another one with the ways of `worker`, which was killed."""
        name = f"{worker.spec.name}+"
        record = str(worker.record.with_name(f"{name}.jsonl"))
        fresh = Worker(dataclasses.replace(worker.spec, name=name, record=record))
        self.workers.append(fresh)
        fresh.hear("ready")
        fresh.say("go")

    def after(self, outcomes: int) -> Callable[[], bool]:
        """A condition: every living worker has recorded this many outcomes more than now."""
        goals = {worker: worker.progress + outcomes for worker in self.living}
        return lambda: all(worker.progress >= goal for worker, goal in goals.items())

    def stop(self) -> History:
        """End the load; the clients stay open, so that there is someone to heal what is still open."""
        for worker in self.living:
            worker.say("stop")
        return self.finish()

    def finish(self) -> History:
        for worker in self.living:
            worker.hear("done")
        return History.of(worker.record for worker in self.workers)

    def close(self) -> None:
        for worker in self.living:
            if worker.spec.commands is not None:
                worker.say("stop")
            worker.close()

    def kill(self) -> None:
        for worker in self.workers:
            worker.kill()
            with contextlib.suppress(OSError, ValueError):  # what was not flushed yet has no reader
                worker.close()
