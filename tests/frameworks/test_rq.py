"""RQ with its queues in two stores."""

from __future__ import annotations

import pytest

from hybrid.shared import shared
from hybrid.testing import StorePair

pytest.importorskip("rq")

from rq import Queue, SimpleWorker
from rq.job import Job, JobStatus

from examples.frameworks.rq_worker import add, enqueue, work


def test_a_job_runs_in_a_forked_worker(app_stores: StorePair) -> None:
    job = enqueue(3, 4)
    work()
    job.refresh()
    assert job.get_status() is JobStatus.FINISHED
    assert job.return_value() == add(3, 4)


def test_jobs_that_wait_survive_the_loss_of_the_local_store(app_stores: StorePair) -> None:
    jobs = [enqueue(n, 1) for n in range(3)]
    app_stores.local.cut()
    queue = Queue(connection=shared())
    assert queue.count == 3
    SimpleWorker([queue], connection=shared()).work(burst=True)
    assert [Job.fetch(job.id, connection=shared()).return_value() for job in jobs] == [1, 2, 3]
    app_stores.heal()
