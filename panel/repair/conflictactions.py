"""What is done with values that lost a conflict. Each action checks the role itself, is audited, and says what came of
it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hybrid.client import HybridRedis
from hybrid.ops import conflicts as archive
from panel.actions import Outcome, is_phrase, record, require_operator
from panel.format import plural, sentence
from panel.i18n import _, ngettext
from panel.repair import queries
from panel.work import FAILURES, NO_CLIENT, client

__all__ = ["discard_conflicts", "keep_conflict", "restore_conflict"]


def keep_conflict(conflict_id: str, *, force: bool = False) -> Outcome:
    """Agree with the value that won."""
    return _decided(
        lambda on, author: archive.keep(on, conflict_id, author=author, force=force),
        _("Kept: the other value has left the archive."),
        f"keep conflict {conflict_id}",
    )


def restore_conflict(conflict_id: str, *, force: bool = False) -> Outcome:
    """Make the value that lost live again, on both stores."""
    return _decided(
        lambda on, author: archive.restore(on, conflict_id, author=author, force=force),
        _("Restored on both stores; the value that it replaced has taken its place in the archive."),
        f"restore conflict {conflict_id}",
    )


def discard_conflicts(conflict_ids: Sequence[str] | None, *, typed: str = "") -> Outcome:
    """Throw archived values away for good; None for all of them, which has to be confirmed with the word discard."""
    if conflict_ids is None:
        require_operator()
        if not is_phrase(typed, "discard"):
            return Outcome(False, _("Nothing was thrown away: type the word discard first."))
        return _decided(
            lambda on, author: archive.discard_all(on, author=author), _("The archive is empty."), "discard all"
        )
    ids = tuple(conflict_ids)
    return _decided(
        lambda on, author: archive.discard(on, ids, author=author),
        ngettext("Thrown away: {n} archived value.", "Thrown away: {n} archived values.", len(ids)).format(n=len(ids)),
        f"discard {plural(len(ids), 'conflict')}",
    )


def _decided(act: Callable[[HybridRedis, str], object], said: str, deed: str) -> Outcome:
    author, found = require_operator(), client()
    if found is None:
        return Outcome(False, _(NO_CLIENT))
    try:
        act(found, author)
    except FAILURES as error:
        return Outcome(False, sentence(error))
    queries.forget("conflicts", "look")
    record(author, deed)
    return Outcome(True, said)
