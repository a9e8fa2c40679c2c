"""What the rules judge: numbers from the agent's snapshot, its cost summary, the stores' certificates and events."""

from __future__ import annotations

import ssl
import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from hybrid import events
from hybrid.core.alert_rules import Unit
from hybrid.core.alert_texts import number
from hybrid.core.alerting import Reading
from hybrid.core.divergence import Divergence
from hybrid.core.outcomes import NotSent
from hybrid.core.spending import CostSummary
from hybrid.core.wording import counted, length
from hybrid.types import Purpose, Status, Store, StoreState

if TYPE_CHECKING:
    from hybrid.ops.overview import Overview
    from hybrid.replication.engine import Engine

__all__ = ["Facts", "Refusals", "certificate_days", "pulses_of", "readings_of"]

DAY_S: Final = 86_400.0
WINDOW_S: Final = 60.0
REFUSING: Final = frozenset(
    {"OutOfMemoryError", "ReadOnlyError", "NoPermissionError", "AuthenticationError", "MaxConnectionsError"}
)
"""Errors that the application got to see, and that say something of the store rather than of the command."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What an agent knows besides its snapshot. None is unknown; `refused` is how many commands in the last minute."""

    cost: CostSummary | None = None
    divergence: Divergence | None = None
    refused: int | None = None
    certificates: Mapping[Store, float | None] | None = None


def readings_of(overview: Overview, facts: Facts, now_s: float) -> list[Reading]:
    """One reading for each rule and subject."""
    status = overview.status
    return [
        _no_store(status),
        *(reading for store in Store for reading in _store(status, store, now_s)),
        *_log(status),
        *_memory(overview),
        _divergence(facts.divergence, now_s),
        *_cost(facts.cost),
        _refused(status, facts.refused),
        *(_certificate(store, days) for store, days in (facts.certificates or {}).items()),
    ]


def _no_store(status: Status) -> Reading:
    known = [each for each in (status.local, status.cloud) if each is not None]
    states = [each.state for each in known]
    value = 1.0 if all(state.is_lost for state in states) else 0.0 if StoreState.UP in states else None
    since_s = max(each.since_s for each in known) if value else None
    return Reading("no_store", "", value, "no store answers" if value else "a store serves", since_s)


def _store(status: Status, store: Store, now_s: float) -> Iterable[Reading]:
    known = status.local if store is Store.LOCAL else status.cloud
    if known is None:
        return [Reading(rule, store, 0.0, "no cloud store is configured") for rule in ("store_down", "wiped")]
    # A store that catches up is not well yet: its recovery is told when it has everything.
    down = {StoreState.DOWN: 1.0, StoreState.UP: 0.0, StoreState.WIPED: 0.0}.get(known.state)
    wiped = None if known.is_new else {StoreState.WIPED: 1.0, StoreState.UP: 0.0}.get(known.state)
    reason = f"{store} store ({known.address}) is not in use: {known.reason or 'no reason known'}"
    back = f"the {store} store ({known.address}) is back and in sync"
    lost = f"{store} store ({known.address}) lost its data: its identity is missing or changed"
    return [
        Reading("store_down", store, down, reason if down else back, known.since_s),
        Reading("wiped", store, wiped, lost if wiped else f"the {store} store has its data again"),
    ]


def _log(status: Status) -> Iterable[Reading]:
    lag_s, target = status.lag_s, status.authority.other
    entries = status.lag_entries
    waiting = "entries wait" if entries is None else counted(entries, "entry waits", "entries wait")
    text = f"the {target} store is {number(lag_s or 0.0, Unit.SECONDS)} behind, {waiting}"
    yield Reading("lag", "", lag_s, text if lag_s else "nothing waits for the other store")
    conflicts, folded = status.conflicts, status.folded_keys
    lost = counted(conflicts or 0, "value that lost a conflict is", "values that lost a conflict are")
    yield Reading("conflicts", "", conflicts, f"{lost} in the archive")
    keys = counted(folded or 0, "key waits", "keys wait")
    yield Reading("log_folded", "", folded, f"{keys} besides the log of the other store")
    missing = None if status.lag_entries is None else float(status.shipper is None)
    yield Reading("no_shipper", "", missing, "no process ships the log" if missing else f"{status.shipper} ships it")


def _memory(overview: Overview) -> Iterable[Reading]:
    for store, facts in ((Store.LOCAL, overview.local), (Store.CLOUD, overview.cloud)):
        share = None
        if facts is not None and facts.memory_bytes is not None and facts.memory_limit_bytes:
            share = facts.memory_bytes / facts.memory_limit_bytes
        yield Reading("memory", store, share, f"the {store} store uses {share or 0.0:.0%} of its memory limit")
        policy = facts.eviction_policy if facts is not None else None
        known = facts.evicts_any_key if facts is not None else None
        evicts = None if known is None else float(known)
        text = f"the {store} store takes any key when memory is short (maxmemory-policy {policy})"
        yield Reading("evicts", store, evicts, text if evicts else f"the {store} store takes no key that is to stay")


def _divergence(found: Divergence | None, now_s: float) -> Reading:
    if found is None or not found.checked_at_s:
        return Reading("divergence", "", None)
    age_s = found.oldest_age_s(now_s) if found.open_differences else None
    differ = counted(found.open_differences, "key differs", "keys differ")
    text = f"{differ}, the oldest for {length(age_s or 0.0)}"
    return Reading("divergence", "", age_s or 0.0, text if age_s else "both stores agree as far as they were compared")


def _cost(cost: CostSummary | None) -> Iterable[Reading]:
    if cost is None:
        return
    if not cost.budget_usd:
        yield Reading("budget_near", "", 0.0, "no budget is set")
        yield Reading("budget_over", "", 0.0, "no budget is set")
        return
    text = f"{cost.usd:.2f} of {cost.budget_usd:.2f} USD spent in {cost.month}, {cost.projected_usd:.2f} projected"
    yield Reading("budget_near", "", cost.budget_share, text)
    yield Reading("budget_over", "", cost.usd / cost.budget_usd, text)


def _refused(status: Status, refused: int | None) -> Reading:
    """By the other store, what is shipped to it; by either one, what applications send."""
    refusing = [store for store in (status.local, status.cloud) if store is not None and store.refuses]
    if refused is None and status.refused_keys is None and not refusing:
        return Reading("refused", "", None)
    keys = status.refused_keys or 0
    commands = counted(refused or 0, "command was", "commands were")
    said = [f"{commands} refused in the last minute"] * bool(refused)
    said += [f"{counted(keys, 'key', 'keys')} cannot be held by the {status.authority.other} store"] * bool(keys)
    said += [f"{each.store} store refuses what is shipped to it ({each.reason})" for each in refusing]
    return Reading("refused", "", (refused or 0) + keys + len(refusing), "; ".join(said) or "commands are taken again")


def _certificate(store: Store, days: float | None) -> Reading:
    return Reading("certificate", store, days, f"the {store} store's certificate ends in {days or 0.0:.1f} days")


def pulses_of(happened: Iterable[events.Event]) -> list[Reading]:
    """What events tell that may be over before the next snapshot."""
    found: dict[tuple[str, str], Reading] = {}
    for event in happened:
        rule, subject = {
            events.WipeDetected: ("wiped", getattr(event, "store", "")),
            events.ShippingRefused: ("refused", ""),
            events.CommandUnknown: ("refused", ""),
        }.get(type(event), ("", ""))
        if rule:
            found[rule, str(subject)] = Reading(rule, str(subject), None, event.message, pulse_s=event.at_s)
    return list(found.values())


class Refusals:
    """How many commands were refused in the last minute, from a count that only grows."""

    def __init__(self) -> None:
        self._counts: deque[tuple[float, int]] = deque()

    def take(self, errors: Mapping[tuple[str, str], tuple[int, ...]], now_s: float) -> int:
        """`errors` as in `Record.errors`."""
        total = sum(numbers[0] for (where, kind), numbers in errors.items() if where == "client" and kind in REFUSING)
        self._counts.append((now_s, total))
        while now_s - self._counts[0][0] > WINDOW_S:
            self._counts.popleft()
        return total - self._counts[0][1]


def certificate_days(engine: Engine, store: Store) -> float | None:
    """Days until the certificate of a store ends; None without TLS, and where it cannot be seen. Connects once."""
    endpoint = engine.endpoints.get(store)
    if endpoint is None or not endpoint.url.startswith("rediss://") or not engine.board.reachable(store):
        return None
    try:
        wire = endpoint.connect_raw(purpose=Purpose.HEALTH)
    except NotSent:
        return None
    try:
        found = wire.certificate
    finally:
        wire.disconnect()
    ends = found.get("notAfter")
    return (ssl.cert_time_to_seconds(str(ends)) - time.time()) / DAY_S if ends else None
