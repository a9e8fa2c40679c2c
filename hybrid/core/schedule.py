"""When something is to be done, in plain words: `every Monday 09:00`, `cloud-hung, local-cut every weekday at 7:30`.

Several rules are separated by semicolons. What stands before `every` names what is to be done; nothing means all of
it. Moments are naive: wall-clock time, wherever the schedule is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Final

__all__ = ["Rule", "due_slots", "next_slot", "parse_schedule"]

DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
GROUPS: Final = {"day": range(7), "weekday": range(5), "weekend": range(5, 7)}
LAST_MONTH_DAY: Final = 28
"""The last day of the month that every month has."""

LONGEST_GAP_DAYS: Final = 31
EXAMPLES: Final = '"every Monday 09:00", "every day 03:30" or "cloud-hung, local-cut every 1st 07:00"'

_SAID = re.compile(r"(?:(.*)[ ,])?every (.+)$", re.IGNORECASE)
_CLOCK = re.compile(r"(?:at\s+)?([01]?\d|2[0-3]):([0-5]\d)$", re.IGNORECASE)
_MONTH_DAY = re.compile(r"(\d{1,2})(?:st|nd|rd|th)$")


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of a schedule: what (`names`, empty for all), on which days (`weekdays` with Monday as 0, or one day of
    the month), and when."""

    names: tuple[str, ...]
    weekdays: frozenset[int]
    month_day: int | None
    at: time

    def fits(self, moment: datetime) -> bool:
        """Whether the day of `moment` is one of this rule's days."""
        return moment.day == self.month_day if self.month_day is not None else moment.weekday() in self.weekdays

    def slots(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """The moments in (after, until], in order."""
        day = after.date()
        while day <= until.date():
            slot = datetime.combine(day, self.at)
            if self.fits(slot) and after < slot <= until:
                yield slot
            day += timedelta(days=1)


def parse_schedule(text: str | None) -> tuple[Rule, ...]:
    """The rules of a schedule; none for an empty one. Raises ValueError, which says how to write it."""
    return tuple(_rule(part) for part in (text or "").split(";") if part.strip())


def due_slots(rules: Sequence[Rule], after: datetime, until: datetime) -> list[tuple[datetime, Rule]]:
    """What fell due in (after, until], in order of time."""
    return sorted(((slot, rule) for rule in rules for slot in rule.slots(after, until)), key=lambda due: due[0])


def next_slot(rules: Sequence[Rule], after: datetime) -> datetime | None:
    """When something is due next; None for an empty schedule."""
    until = after + timedelta(days=LONGEST_GAP_DAYS + 1)
    return min((slot for rule in rules for slot in rule.slots(after, until)), default=None)


def _rule(text: str) -> Rule:
    said = _SAID.match(re.sub(r"\s+", " ", text.strip()))
    if said is None:
        raise ValueError(f"{text.strip()!r} does not say when: write it as {EXAMPLES}")
    before, after = said[1] or "", said[2]
    clock = _CLOCK.search(after)
    if clock is None:
        raise ValueError(f"{text.strip()!r} has no time of day at its end: write it as {EXAMPLES}")
    names = tuple(name for name in re.split(r"[\s,]+", before) if name and name not in ("and", "all"))
    weekdays, month_day = _days(after[: clock.start()], text)
    return Rule(names, weekdays, month_day, time(int(clock[1]), int(clock[2])))


def _days(text: str, whole: str) -> tuple[frozenset[int], int | None]:
    words = [word for word in re.split(r"[\s,]+", text.lower()) if word and word not in ("and", "on", "at")]
    if len(words) == 1 and (month_day := _MONTH_DAY.match(words[0])):
        number = int(month_day[1])
        if not 1 <= number <= LAST_MONTH_DAY:
            raise ValueError(f"{whole.strip()!r}: not every month has that day; choose one from 1 to {LAST_MONTH_DAY}")
        return frozenset(), number
    found: set[int] = set()
    for word in words:
        found |= _weekdays(word, whole)
    if not found:
        raise ValueError(f"{whole.strip()!r} names no day: write it as {EXAMPLES}")
    return frozenset(found), None


def _weekdays(word: str, whole: str) -> set[int]:
    """Of `monday`, `mondays`, `mon`, `weekday`."""
    singular = word.removesuffix("s") if word.removesuffix("s") in (*DAYS, *GROUPS) else word
    if singular in GROUPS:
        return set(GROUPS[singular])
    found = {number for number, day in enumerate(DAYS) if len(singular) >= 3 and day.startswith(singular)}
    if not found:
        raise ValueError(f"{whole.strip()!r}: {word!r} is no day; write it as {EXAMPLES}")
    return found
