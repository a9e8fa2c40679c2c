"""Whether both stores can be compared and repaired now; if not, what is so, since when, and what to do. Pure."""

from __future__ import annotations

from panel.format import clock
from panel.i18n import _
from panel.queries import Overview, Store, StoreFacts, StoreState
from panel.verdict import Tone, Verdict, named, nothing_serves, refusing, remedy, unpaired

__all__ = ["obstacle", "repair_obstacle"]


def obstacle(snapshot: Overview | None, zone: str | None = None) -> Verdict | None:
    """Why the stores cannot be compared now; None when they can."""
    if snapshot is None:
        return Verdict(Tone.NOTE, _("Starting"), _("The panel is starting; nothing is known of the stores yet."))
    if snapshot.cloud is None:
        sentence = _("There is one store only, so there is nothing to compare it with.")
        advice = _("Set UPSTASH_REDIS_URL in .env and start the panel again.")
        return Verdict(Tone.NOTE, _("Local only"), sentence, advice)
    found = unpaired(snapshot, zone) or nothing_serves(snapshot, zone)
    if found is not None:
        return found
    known = (snapshot.local, snapshot.cloud)
    down = [facts for facts in known if facts.status.state is StoreState.DOWN]
    if len(down) == 2:
        since = clock(max(facts.status.since_s for facts in down), zone)
        sentence = _("No store answers since {time}: nothing can be read, and nothing is changed.").format(time=since)
        addresses = [facts.status.address for facts in down]
        advice = _("Start or reconnect {local} and {cloud}; the panel notices by itself.")
        return Verdict(Tone.ALARM, _("Both down"), sentence, advice.format(local=addresses[0], cloud=addresses[1]))
    found = None if down else refusing(snapshot, zone)
    if found is not None:
        return found
    for facts in known:
        if facts.status.state is not StoreState.UP:
            return _not_up(facts, zone)
    return None


def repair_obstacle(snapshot: Overview | None, zone: str | None = None) -> Verdict | None:
    """Why nothing can be repaired now; None when it can."""
    found = obstacle(snapshot, zone)
    if found is None and snapshot is not None and not snapshot.settings.write_both:
        sentence = _("Writes stay on the local store, so the stores may be compared, but not repaired.")
        advice = _("Choose the write mode “Both stores” in Settings first.")
        return Verdict(Tone.NOTE, _("Local only"), sentence, advice)
    return found


def _not_up(facts: StoreFacts, zone: str | None) -> Verdict:
    status = facts.status
    said = {
        "store": named(status.store),
        "other": named(status.store.other),
        "time": clock(status.since_s, zone),
    }
    match status.state:
        case StoreState.DOWN:
            word = _("Local down") if status.store is Store.LOCAL else _("Cloud down")
            sentence = _("The {store} store is down since {time}: the two cannot be compared until it answers again.")
            follows = _("What was written meanwhile needs no sync.")
            return Verdict(Tone.WARNING, word, sentence.format(**said), f"{remedy(facts)} {follows}")
        case StoreState.CATCHING_UP:
            sentence = _("The {store} store is catching up since {time}: until it is done, what differs is on its way.")
            advice = _("Nothing to do; compare when it is up.")
            return Verdict(Tone.NOTE, _("Catching up"), sentence.format(**said), advice)
        case StoreState.WIPED if status.is_new:
            sentence = _("The {store} store is new, and being filled since {since}.")
            advice = _("Nothing to do; compare when it is up.")
            return Verdict(Tone.NOTE, _("Being filled"), sentence.format(since=said["time"], **said), advice)
        case StoreState.WIPED:
            sentence = _("The {store} store lost its data at {time}, and is filled again from the {other} store.")
            advice = _("Nothing to do; compare when it is up.")
            return Verdict(Tone.WARNING, _("Lost its data"), sentence.format(**said), advice)
        case _unknown:
            sentence = _("The state of the {store} store is unknown since {time}.")
            advice = _("This settles within seconds of the first command.")
            return Verdict(Tone.NOTE, _("Unknown"), sentence.format(**said), advice)
