"""What is waiting in the log, and whether both stores have everything."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from hybrid.core.actions import Ask
from hybrid.core.authority import Position, position, position_text
from hybrid.core.resp import pack
from hybrid.errors import StoreUnavailable
from hybrid.types import Status, Store, StoreState, StoreStatus

if TYPE_CHECKING:
    from hybrid.replication.engine import Engine
from hybrid.replication.lease import owner

__all__ = ["in_sync", "taken_status"]

POLL_S: Final = {Store.LOCAL: 0.02, Store.CLOUD: 0.25}


def taken_status(engine: Engine) -> Status:
    """A snapshot; facts of a store that cannot be asked now are None."""
    board = engine.board
    cloud = _store_status(engine, Store.CLOUD) if Store.CLOUD in engine.endpoints else None
    facts = _log_facts(engine) if board.settings.replicated else (None,) * 6
    entries, lag_s, conflicts, shipper, folded_keys, refused_keys = facts
    return Status(
        local=_store_status(engine, Store.LOCAL),
        cloud=cloud,
        authority=board.authority.store,
        epoch=board.authority.epoch,
        lag_entries=entries,
        lag_s=lag_s,
        conflicts=conflicts,
        shipper=shipper,
        shipping_here=board.shipping,
        shipper_stuck=board.shipper_stuck,
        unconfirmed_writes=board.unconfirmed,
        config_version=engine.live.version,
        taken_at_s=time.time(),
        held=board.authority.held,
        folded_keys=folded_keys,
        refused_keys=refused_keys,
    )


def _store_status(engine: Engine, store: Store) -> StoreStatus:
    view, refusal = engine.board.view(store), engine.board.refusal(store)
    address = engine.endpoints[store].address
    return StoreStatus(store, view.state, view.since_s, refusal or view.reason, address, bool(refusal))


def _ask(engine: Engine, *commands: tuple[Any, ...]) -> list[Any] | None:
    """The authority's replies; None when it cannot be asked."""
    store = engine.board.authority.store
    if engine.board.state(store) in (StoreState.DOWN, StoreState.UNKNOWN):
        return None
    try:
        # With a timeout of its own it is not measured: latency is that of the application's calls.
        timeout_s = engine.endpoints[store].patience_s
        payload = b"".join(map(pack, commands))
        replies: list[Any] = engine.perform(Ask(store, payload, len(commands), decode=False, timeout_s=timeout_s))
        return replies
    except StoreUnavailable:
        return None


def _log_facts(engine: Engine) -> tuple[int | None, float | None, int | None, str | None, int | None, int | None]:
    """Entries waiting, age of the oldest in seconds, archived conflicts, who ships, keys of a folded log, keys that the
    other store could not take."""
    names = engine.names
    replies = _ask(
        engine,
        ("XLEN", names.log),
        ("XRANGE", names.log, "-", "+", "COUNT", 1),
        ("TIME",),
        ("XLEN", names.conflicts),
        ("GET", names.lease),
        ("HLEN", names.folded),
        ("HLEN", names.refused),
    )
    if replies is None or any(isinstance(reply, Exception) for reply in replies):
        return (None,) * 6
    length, oldest, now, conflicts, holder, folded_keys, refused_keys = replies
    lag_s = 0.0
    if oldest:
        lag_s = max(0.0, int(now[0]) + int(now[1]) / 1e6 - position(oldest[0][0])[0] / 1000)
    return length, lag_s, conflicts, owner(holder.decode()) if holder else None, folded_keys, refused_keys


def in_sync(engine: Engine, timeout_s: float) -> bool:
    """Whether everything logged before the call is on both stores within `timeout_s`."""
    board = engine.board
    deadline_s = time.monotonic() + timeout_s
    if not board.settings.replicated:
        return Store.CLOUD not in engine.endpoints
    goal: Position | None = None
    source: Store | None = None
    while True:
        if source is not board.authority.store or goal is None:
            source, goal = board.authority.store, _tail(engine)
        if goal is not None and all(board.state(store) is StoreState.UP for store in Store) and _reached(engine, goal):
            return True
        left_s = deadline_s - time.monotonic()
        if left_s <= 0:
            return False
        time.sleep(min(POLL_S[source], left_s))


def _tail(engine: Engine) -> Position | None:
    replies = _ask(engine, ("XINFO", "STREAM", engine.names.log))
    if replies is None:
        return None
    if isinstance(replies[0], Exception):
        return (0, 0)
    reply = replies[0]
    facts = reply if isinstance(reply, dict) else dict(zip(reply[::2], reply[1::2], strict=True))
    return position(facts[b"last-generated-id"])


def _reached(engine: Engine, goal: Position) -> bool:
    names = engine.names
    replies = _ask(
        engine,
        ("XRANGE", names.log, "-", position_text(goal), "COUNT", 1),
        ("EXISTS", names.folded, names.folded_commands, names.refused),
    )
    return replies == [[], 0]
