"""Who reads and who writes, from the state of the stores, the authority and the settings."""

from __future__ import annotations

from dataclasses import dataclass

from hybrid.core.authority import Authority
from hybrid.types import ReadPreference, Store, StoreState

__all__ = ["Routes", "planned_routes"]

NO_CLUSTER = "the local store does not take writes now, and a cluster takes none in its place"


@dataclass(frozen=True, slots=True)
class Routes:
    """`reads`: stores to ask, in order. `writer`: the store to write to, None when none can take a write.

    `claim`: the authority must first be claimed for `writer`, because the other store is lost. `confirm`: the other
    store can confirm writes now. `relayed`: instead of a claim, another process writes to the local one. `spare`: the
    cloud store can take over from a local one that takes no writes. `refusal` is what is said of a write when there is
    no writer.
    """

    reads: tuple[Store, ...]
    writer: Store | None
    claim: bool
    confirm: bool
    relayed: bool = False
    spare: bool = False
    refusal: str = "no store takes writes now"


def planned_routes(
    local: StoreState,
    cloud: StoreState | None,
    authority: Authority,
    preference: ReadPreference,
    faster: Store = Store.LOCAL,
    *,
    relay: bool = False,
    cloud_leads: bool = True,
) -> Routes:
    """The routes of one process. `cloud` is None when only the local store is in use. `relay`: others are known
    to reach the local store when this process does not. Without `cloud_leads` the cloud store never takes writes: it
    has the authority only while it refills a local store that lost its data."""
    if cloud is None:
        usable = not local.is_lost
        return Routes((Store.LOCAL,) if usable else (), Store.LOCAL if usable else None, False, False)
    states = {Store.LOCAL: local, Store.CLOUD: cloud}
    writer, claim = _writer(states, authority, relay)
    reads, confirms = _reads(states, authority, preference, faster), _confirms(states, writer)
    if writer is Store.CLOUD and not cloud_leads:
        return Routes(reads, None, claim and local is StoreState.WIPED, confirm=False, refusal=NO_CLUSTER)
    spare = authority.admits(Store.LOCAL) and cloud is StoreState.UP
    return Routes(reads, writer, claim, confirms, relayed=relay and claim, spare=spare)


def _writer(states: dict[Store, StoreState], authority: Authority, relay: bool) -> tuple[Store | None, bool]:
    holder = authority.store
    if not states[holder].is_lost:
        # A handover or drain that lost its goal must be taken back, or writers would wait for a dead store.
        return holder, authority.is_moving and states[holder.other].is_lost and not relay
    return (holder.other, True) if states[holder.other] is StoreState.UP else (None, False)


def _reads(
    states: dict[Store, StoreState], authority: Authority, preference: ReadPreference, faster: Store
) -> tuple[Store, ...]:
    first = faster if preference is ReadPreference.FASTEST else Store(preference.value)
    return tuple(store for store in (first, first.other) if states[store] is StoreState.UP)


def _confirms(states: dict[Store, StoreState], writer: Store | None) -> bool:
    return writer is not None and states[writer.other] is StoreState.UP
