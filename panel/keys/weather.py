"""What is so about the stores, for the page Keys: what can be seen and changed now, since when, what to do. Pure."""

from __future__ import annotations

from panel.format import clock
from panel.i18n import N_, _
from panel.queries import Overview, Store, StoreState
from panel.verdict import Tone, Verdict, full, named, nothing_serves, refusing, remedy, unpaired, writing_store

__all__ = ["notice"]

FOLLOWS = N_("Whether they are equal is unknown. Changes go to the {other} store; the {store} store follows.")
ALONE = N_("Whether they are equal is unknown. Changes go to the {other} store alone.")
NO_CHANGES = N_("Whether they are equal is unknown. Nothing can be changed: no store takes writes.")


def notice(snapshot: Overview | None, zone: str | None = None) -> Verdict | None:
    """Why the page shows less than both stores; None when it shows all."""
    if snapshot is None:
        return Verdict(Tone.NOTE, _("Starting"), _("The panel is starting; nothing is known of the stores yet."))
    sides = [facts for facts in (snapshot.local, snapshot.cloud) if facts is not None]
    found = unpaired(snapshot) or nothing_serves(snapshot, zone)
    if found is not None:
        return found
    down = [facts for facts in sides if facts.status.state is StoreState.DOWN]
    if down and len(down) == len(sides):
        since = clock(max(facts.status.since_s for facts in down), zone)
        sentence = _("No store answers since {since}: no key can be shown or changed.").format(since=since)
        return Verdict(Tone.ALARM, _("Down"), sentence, _("Start or reconnect a store; the panel notices by itself."))
    for facts in down:
        store = facts.status.store
        values = {"store": named(store), "other": named(store.other), "since": clock(facts.status.since_s, zone)}
        sentence = _("The {store} store is down since {since}: only keys of the {other} store are shown.")
        advice = _(_changes(snapshot, store))
        told = f"{advice.format(**values)} {remedy(facts)}"
        return Verdict(Tone.WARNING, _("Down"), sentence.format(**values), told)
    found = refusing(snapshot, zone) or full(snapshot)
    if found is not None:
        return found
    for facts in sides:
        values = {"store": named(facts.status.store), "since": clock(facts.status.since_s, zone)}
        if facts.status.state is StoreState.CATCHING_UP:
            sentence = _("The {store} store is catching up since {since}: what differs may be on its way.")
            return Verdict(Tone.NOTE, _("Catching up"), sentence.format(**values))
        if facts.status.is_new:
            sentence = _("The {store} store is new, and being filled since {since}.")
            return Verdict(Tone.NOTE, _("Being filled"), sentence.format(**values))
        if facts.status.state is StoreState.WIPED:
            sentence = _("The {store} store lost its data at {since} and is being filled again.")
            return Verdict(Tone.WARNING, _("Lost its data"), sentence.format(**values))
        if facts.status.state is StoreState.UNKNOWN:
            sentence = _("The state of the {store} store is unknown since {since}.")
            return Verdict(Tone.NOTE, _("Unknown"), sentence.format(**values), _("This settles within seconds."))
    if snapshot.cloud is None:
        return Verdict(Tone.NOTE, _("Local only"), _("There is one store only: every key is local."))
    return None


def _changes(snapshot: Overview, down: Store) -> str:
    """What becomes of changes while this store is down."""
    if writing_store(snapshot) is not down.other:
        return NO_CHANGES
    return FOLLOWS if snapshot.settings.replicated else ALONE
