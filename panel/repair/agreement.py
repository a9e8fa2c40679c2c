"""How far both stores agree: as the periodic sync found it, or a later comparison of everything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from panel import format
from panel.i18n import _, ngettext
from panel.queries import Job, jobs
from panel.reads import Answer, Known
from panel.repair import queries
from panel.repair.actions import KEY_JOB, SYNC_JOB
from panel.repair.queries import DiffResult, Divergence, Ending, Scope, SyncResult
from panel.widgets import zone

__all__ = ["agreement", "found_last", "outdated", "share_and_note"]


def agreement(patience_s: float = 0.8) -> Answer[Divergence | None]:
    """The latest answer that is known; None inside when nothing was ever compared."""
    answer, compared = queries.divergence(patience_s=patience_s), queries.diffs(patience_s)
    results = compared.last.value if compared.last else []
    if answer.last is None:
        return answer
    found = replace(answer.last, value=found_last(answer.last.value, results))
    return found if isinstance(answer, Known) else replace(answer, last=found)


def found_last(measured: Divergence | None, results: Sequence[DiffResult]) -> Divergence | None:
    """What was measured, or what the newest of `results` that compared everything says of the same, if it is later.
    What that found to differ counts until the periodic sync has gone through everything since: a turn looks at some
    keys."""
    whole = next((each for each in results if each.scope == Scope() and each.ending is Ending.FINISHED), None)
    if whole is None:
        return measured
    if measured is not None:
        known_since_s = measured.began_before_s if whole.different else measured.checked_at_s
        if known_since_s >= whole.ended_at_s:
            return measured
    return replace(
        measured or Divergence(), sampled=whole.compared, differed=whole.different, sampled_before=0,
        differed_before=0, open_differences=whole.different, checked_at_s=whole.ended_at_s,
    )  # fmt: skip


def outdated(ended_at_s: float) -> bool:
    """Whether this process has changed on one store what was compared, as far as is known."""
    return any(_has_changed(job) for job in jobs(SYNC_JOB, KEY_JOB) if job.started_at_s > ended_at_s)


def _has_changed(job: Job) -> bool:
    result: SyncResult | None = job.result
    return job.progress.done > 0 if result is None else result.copied + result.deleted > 0


def share_and_note(measured: Divergence | None) -> tuple[str, str] | None:
    """How much was equal when it was looked at, and what became of the rest; None before anything was compared. Beside
    the number there is room for a few words only."""
    share = measured.equal_share if measured is not None else None
    if measured is None or share is None:
        return None
    checked, differ = format.clock(measured.checked_at_s, zone()), measured.open_differences
    if outdated(measured.checked_at_s):
        note = _("synced or undone since · {time}").format(time=checked)
    elif differ:
        note = ngettext("{n} key differs", "{n} keys differ", differ).format(n=format.number(differ)) + f" · {checked}"
    elif share < 1:
        note = _("none differs any more · {time}").format(time=checked)
    else:
        note = _("{n} looked at · {time}").format(n=format.number(measured.seen), time=checked)
    return "100%" if share == 1.0 else f"{format.number(100 * min(share, 0.9999), '.2f')}%", note
