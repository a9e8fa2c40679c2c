"""The authority moves because an operator says so: in order, with nothing in doubt, and no command that fails.

To the cloud store: the record becomes `drain` on both stores, so that writers wait; the shipper brings the local log's
last entries over as always; the record becomes `cloud`, held. Writers wait for about three cloud round trips, and one
that waits too long takes the drain back. Back to the local store: the hold is lifted, and the shipper hands over.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from hybrid.core.authority import Authority, Holder
from hybrid.core.outcomes import NotSent, ReplyLost
from hybrid.core.resp import pack
from hybrid.errors import HybridError
from hybrid.replication.engine import HANDOVER_S, Engine
from hybrid.replication.inspection import in_sync
from hybrid.replication.seal import restate
from hybrid.stores.wire import Wire
from hybrid.types import Store, StoreState

__all__ = ["fail_back", "fail_over"]

ATTEMPTS: Final = 3
DRAIN_S: Final = 0.7 * HANDOVER_S
"""Less than writers wait before they take a drain back."""
POLL_S: Final = 0.002


def fail_over(engine: Engine, timeout_s: float) -> Authority:
    """Give the cloud store the authority, to keep; the record that stands then. Does nothing where it holds it already.

    Raises HybridError when the cloud store does not have everything, or cannot get it within `timeout_s`; writes go on
    as before then. Raises ReplyLost when the cloud store is lost in the very moment of the move.
    """
    if not engine.board.settings.cloud_leads:
        raise HybridError("nothing was changed: the cloud store is a cluster, which takes no writes")
    deadline_s = time.monotonic() + timeout_s
    for _ in range(ATTEMPTS):
        with _fenced(engine, Store.CLOUD) as wire:
            record = _known(wire)
            if record.holder is Holder.CLOUD:
                if not record.held:
                    restate(engine.endpoints[Store.CLOUD], wire, record.succeeded_by(Holder.CLOUD, held=True))
            elif record.store is Store.LOCAL:
                _require_caught_up(engine, deadline_s)
                _drain(engine, wire, record)
            engine.board.learn(wire.authority, source=Store.CLOUD)
            if _known(wire).holder is Holder.CLOUD and _known(wire).held:
                return _known(wire)
        engine.board.wait(HANDOVER_S)  # a handover is on its way, or somebody else was faster
    raise HybridError("the authority keeps moving by itself; try again when both stores are up")


def fail_back(engine: Engine) -> Authority:
    """Lift the hold: the shipper gives the local store the authority as soon as that has everything. The record that
    stands then, which is still the cloud store's. A drain that did not end is taken back.

    Raises HybridError when the cloud store does not answer.
    """
    with _fenced(engine, Store.CLOUD) as wire:
        record = _known(wire)
        if record.held:
            restate(engine.endpoints[Store.CLOUD], wire, record.succeeded_by(Holder.CLOUD))
        elif record.holder is Holder.DRAIN:
            _take_back(engine, wire, record)
        engine.board.learn(wire.authority, source=Store.CLOUD)
        return _known(wire)


def _known(wire: Wire) -> Authority:
    if wire.authority is None:
        raise HybridError("the cloud store is not half of a pair yet: see `python -m hybrid status`")
    return wire.authority


@contextmanager
def _fenced(engine: Engine, store: Store) -> Iterator[Wire]:
    """A fenced wire that has just looked at its record."""
    endpoint = engine.endpoints[store]
    try:
        generation, wire = endpoint.take_fenced()
        endpoint.fence(wire)
    except (NotSent, ReplyLost) as error:
        raise HybridError(f"nothing was changed: the {store} store does not answer ({error})") from None
    yield wire
    endpoint.give_fenced(generation, wire)


def _require_caught_up(engine: Engine, deadline_s: float) -> None:
    left_s = max(deadline_s - time.monotonic(), 0.0)
    if in_sync(engine, left_s):
        return
    view = engine.board.view(Store.CLOUD)
    state = view.state if view.state is not StoreState.UP else "still missing entries"
    raise HybridError(f"nothing was changed: the cloud store is {state} ({view.reason or 'see the lag'})")


def _drain(engine: Engine, cloud: Wire, record: Authority) -> None:
    """From `local` to `cloud`, held. Whatever goes wrong, the record that then stands lets writes go on."""
    endpoint = engine.endpoints[Store.CLOUD]
    draining = record.succeeded_by(Holder.DRAIN)
    endpoint.move(cloud, draining)
    if cloud.authority != draining:
        return
    engine.board.learn(draining, source=Store.CLOUD)
    moved = draining.succeeded_by(Holder.CLOUD, held=True)
    try:
        _tell_local(engine, draining)
        _await_empty_log(engine)
        endpoint.move(cloud, moved)
    except ReplyLost:
        # Either record may stand now. Whoever writes next finds out.
        raise
    except HybridError:
        _take_back(engine, cloud, draining)
        raise
    if cloud.authority == moved:
        engine.board.learn(moved, source=Store.CLOUD)
        _tell_local(engine, moved)


def _tell_local(engine: Engine, authority: Authority) -> None:
    with _fenced(engine, Store.LOCAL) as wire:
        while wire.authority is not None and wire.authority.epoch < authority.epoch:
            engine.endpoints[Store.LOCAL].move(wire, authority)


def _await_empty_log(engine: Engine) -> None:
    """The log is trimmed as far as it is applied: once it is empty, everything is on the cloud store."""
    deadline_s = time.monotonic() + DRAIN_S
    wire = engine.endpoints[Store.LOCAL].connect_raw()
    try:
        while (length := wire.exchange(pack(("XLEN", engine.names.log)), 1)[0]) != 0:
            if isinstance(length, Exception):
                raise HybridError(str(length))
            if time.monotonic() > deadline_s:
                raise HybridError("no failover: the last writes did not reach the cloud store in time; try again")
            time.sleep(POLL_S)
    finally:
        wire.disconnect()


def _take_back(engine: Engine, cloud: Wire, draining: Authority) -> None:
    """Let writes go on where they were, also when the cloud store was lost: it cannot have got the authority."""
    back = draining.succeeded_by(Holder.LOCAL)
    lost = False
    try:
        if cloud.authority == draining:
            engine.endpoints[Store.CLOUD].move(cloud, back)
    except (NotSent, ReplyLost):
        lost = True
    if lost or cloud.authority == back:
        _tell_local(engine, back)
        engine.board.learn(back, source=Store.LOCAL)
