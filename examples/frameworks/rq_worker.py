"""RQ with its queues in two stores: jobs that are waiting survive the loss of either store.

pip install hybrid-redis rq
python -m examples.frameworks.rq_worker add 3 4      # enqueue
python -m examples.frameworks.rq_worker work         # do what is waiting, then end
"""

from __future__ import annotations

import sys

from rq import Queue, Worker
from rq.job import Job

from hybrid.shared import shared

__all__ = ["add", "enqueue", "work"]


def add(left: int, right: int) -> int:
    return left + right


def enqueue(left: int, right: int) -> Job:
    return Queue(connection=shared()).enqueue("examples.frameworks.rq_worker.add", left, right)


def work() -> None:
    """RQ forks for each job; the client survives that."""
    Worker([Queue(connection=shared())], connection=shared()).work(burst=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["add"]:
        print(enqueue(*map(int, sys.argv[2:4])).id)
    else:
        work()
