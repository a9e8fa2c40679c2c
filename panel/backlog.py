"""How much of the replication log the other store has not got yet: entries, seconds, bytes."""

from __future__ import annotations

from redis.exceptions import RedisError

from hybrid.ops.facts import entry_bytes
from panel import format
from panel.i18n import _
from panel.process import process
from panel.queries import Overview
from panel.reads import Known, ReadFailed

__all__ = ["note"]

FRESH_S = 10.0


def note(snapshot: Overview) -> str:
    """What is to be said below the number of entries."""
    entries = snapshot.status.lag_entries
    if entries is None:
        return _("the log could not be read")
    if entries == 0:
        return _("all shipped")
    behind = _("{time} behind").format(time=format.seconds(snapshot.status.lag_s))
    size = _size(snapshot)
    return behind if size is None else f"{behind} · " + _("about {size}").format(size=format.size(size))


def _size(snapshot: Overview) -> float | None:
    """Of what waits now, by the mean size of an entry; the store that has the log is asked for that beside the page."""
    agent, authority = process().agent, snapshot.status.authority

    def ask() -> float | None:
        if agent is None:
            raise ReadFailed("The panel's client is not running.")
        try:
            with agent.client.store(authority) as store:
                return entry_bytes(store)
        except RedisError as error:
            raise ReadFailed(str(error)) from None

    answer = process().reads.get(("log bytes", authority), ask, max_age_s=FRESH_S, patience_s=0.0)
    found = answer if isinstance(answer, Known) else answer.last
    each = None if found is None else found.value
    return None if each is None else each * (snapshot.status.lag_entries or 0)
