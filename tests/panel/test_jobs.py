"""Background jobs: one at a time of each kind, cancelled, failed, forgotten; rate and time left are worked out."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from panel import jobview
from panel.jobs import Job, JobCancelled, JobFailed, Jobs, JobState, Progress


@pytest.fixture
def jobs() -> Iterator[Jobs]:
    opened = Jobs(keep=3)
    yield opened
    opened.close()


def until_cancelled(job: Job) -> str:
    job.cancel.wait()
    return "stopped"


def test_one_of_each_kind_runs_at_a_time(jobs: Jobs) -> None:
    first = jobs.start("diff", until_cancelled, title="Compare", author="ada")
    assert jobs.start("diff", until_cancelled) is first
    other = jobs.start("sync", lambda job: 7)
    assert other.wait(5)
    assert (other.state, other.result) == (JobState.FINISHED, 7)
    assert jobs.of() == (other, first)
    assert jobs.find(first.number) is first
    first.cancel.set()
    assert first.wait(5)
    assert (first.state, first.result, first.author) == (JobState.CANCELLED, "stopped", "ada")


def test_failures_are_told(jobs: Jobs, caplog: pytest.LogCaptureFixture) -> None:
    def lose(job: Job) -> None:
        raise JobFailed("the cloud store was lost")

    told = jobs.start("sync", lose)
    assert told.wait(5)
    assert (told.state, told.problem) == (JobState.BROKEN, "the cloud store was lost")
    assert "Traceback" not in caplog.text
    bug = jobs.start("sync", lambda job: 1 / 0)
    assert bug.wait(5)
    assert bug.problem == "ZeroDivisionError: division by zero"


def test_a_cancelled_job_says_what_there_is_and_is_no_failure(jobs: Jobs) -> None:
    def work(job: Job) -> None:
        job.cancel.wait(5)
        raise JobCancelled("Cancelled after 7 keys; those are written.")

    told = jobs.start("import", work)
    told.cancel.set()
    assert told.wait(5)
    assert (told.state, told.problem) == (JobState.CANCELLED, None)
    assert told.summary == "Cancelled after 7 keys; those are written."


def test_what_a_cancelled_job_still_waits_for() -> None:
    job = Job(1, "pair")
    job.say(Progress("the cloud store is filled from the local one"))
    job.cancel.set()
    assert jobview.job_line(job).startswith("stopping · the cloud store is filled from the local one · ")


def test_what_runs_is_never_forgotten(jobs: Jobs) -> None:
    running = jobs.start("diff", until_cancelled)
    for _ in range(6):
        assert jobs.start("sync", lambda job: None).wait(5)
    assert running in jobs.of()
    assert len(jobs.of()) == 3


def test_rate_and_time_left_are_worked_out(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = [100.0]
    monkeypatch.setattr("panel.jobs.time.monotonic", lambda: now_s[0])
    job = Job(1, "import")
    job.say(Progress("reading", 0, 1000))
    assert (job.progress.rate_per_s, job.progress.eta_s) == (None, None)
    now_s[0] += 2
    job.say(Progress("reading", 500, 1000))
    assert (job.progress.rate_per_s, job.progress.eta_s, job.progress.share) == (250.0, 2.0, 0.5)
    job.say(Progress("writing", 1, None))
    assert (job.progress.rate_per_s, job.progress.eta_s, job.progress.share) == (None, None, None)


def test_notes_keep_their_place() -> None:
    job = Job(1, "drill")
    for name, note in (("a", 1), ("b", 2), ("a", 3)):
        job.note(name, note)
    assert job.notes == (3, 2)
    assert (job.noted("a"), job.noted("c")) == (3, None)


def test_closing_cancels_all_at_once() -> None:
    jobs, begun = Jobs(), threading.Barrier(3)

    def work(job: Job) -> None:
        begun.wait(5)
        job.cancel.wait()

    started = [jobs.start(kind, work) for kind in ("a", "b")]
    begun.wait(5)
    jobs.close()
    assert {job.state for job in started} == {JobState.CANCELLED}
