"""Whether both stores can be compared and repaired now; if not, what is so, since when, and what to do. Pure."""

from __future__ import annotations

from panel.format import clock
from panel.queries import Overview, StoreFacts, StoreState
from panel.verdict import Tone, Verdict

__all__ = ["obstacle", "repair_obstacle"]


def obstacle(snapshot: Overview | None, zone: str | None = None) -> Verdict | None:
    """Why the stores cannot be compared now; None when they can."""
    if snapshot is None:
        return Verdict(Tone.NOTE, "Starting", "The panel is starting; nothing is known of the stores yet.")
    if snapshot.cloud is None:
        sentence = "There is one store only, so there is nothing to compare it with."
        return Verdict(Tone.NOTE, "Local only", sentence, "Set UPSTASH_REDIS_URL in .env and start the panel again.")
    known = (snapshot.local, snapshot.cloud)
    down = [facts for facts in known if facts.status.state is StoreState.DOWN]
    if len(down) == 2:
        since = clock(max(facts.status.since_s for facts in down), zone)
        where = " and ".join(facts.status.address for facts in down)
        sentence = f"No store answers since {since}: nothing can be read, and nothing is changed."
        return Verdict(Tone.ALARM, "Both down", sentence, f"Start or reconnect {where}; the panel notices by itself.")
    for facts in known:
        if facts.status.state is not StoreState.UP:
            return _not_up(facts, zone)
    return None


def repair_obstacle(snapshot: Overview | None, zone: str | None = None) -> Verdict | None:
    """Why nothing can be repaired now; None when it can."""
    found = obstacle(snapshot, zone)
    if found is None and snapshot is not None and not snapshot.settings.write_both:
        sentence = "Writes stay on the local store, so the stores may be compared, but not repaired."
        return Verdict(Tone.NOTE, "Local only", sentence, "Choose the write mode “Both stores” in Settings first.")
    return found


def _not_up(facts: StoreFacts, zone: str | None) -> Verdict:
    store, since = facts.status.store, clock(facts.status.since_s, zone)
    if facts.status.state is StoreState.DOWN:
        sentence = f"The {store} store is down since {since}: the two cannot be compared until it answers again."
        advice = f"Bring back {facts.status.address}. What was written meanwhile follows by itself, without a sync."
        return Verdict(Tone.WARNING, f"{store.title()} down", sentence, advice)
    if facts.status.state is StoreState.CATCHING_UP:
        sentence = f"The {store} store is catching up since {since}: until it is done, what differs is on its way."
        return Verdict(Tone.NOTE, "Catching up", sentence, "Nothing to do; compare when it is up.")
    if facts.status.state is StoreState.WIPED:
        sentence = f"The {store} store lost its data at {since}, and is filled again from the {store.other} store."
        return Verdict(Tone.WARNING, "Lost its data", sentence, "Nothing to do here; compare when it is up.")
    sentence = f"The state of the {store} store is unknown since {since}."
    return Verdict(Tone.NOTE, "Unknown", sentence, "This settles within seconds of the first command.")
