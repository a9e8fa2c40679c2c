"""How much of the replication log the other store has not got yet: entries, seconds, bytes."""

from __future__ import annotations

from panel import format
from panel.i18n import _
from panel.queries import Overview, StoreState
from panel.repair.queries import logged_bytes
from panel.verdict import facts_of, stranger

__all__ = ["note"]


def note(snapshot: Overview) -> str:
    """What is to be said below the number of entries."""
    entries = snapshot.status.lag_entries
    if not snapshot.settings.replicated:
        return _("writes stay local")
    if stranger(snapshot) is not None:
        return _("nothing is sent: no pair yet")
    if entries is None:
        return _("the log could not be read")
    if entries == 0:
        return _copied(snapshot) or _("all shipped")
    behind = _("{time} behind").format(time=format.seconds(snapshot.status.lag_s))
    size = _size(snapshot)
    return behind if size is None else f"{behind} · ~{format.size(size)}"


def _copied(snapshot: Overview) -> str | None:
    """How far a store is that is being filled again: that does not wait in the log."""
    target, source = (
        facts_of(snapshot, store) for store in (snapshot.status.authority.other, snapshot.status.authority)
    )
    if target is None or target.status.state not in (StoreState.WIPED, StoreState.CATCHING_UP):
        return None
    if target.keys is None or source is None or not source.keys or target.keys >= source.keys:
        return _("being copied")
    return _("being copied: {share} of the keys").format(share=f"{int(100 * target.keys / source.keys)}%")


def _size(snapshot: Overview) -> float | None:
    """Of what waits now, by the mean size of an entry."""
    found = logged_bytes(snapshot.status.authority).last
    each = None if found is None else found.value
    return None if each is None else each * (snapshot.status.lag_entries or 0)
