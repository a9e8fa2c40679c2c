"""Slow reads are taken off the page: patience is short, the last answer stays, failures are said and not repeated."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from hybrid.types import Store
from panel import queries
from panel import reads as reads_module
from panel.reads import Known, ReadFailed, Reads, Unknown


def test_an_answer_is_shared_until_it_is_old() -> None:
    reads, asked = Reads(), []
    for _ in range(3):
        answer = reads.get(("n",), lambda: asked.append(1) or len(asked), max_age_s=60)
        assert isinstance(answer, Known)
        assert answer.value == 1
    reads.forget("n")
    renewed = reads.get(("n",), lambda: asked.append(1) or len(asked), max_age_s=60)
    assert isinstance(renewed, Known)
    assert renewed.value == 2


def test_nobody_waits_for_a_hung_store() -> None:
    reads, release = Reads(), threading.Event()

    def hang() -> str:
        release.wait(10)
        return "late"

    answer = reads.get(("x",), hang, patience_s=0.01)
    assert isinstance(answer, Unknown)
    assert answer.pending
    assert isinstance(reads.get(("x",), lambda: pytest.fail("asked twice at a time"), patience_s=0), Unknown)
    release.set()
    found = reads.get(("x",), hang, patience_s=5)
    assert isinstance(found, Known)
    assert found.value == "late"


def test_an_old_answer_is_none_while_the_next_is_awaited() -> None:
    reads, release = Reads(), threading.Event()
    reads.get(("x",), lambda: 7)
    for age_s, kind in ((8, Known), (60, Unknown)):
        reads._read(("x",)).known = Known(7, time.time() - age_s)
        answer = reads.get(("x",), lambda: release.wait(10) and 8, max_age_s=5, patience_s=0.01)
        assert isinstance(answer, kind)
    assert answer.pending
    assert answer.last.value == 7
    release.set()


def test_a_failure_is_said_once_and_the_last_answer_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    reads, tried = Reads(), []

    def lose() -> int:
        tried.append(1)
        raise ReadFailed("the cloud store was lost")

    assert isinstance(reads.get(("x",), lambda: 7, max_age_s=0), Known)
    before_s = time.time()
    answer = reads.get(("x",), lose, max_age_s=0)
    assert isinstance(answer, Unknown)
    assert answer.why == "the cloud store was lost"
    assert answer.since_s >= before_s
    assert answer.last is not None
    assert answer.last.value == 7
    assert isinstance(reads.get(("x",), lose, max_age_s=60), Unknown)
    assert len(tried) == 1
    monkeypatch.setattr(reads_module, "FAILED_S", 0.0)
    assert isinstance(reads.get(("x",), lose, max_age_s=60), Unknown)
    assert len(tried) == 2, "an answer may be believed for long, that a store is gone may not"


def test_a_failure_is_not_believed_any_more_once_a_store_is_back() -> None:
    """It was shown until somebody did something on the page."""
    reads = Reads()

    def fail() -> str:
        raise ReadFailed("The store does not answer.")

    failed = reads.get(("x",), fail, max_age_s=300)
    assert isinstance(failed, Unknown) and not failed.pending
    assert isinstance(reads.get(("x",), lambda: "there", max_age_s=300), Unknown)
    reads.retry()
    again = reads.get(("x",), fail, max_age_s=300)
    assert isinstance(again, Unknown) and again.since_s == failed.since_s
    reads.retry()
    there = reads.get(("x",), lambda: "there", max_age_s=300)
    assert isinstance(there, Known) and there.value == "there"


def test_a_surprise_is_logged_and_said(caplog: pytest.LogCaptureFixture) -> None:
    answer = Reads().get(("x",), lambda: 1 // 0)
    assert isinstance(answer, Unknown)
    assert "log" in answer.why
    assert "ZeroDivisionError" in caplog.text


def test_only_the_latest_questions_are_kept() -> None:
    reads = Reads(keep=2)
    for number in range(3):
        reads.get(("n", number), lambda: "old", max_age_s=60)
    again = reads.get(("n", 0), lambda: "new", max_age_s=60)
    assert isinstance(again, Known)
    assert again.value == "new"


def test_a_page_does_not_wait_for_a_store_that_is_known_to_be_silent(set_weather: Callable[[str], object]) -> None:
    set_weather("local down")
    assert queries.patience_s(Store.LOCAL, 1.5) < 0.1
    assert queries.patience_s(Store.CLOUD, 1.5) == 1.5
    set_weather("starting")
    assert queries.patience_s(Store.LOCAL, 1.5) == 1.5
