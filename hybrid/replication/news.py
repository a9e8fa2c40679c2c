"""Events of what changed about the stores."""

from __future__ import annotations

from hybrid import events
from hybrid.core.health import View
from hybrid.types import NEW, Store, StoreState

__all__ = ["Change", "News"]

Change = tuple[Store, View, View]
"""A store, how it was seen, and how it is seen now."""


class News:
    """Tells `log`. Remembers since when a store was missed, and that there was none left."""

    def __init__(self, log: events.EventLog) -> None:
        self._log = log
        self._failed_at_s: dict[Store, float] = {}
        self._degraded = False

    def tell(self, changes: list[Change], *, serves: bool) -> None:
        """`serves`: whether there is a store to read from or to write to."""
        for store, before, after in changes:
            if after.state is StoreState.DOWN:
                self._failed_at_s.setdefault(store, after.since_s)
                self._log.emit(events.StoreDown(store=store, reason=after.reason))
                self._tell_degraded(serves)
            elif after.state is StoreState.WIPED:
                self._log.emit((events.StoreNew if after.reason == NEW else events.WipeDetected)(store=store))
                self._tell_degraded(serves)
            elif after.state is StoreState.UP:
                self._tell_up(store, before, after)

    def _tell_up(self, store: Store, before: View, after: View) -> None:
        self._degraded = False
        failed_at_s = self._failed_at_s.pop(store, None)
        if failed_at_s is not None:
            self._log.emit(events.Recovered(store=store, down_s=after.since_s - failed_at_s))
        if failed_at_s is not None or before.state is StoreState.WIPED:
            self._log.emit(events.InSync(store=store))
        else:
            self._log.emit(events.StoreUp(store=store))

    def _tell_degraded(self, serves: bool) -> None:
        if not serves and not self._degraded:
            self._degraded = True
            self._log.emit(events.Degraded())
