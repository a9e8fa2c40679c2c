"""From evidence to the state of a store: one transition table.

Evidence comes from traffic first (a reply, a refused connection, silence), from a PING only after silence.
A store that answers again has to catch up before it is `UP`: who saw it catch up says so with `CAUGHT_UP`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from hybrid.types import StoreState

__all__ = ["Evidence", "View", "next_view"]


class Evidence(StrEnum):
    """What was observed of a store."""

    ANSWERED = "it answers"
    REFUSED = "connection refused"
    SILENT = "no answer in time"
    LOST = "connection lost"
    LEFT_ALONE = "it is none of this pair"
    CAUGHT_UP = "it had everything"
    BEHIND = "entries are waiting for it"
    WIPED = "its data is gone"
    MARKED = "it has its mark again"


@dataclass(frozen=True, slots=True)
class View:
    """One store as one process sees it, since `since_s` (Unix time), because of `reason`. `alone`: it answers, and is
    left alone."""

    state: StoreState
    since_s: float
    reason: str = ""
    alone: bool = False


_FAILED = dict.fromkeys(
    (Evidence.REFUSED, Evidence.SILENT, Evidence.LOST, Evidence.LEFT_ALONE), StoreState.DOWN
)  # fmt: skip
_ANSWERS = {Evidence.ANSWERED: StoreState.CATCHING_UP, Evidence.MARKED: StoreState.CATCHING_UP}
_TABLE: dict[StoreState, dict[Evidence, StoreState]] = {
    StoreState.UNKNOWN: {**_FAILED, **_ANSWERS, Evidence.WIPED: StoreState.WIPED},
    StoreState.DOWN: {**_ANSWERS, Evidence.WIPED: StoreState.WIPED},
    StoreState.CATCHING_UP: {**_FAILED, Evidence.CAUGHT_UP: StoreState.UP, Evidence.WIPED: StoreState.WIPED},
    StoreState.UP: {**_FAILED, Evidence.BEHIND: StoreState.CATCHING_UP, Evidence.WIPED: StoreState.WIPED},
    StoreState.WIPED: {**_FAILED, Evidence.MARKED: StoreState.CATCHING_UP, Evidence.CAUGHT_UP: StoreState.UP},
}


def next_view(view: View, evidence: Evidence, now_s: float, reason: str = "") -> View:
    """The view after `evidence`; the same object when nothing changes, so that callers can tell by identity.

    A store that stays down may do so for another `reason`: one that is started again loads its data first. It is down
    anew when it was left alone before, or is now.
    """
    state = _TABLE[view.state].get(evidence)
    alone = evidence is Evidence.LEFT_ALONE
    if view.state is StoreState.DOWN and evidence in _FAILED and reason not in ("", view.reason):
        since_s = view.since_s if alone is view.alone else now_s
        return replace(view, since_s=since_s, reason=reason, alone=alone)
    if state is None or state is view.state:
        return view
    return replace(view, state=state, since_s=now_s, reason=reason or evidence.value, alone=alone)
