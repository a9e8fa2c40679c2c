"""When a store that a stream waits for counts as silent."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest

from hybrid.core.outcomes import ReplyLost
from hybrid.replication.attentive import Attentive
from hybrid.replication.endings import Ended, Outcome, TargetLost
from hybrid.replication.last_word import LastWord
from hybrid.replication.silence import DETOUR_S, SLOWEST_BYTES_S, Silence
from hybrid.stores import pipe as pipe_module
from hybrid.stores.pipe import Pipe, ignore
from hybrid.types import Store

TIMEOUTS_S = {Store.LOCAL: 0.1, Store.CLOUD: 0.2}


class Clock:
    """Stands in for the `time` module of the pipe."""

    now_s = 1000.0

    def monotonic(self) -> float:
        return self.now_s


class Wire:
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.replies: list[Any] = []

    def send(self, payload: bytes, commands: int = 1) -> None: ...

    def arrived(self, *, readable: bool) -> list[Any]:
        replies, self.replies = self.replies, []
        return replies

    def fileno(self) -> int:
        return 7


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(pipe_module, "time", clock)
    return clock


@pytest.fixture
def stream(clock: Clock) -> Any:
    endpoints = {
        store: SimpleNamespace(usual_patience_s=each_s, patience_s=each_s) for store, each_s in TIMEOUTS_S.items()
    }
    pipes = {name: Pipe(Wire()) for name in ("pipe", "control")}  # type: ignore[arg-type]
    return SimpleNamespace(
        source=Store.LOCAL,
        target=Store.CLOUD,
        endpoints=endpoints,
        is_flushing=False,
        is_held_up=False,
        applied=(1, 0),
        **pipes,
    )


def ask(pipe: Pipe, payload: bytes = b"?") -> None:
    pipe.push(payload, 1, ignore)
    pipe.flush()


def answer(pipe: Pipe) -> None:
    pipe.wire.replies = [b"!"]  # type: ignore[attr-defined]
    pipe.collect(readable=True)


def test_nothing_is_due_where_nothing_was_asked(stream: Any, clock: Clock) -> None:
    clock.now_s += 60
    assert Silence(stream).patience_s > 0


def test_a_request_may_wait_for_the_timeout(stream: Any, clock: Clock) -> None:
    ask(stream.pipe)
    assert Silence(stream)._target_patience_s == pytest.approx(0.2, abs=0.001)
    clock.now_s += 0.21
    assert Silence(stream).patience_s == 0


def test_answers_to_older_requests_do_not_prolong_the_wait_of_a_later_one(stream: Any, clock: Clock) -> None:
    """A store that stops has answers on the way: whoever waits for the first that does not come waits no longer."""
    ask(stream.pipe)
    clock.now_s += 0.03
    ask(stream.pipe)
    clock.now_s += 0.03
    answer(stream.pipe)
    clock.now_s += 0.16
    assert Silence(stream).patience_s == pytest.approx(0.01, abs=0.001), "0.03 s of the timeout were over at the answer"


def test_a_store_that_answers_others_is_busy_not_silent(stream: Any, clock: Clock) -> None:
    for _ in range(3):
        ask(stream.pipe)
    clock.now_s += 0.25
    answer(stream.pipe)
    assert Silence(stream)._target_patience_s == pytest.approx(0.1, abs=0.001)


def test_a_request_waits_from_when_it_goes_out(stream: Any, clock: Clock) -> None:
    stream.pipe.push(b"?", 1, ignore)
    clock.now_s += 0.15
    stream.pipe.flush()
    assert Silence(stream)._target_patience_s == pytest.approx(0.2, abs=0.001)


def test_much_on_the_way_may_take_longer(stream: Any, clock: Clock) -> None:
    ask(stream.pipe, b"x" * (SLOWEST_BYTES_S // 2))
    assert Silence(stream)._target_patience_s == pytest.approx(0.7, abs=0.001)


def test_the_source_is_looked_at_before_writers_time_out(stream: Any, clock: Clock) -> None:
    ask(stream.control)
    clock.now_s += 0.001
    assert Silence(stream).patience_s == pytest.approx(DETOUR_S, abs=0.002)
    clock.now_s += DETOUR_S
    assert Silence(stream).patience_s == pytest.approx(0.1 - DETOUR_S, abs=0.002)


@pytest.mark.parametrize(("times", "is_held_up", "ends"), [(1.5, True, False), (1.5, False, True), (4.5, True, True)])
def test_a_thread_that_goes_on_late_does_not_blame_the_store_but_not_for_ever(
    stream: Any, clock: Clock, times: float, is_held_up: bool, ends: bool
) -> None:
    stream.poll = lambda **_: set()
    stream.announcer = SimpleNamespace(tell_by_detour=lambda: None)
    stream.board = SimpleNamespace(observe=lambda *_: None)
    stream.endpoints[Store.CLOUD].retire = lambda: None
    stream.is_held_up = is_held_up
    for pipe, lost in ((stream.control, ReplyLost), (stream.pipe, TargetLost)):
        ask(pipe)
        clock.now_s += TIMEOUTS_S[Store.LOCAL if pipe is stream.control else Store.CLOUD] * times
        with pytest.raises(lost) if ends else nullcontext():
            Silence(stream).check()
        answer(pipe)


def test_states_are_read_with_an_eye_on_the_other_store() -> None:
    """Until the source begins to answer, the stream is asked to attend to everything else."""
    heard: list[str] = []

    class Source:
        def fileno(self) -> int:
            return 7

        def pack_commands(self, commands: Any) -> Any:
            return commands

        def send_packed_command(self, command: Any) -> None:
            heard.append("asked")

        def read_response(self) -> Any:
            heard.append("read")

    def attend(file: int, wait_s: float) -> bool:
        heard.append("attended")
        return file == 7 and heard.count("attended") % 2 == 0

    endpoints = {Store.LOCAL: SimpleNamespace(patience_s=60.0)}
    stream: Any = SimpleNamespace(states=Source(), source=Store.LOCAL, endpoints=endpoints, attend=attend)
    reader = Attentive(stream)
    reader.send_packed_command(reader.pack_commands([]))
    reader.read_response(), reader.read_response()
    assert heard == ["asked", "attended", "attended", "read", "read"]


def test_an_answer_that_nobody_awaits_any_more_is_not_left_for_the_next() -> None:
    """The stream ends in the middle of a question: its wire must not serve another one."""
    closed: list[bool] = []
    wire = SimpleNamespace(fileno=lambda: 7, disconnect=lambda: closed.append(True))

    def attend(file: int, wait_s: float) -> bool:
        raise Ended(Outcome.MOVED)

    endpoints = {Store.LOCAL: SimpleNamespace(patience_s=60.0)}
    stream: Any = SimpleNamespace(states=wire, source=Store.LOCAL, endpoints=endpoints, attend=attend)
    with pytest.raises(Ended):
        Attentive(stream).attend()
    assert closed


def test_a_source_that_does_not_answer_is_waited_for_once() -> None:
    """Writers without a reply wait for the last word of this stream: a second timeout would be theirs, too."""
    closed: list[bool] = []

    def read_response() -> None:
        raise AssertionError("this would wait once more")

    wire = SimpleNamespace(fileno=lambda: 7, disconnect=lambda: closed.append(True), read_response=read_response)
    endpoints = {Store.LOCAL: SimpleNamespace(patience_s=0.0)}
    stream: Any = SimpleNamespace(
        states=wire, source=Store.LOCAL, endpoints=endpoints, attend=lambda file, wait_s: False
    )
    with pytest.raises(ReplyLost) as lost:
        Attentive(stream).attend()
    assert lost.value.silent and closed


@pytest.mark.parametrize(("silent", "looks"), [(True, []), (False, [Store.LOCAL])])
def test_silence_needs_no_second_look(silent: bool, looks: list[Store]) -> None:
    """Writers without a reply wait for the last word: a local store that said nothing for its timeout is lost. One that
    closed the connection may be there."""
    looked: list[Store] = []
    lost: set[Store] = set()
    board = SimpleNamespace(
        authority=SimpleNamespace(store=Store.LOCAL),
        reachable=lambda store: store not in lost,
        observe=lambda store, evidence, reason: lost.add(store),
    )
    endpoint = SimpleNamespace(probe=lambda: looked.append(Store.LOCAL))
    stream: Any = SimpleNamespace(board=board, endpoints={Store.LOCAL: endpoint}, accounts_for_all=False)
    is_lost = LastWord(stream)._is_local_lost(ReplyLost("?", silent=silent))
    assert (is_lost, looked) == (silent, looks)
