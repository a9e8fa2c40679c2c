"""The one sentence that answers "are we fine?", and what each store does now. Pure: decides words, draws nothing."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from panel.format import clock, duration, escaped, number, sentence, size
from panel.i18n import N_, _, ngettext
from panel.queries import Ack, Overview, ReadPreference, Store, StoreFacts, StoreState
from panel.said import said as in_words

__all__ = [
    "FRESH_S", "Tone", "Verdict", "facts_of", "full", "is_current", "is_stranger", "named", "nothing_serves",
    "reading_store", "refusing", "remedy", "roles", "stranger", "unpaired", "unshipped", "verdict", "writing_store",
]  # fmt: skip

NO_PAIR = ("never paired", "halves of different pairs")  # in the reason that the library gives
PASSWORD = N_(
    "It answers at {address}, and refuses the password ({reason}): put the right one into {variable} in .env, and "
    "start every process again."
)
REMEDIES = {
    "password required": PASSWORD,
    "wrong user name or password": PASSWORD,
    "its user lacks a permission": N_(
        "It answers at {address}, and its user lacks a permission: grant it; it catches up then."
    ),
    "still loading its data": N_("It was started, and loads its data ({address}). Nothing to do; it catches up then."),
}
VARIABLES = {Store.LOCAL: "REDIS_URL", Store.CLOUD: "UPSTASH_REDIS_URL"}
FRESH_S = 150.0  # two reads of a cloud store that bills them missed
ROUNDED_S = 2.0  # a store tells whole seconds of how long it runs


class Tone(StrEnum):
    """How much attention something asks for."""

    FINE = "fine"
    NOTE = "note"
    WARNING = "warning"
    ALARM = "alarm"


@dataclass(frozen=True, slots=True)
class Verdict:
    """`word` for the badge, `sentence` for the answer, `advice` for what to do ("" when there is nothing to do), and
    `page`, the name of the page to do it on ("" where that is no page's matter)."""

    tone: Tone
    word: str
    sentence: str
    advice: str = ""
    page: str = ""


def named(store: Store) -> str:
    """What the reader calls this store."""
    return _("local") if store is Store.LOCAL else _("cloud")


def facts_of(overview: Overview, store: Store) -> StoreFacts | None:
    return overview.local if store is Store.LOCAL else overview.cloud


def is_current(facts: StoreFacts, now_s: float) -> bool:
    """Whether the facts were read lately from a store that answers; otherwise they must be shown as unknown."""
    answers = facts.status.state in (StoreState.UP, StoreState.CATCHING_UP, StoreState.WIPED)
    return answers and facts.observed_at_s is not None and now_s - facts.observed_at_s <= FRESH_S


def _serving(overview: Overview) -> list[Store]:
    known = [facts.status for facts in (overview.local, overview.cloud) if facts is not None]
    return [status.store for status in known if status.state is StoreState.UP]


def reading_store(overview: Overview) -> Store | None:
    """Which store answers reads now; None when none does, or when that is not known. The cloud store answers none while
    writes stay local, whatever is preferred: it is out of date."""
    serving = [store for store in _serving(overview) if store is Store.LOCAL or overview.settings.write_both]
    if len(serving) < 2:
        return serving[0] if serving else None
    preference = overview.settings.read_preference
    if preference is ReadPreference.FASTEST:
        measured = {store: p50 for store in serving if (p50 := _p50(overview, store)) is not None}
        return min(measured, key=lambda store: measured[store]) if measured else None
    return Store(preference.value)


def writing_store(overview: Overview) -> Store | None:
    """Which store takes the next write; None when none does, or when that is not known. When the one that took them is
    lost, the other one takes over with the first write: nobody moves the authority before."""
    authority, serving = overview.status.authority, _serving(overview)
    if authority in serving:
        return authority
    facts, other = facts_of(overview, authority), authority.other
    lost = facts is not None and facts.status.state.is_lost
    may = overview.settings.replicated and (other is Store.LOCAL or overview.settings.cloud_leads)
    return other if lost and may and other in serving else None


def writes_first(overview: Overview | None) -> Store:
    """Whose values count: of the store that takes the next write, and while none does of the one that took the last."""
    if overview is None:
        return Store.LOCAL
    return writing_store(overview) or overview.status.authority


def _p50(overview: Overview, store: Store) -> float | None:
    facts = facts_of(overview, store)
    return None if facts is None else facts.latency_p50_ms


def roles(overview: Overview) -> dict[Store, tuple[str, ...]]:
    """What each store does now: "takes writes", "takes reads", or "follows" when it does neither."""
    serving = _serving(overview)
    found: dict[Store, tuple[str, ...]] = {}
    for store in Store:
        if store not in serving:
            found[store] = ()
            continue
        does = (_("takes writes"),) * (writing_store(overview) is store)
        does += (_("takes reads"),) * (reading_store(overview) is store)
        found[store] = does or (_waits(overview),)
    return found


def _waits(overview: Overview) -> str:
    """What a store does that takes neither writes nor reads."""
    if not overview.settings.replicated:
        return _("stands by")
    return _("gets no writes") if overview.status.is_unshipped else _("gets every write")


def is_stranger(facts: StoreFacts) -> bool:
    """Whether this store is left alone because both hold data and are no pair."""
    return any(words in facts.status.reason for words in NO_PAIR)


def stranger(overview: Overview | None) -> StoreFacts | None:
    """The store that is left alone because it was never paired with the other one, and both hold data; None else."""
    sides = (overview.local, overview.cloud) if overview is not None else ()
    return next((facts for facts in sides if facts is not None and is_stranger(facts)), None)


def unpaired(overview: Overview | None, zone: str | None = None) -> Verdict | None:
    """That there is such a store, and what to do; None when there is none."""
    facts = stranger(overview)
    if overview is None or facts is None:
        return None
    store = facts.status.store
    other = facts_of(overview, store.other)
    if other is not None and other.status.state is StoreState.DOWN:
        sentence = _(
            "The {other} store is down since {since}, and the {store} store was never paired with it: nothing serves, "
            "and writes are refused."
        )
        since = clock(other.status.since_s, zone)
        return Verdict(
            Tone.ALARM, _("Down"), sentence.format(store=named(store), other=named(store.other), since=since),
            remedy(other),
        )  # fmt: skip
    if store.other not in _serving(overview):
        return None
    sentence = _(
        "The {store} store holds data of its own and was never paired with the {other} store: it is left alone, and "
        "nothing of it is overwritten."
    )
    return Verdict(
        Tone.WARNING, _("Not a pair yet"), sentence.format(store=named(store), other=named(store.other)),
        _("Compare them, and say whose data counts."), "setup",
    )  # fmt: skip


def verdict(overview: Overview | None, zone: str | None = None) -> Verdict:
    """The answer for this snapshot."""
    if overview is None:
        return Verdict(Tone.NOTE, _("Starting"), _("The panel is starting; nothing is known of the stores yet."))
    found = unpaired(overview, zone)
    if found is not None:
        return found
    known = [facts for facts in (overview.local, overview.cloud) if facts is not None]
    by_state = {state: [facts for facts in known if facts.status.state is state] for state in StoreState}
    if len(by_state[StoreState.DOWN]) == len(known):
        return _all_down(overview, zone)
    if by_state[StoreState.WIPED]:
        empty = by_state[StoreState.WIPED][0]
        if not by_state[StoreState.DOWN] and empty.status.is_new:
            return _filled_first(empty)
        return _wiped(empty, by_state[StoreState.DOWN], zone)
    if by_state[StoreState.DOWN] and not overview.settings.write_both:
        return _one_down_alone(by_state[StoreState.DOWN][0], zone)
    if by_state[StoreState.DOWN]:
        return _one_down(overview, by_state[StoreState.DOWN][0], zone)
    found = refusing(overview, zone) or full(overview)
    if found is not None:
        return found
    if by_state[StoreState.CATCHING_UP]:
        return _catching_up(by_state[StoreState.CATCHING_UP][0], zone)
    if by_state[StoreState.UNKNOWN]:
        return _unknown(by_state[StoreState.UNKNOWN], zone)
    return _up(overview)


def nothing_serves(overview: Overview, zone: str | None = None) -> Verdict | None:
    """That one store lost its data while the other one, which has it, is down; None when it is not so."""
    known = [facts for facts in (overview.local, overview.cloud) if facts is not None]
    wiped = [facts for facts in known if facts.status.state is StoreState.WIPED]
    down = [facts for facts in known if facts.status.state is StoreState.DOWN]
    return _wiped(wiped[0], down, zone) if wiped and down else None


def refusing(overview: Overview, zone: str | None = None) -> Verdict | None:
    """That one store answers and takes nothing of what is shipped to it, and what to do; None when it is not so."""
    sides = (overview.local, overview.cloud)
    facts = next((each for each in sides if each is not None and each.status.refuses), None)
    if facts is None:
        return None
    sentence_ = _(
        "The {store} store answers, and takes nothing of what is shipped to it ({reason}): it is behind since {since}. "
        "The {other} store carries on."
    )
    said = {
        "store": named(facts.status.store), "other": named(facts.status.store.other),
        "reason": escaped(in_words(facts.status.reason).rstrip(".")), "since": clock(facts.status.since_s, zone),
    }  # fmt: skip
    advice = sentence(in_words(facts.advice)) if facts.advice else _("Its log may say more.")
    then = _("It catches up by itself then.")
    return Verdict(Tone.WARNING, _("Refuses writes"), sentence_.format(**said), f"{advice} {then}")


def full(overview: Overview) -> Verdict | None:
    """That the memory of a store that answers is used up, and what to do; None when it is not so, or not known."""
    for facts in (overview.local, overview.cloud):
        if facts is not None and facts.is_full and is_current(facts, overview.taken_at_s):
            sentence_ = _(
                "The {store} store is full: it uses {used} of {limit}, and drops nothing (noeviction). Writes that "
                "need memory are refused; reads and deletions go on."
            )
            said = {
                "store": named(facts.status.store), "used": size(facts.memory_bytes),
                "limit": size(facts.memory_limit_bytes),
            }  # fmt: skip
            leads = writing_store(overview) is facts.status.store
            tone = Tone.ALARM if leads else Tone.WARNING
            return Verdict(tone, _("Full"), sentence_.format(**said), _("Delete keys, or raise its maxmemory."))
    return None


def unshipped(overview: Overview) -> Verdict | None:
    """That what waits is sent by nobody, and what to do; None when it is not so."""
    status = overview.status
    if not status.lag_entries or not status.is_unshipped:
        return None
    sentence_ = ngettext(
        "Nobody ships the log: {n} entry waits, for {time} by now.",
        "Nobody ships the log: {n} entries wait, the oldest for {time} by now.",
        status.lag_entries,
    ).format(n=number(status.lag_entries), time=duration(status.lag_s))
    advice = N_(
        "Start an agent, or an application that uses both stores; one that runs says in its log what hinders it."
    )
    return Verdict(Tone.WARNING, _("Nobody ships"), sentence_, _(advice))


def remedy(facts: StoreFacts) -> str:
    """What to do about a store that is down."""
    status = facts.status
    text = _(REMEDIES.get(status.reason, N_("Bring back {address} ({reason}); it catches up by itself.")))
    why = escaped(in_words(status.reason) or _("no reason known"))
    return text.format(address=status.address, reason=why, variable=VARIABLES[status.store])


def _all_down(overview: Overview, zone: str | None) -> Verdict:
    stores = [facts for facts in (overview.local, overview.cloud) if facts is not None]
    where = _(" or ").join(facts.status.address for facts in stores)
    since = clock(max(facts.status.since_s for facts in stores), zone)
    sentence = _("No store answers since {since}: the application runs on its own data source, and writes are refused.")
    advice = _("Start or reconnect {where}. The panel notices by itself.").format(where=where)
    return Verdict(Tone.ALARM, _("Down"), sentence.format(since=since), advice)


def _filled_first(facts: StoreFacts) -> Verdict:
    store = facts.status.store
    sentence = _("The {store} store is new: it is filled from the {other} store, and serves nothing until then.")
    return Verdict(Tone.WARNING, _("Being filled"), sentence.format(store=named(store), other=named(store.other)))


def _wiped(facts: StoreFacts, down: list[StoreFacts], zone: str | None) -> Verdict:
    store = facts.status.store
    if down:
        sentence = _(
            "No store can serve: the {store} store lost its data at {since}, and the {other} store, which has it, is "
            "down since {down}."
        )
        said = {"store": named(store), "other": named(store.other), "since": clock(facts.status.since_s, zone)}
        advice = _("Bring back {address}; the other one is filled from it.").format(address=down[0].status.address)
        return Verdict(
            Tone.ALARM, _("Degraded"), sentence.format(**said, down=clock(down[0].status.since_s, zone)), advice
        )
    sentence = _("The {store} store lost its data at {since}. It serves nothing until the {other} store has filled it.")
    since = clock(facts.status.since_s, zone)
    return Verdict(
        Tone.ALARM, _("Data lost"), sentence.format(store=named(store), other=named(store.other), since=since),
        _("If nobody emptied it on purpose, check its disk and persistence."),
    )  # fmt: skip


def _one_down(overview: Overview, facts: StoreFacts, zone: str | None) -> Verdict:
    store = facts.status.store
    said = {
        "store": named(store), "other": named(store.other), "since": clock(facts.status.since_s, zone),
        "address": facts.status.address,
    }  # fmt: skip
    if store.other not in _serving(overview):
        sentence = _("The {store} store is down since {since}, and the {other} store is not ready to serve yet.")
        return Verdict(Tone.ALARM, _("Degraded"), sentence.format(**said), _("Bring back {address}.").format(**said))
    sentence = _("The {store} store is down since {since}; the {other} store carries on.")
    waiting = overview.status.lag_entries
    if store is Store.CLOUD and waiting:
        sentence = ngettext(
            "The {store} store is down since {since}; the {other} store carries on: {n} entry waits to follow.",
            "The {store} store is down since {since}; the {other} store carries on: {n} entries wait to follow.",
            waiting,
        )
    kept = _kept(overview, facts)
    word = _("Local down") if store is Store.LOCAL else _("Cloud down")
    told = f"{sentence} {kept}".strip().format(**said, n=number(waiting or 0))
    return Verdict(Tone.WARNING, word, told, remedy(facts))


def _kept(overview: Overview, down: StoreFacts) -> str:
    """What is known of the writes that were confirmed; "" where nothing is."""
    other = facts_of(overview, down.status.store.other)
    restarted = None if other is None else _restarted(other, down.status.since_s)
    if other is None or restarted is None:
        return ""
    if restarted:
        return _("The {other} store was started again meanwhile: it has what its persistence kept.")
    leads = other.status.store is overview.status.authority is Store.LOCAL
    if overview.settings.ack is Ack.LOCAL and not leads:
        return _("What had not reached it yet comes back with the {store} store.")
    return _("Nothing that was confirmed is lost.")


def _restarted(facts: StoreFacts, since_s: float) -> bool | None:
    """Whether the store was started later than that; None when it was not read since it is as it is."""
    if facts.uptime_s is None or facts.observed_at_s is None or facts.observed_at_s < facts.status.since_s:
        return None
    return facts.observed_at_s - facts.uptime_s > since_s + ROUNDED_S


def _one_down_alone(facts: StoreFacts, zone: str | None) -> Verdict:
    """While writes stay local: the cloud store is out of date, and stands in for nobody."""
    said = {"since": clock(facts.status.since_s, zone)}
    if facts.status.store is Store.CLOUD:
        sentence = _(
            "The local store answers. The cloud store is down since {since}, and not in use: writes stay local."
        )
        advice = _("Choose the write mode “Both stores” to replicate again.")
        return Verdict(Tone.NOTE, _("Local only"), sentence.format(**said), advice)
    sentence = _(
        "The local store is down since {since}, and no other one serves: writes stayed local, so the cloud store is "
        "not up to date."
    )
    advice = _("Bring back {address}.").format(address=facts.status.address)
    return Verdict(Tone.ALARM, _("Down"), sentence.format(**said), advice)


def _catching_up(facts: StoreFacts, zone: str | None) -> Verdict:
    store = facts.status.store
    sentence = _(
        "The {store} store is back since {since} and catching up; until then the {other} store serves. Nothing to do."
    )
    said = {"store": named(store), "other": named(store.other), "since": clock(facts.status.since_s, zone)}
    return Verdict(Tone.NOTE, _("Catching up"), sentence.format(**said))


def _unknown(unknown: list[StoreFacts], zone: str | None) -> Verdict:
    sentence = ngettext(
        "The state of the {stores} store is unknown since {since}.",
        "The state of the {stores} stores is unknown since {since}.",
        len(unknown),
    ).format(
        stores=_(" and ").join(named(facts.status.store) for facts in unknown),
        since=clock(min(facts.status.since_s for facts in unknown), zone),
    )
    return Verdict(Tone.NOTE, _("Unknown"), sentence, _("This settles within seconds of the first command."))


def _up(overview: Overview) -> Verdict:
    status = overview.status
    if overview.cloud is None:
        sentence = _("The local store answers. There is no second copy: no cloud store is configured.")
        advice = _("To add one, set UPSTASH_REDIS_URL in .env and start again.")
        return Verdict(Tone.FINE, _("Local only"), sentence, advice)
    if not overview.settings.write_both:
        sentence = _("Both stores answer, but writes stay local: the cloud store is not kept up to date.")
        advice = _("Choose the write mode “Both stores” to replicate again.")
        return Verdict(Tone.NOTE, _("Local only"), sentence, advice)
    found = unshipped(overview)
    if found is not None:
        return found
    if status.conflicts:
        return _conflicts(status.conflicts)
    if status.authority is Store.CLOUD:
        return Verdict(Tone.NOTE, _("Failed over"), _("Both stores answer; the cloud store still takes the writes."))
    return Verdict(Tone.FINE, _("Healthy"), _healthy(status.lag_entries))


def _conflicts(conflicts: int) -> Verdict:
    sentence = ngettext(
        "Both stores answer. {n} key had another value on each store: one is live, the other archived.",
        "Both stores answer. {n} keys had another value on each store: one is live, the other archived.",
        conflicts,
    ).format(n=number(conflicts))
    return Verdict(Tone.WARNING, _("Conflicts"), sentence, _("Look at both values on the page Sync."))


def _healthy(waiting: int | None) -> str:
    if waiting is None:
        return _("Both stores answer. How much waits to be shipped is not known now.")
    if not waiting:
        return _("Everything is fine: both stores answer and nothing is waiting.")
    return ngettext(
        "Everything is fine: both stores answer, {n} entry on the way to the cloud.",
        "Everything is fine: both stores answer, {n} entries on the way to the cloud.",
        waiting,
    ).format(n=number(waiting))
