"""Messages on their way to receivers: which is due where, when it is tried again, and when it is given up.

A message is written to the stores before it is sent. Sending is claimed first, so that of two agents one sends; a claim
that was never settled is from an agent that died, and the message is sent again: rather twice than never.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from hybrid.core.alert_rules import Severity

__all__ = [
    "CLAIM_S",
    "Delivery",
    "DeliveryState",
    "Kind",
    "Message",
    "addressed",
    "claimed",
    "due_deliveries",
    "merged_message",
    "settled",
    "with_delivery",
]

CLAIM_S: Final = 15.0
"""Longer than one attempt takes: an older claim is of a sender that is gone."""

BACKOFF_S: Final = (5.0, 900.0)
GIVEN_UP_S: Final = 24 * 3600.0
REDIRECTED_S: Final = 3600.0
"""What is younger goes to other receivers when those it was made for are no longer configured."""


class Kind(StrEnum):
    ALERT = "alert"
    REMINDER = "reminder"
    RECOVERY = "recovery"
    SUMMARY = "summary"
    TEST = "test"


class DeliveryState(StrEnum):
    WAITING = "waiting"
    SENDING = "sending"
    FAILED = "failed"
    GIVEN_UP = "given up"
    SENT = "sent"


_RANK: Final = (
    DeliveryState.WAITING,
    DeliveryState.FAILED,
    DeliveryState.SENDING,
    DeliveryState.GIVEN_UP,
    DeliveryState.SENT,
)


@dataclass(frozen=True, slots=True)
class Delivery:
    """How far one message is with one receiver. `next_s` is the Unix time of the next attempt, `error` says why the
    last one failed (without secrets), `repeated` that it may have arrived before."""

    state: DeliveryState = DeliveryState.WAITING
    attempts: int = 0
    at_s: float = 0.0
    next_s: float = 0.0
    error: str = ""
    repeated: bool = False

    @property
    def is_over(self) -> bool:
        return self.state in (DeliveryState.SENT, DeliveryState.GIVEN_UP)

    def is_due(self, now_s: float) -> bool:
        if self.state is DeliveryState.SENDING:
            return now_s - self.at_s >= CLAIM_S
        return not self.is_over and now_s >= self.next_s

    @property
    def progress(self) -> tuple[int, int, float]:
        """Sorts what two agents know of the same delivery: the greater one is later."""
        return _RANK.index(DeliveryState.SENT) if self.state is DeliveryState.SENT else 0, self.attempts, self.at_s


@dataclass(frozen=True, slots=True)
class Message:
    """`deliveries` by the name of the receiver, which gives nothing away. `incident` is "" for one of its own."""

    id: str
    kind: Kind
    severity: Severity
    title: str
    body: str
    made_s: float
    incident: str = ""
    deliveries: Mapping[str, Delivery] = field(default_factory=dict)

    @property
    def is_sent(self) -> bool:
        """Whether somebody got it."""
        return any(delivery.state is DeliveryState.SENT for delivery in self.deliveries.values())

    def is_over(self, now_s: float) -> bool:
        over = bool(self.deliveries) and all(delivery.is_over for delivery in self.deliveries.values())
        return over or now_s - self.made_s > GIVEN_UP_S

    def wanting(self, receivers: Iterable[str], now_s: float) -> dict[str, Delivery]:
        """The deliveries that these receivers still want."""
        known = {name: self.deliveries[name] for name in receivers if name in self.deliveries}
        lost = not known and not self.is_sent and now_s - self.made_s <= REDIRECTED_S
        found = dict.fromkeys(receivers, Delivery()) if lost else known
        return {name: delivery for name, delivery in found.items() if not delivery.is_over}


def due_deliveries(messages: Iterable[Message], receivers: Iterable[str], now_s: float) -> list[tuple[Message, str]]:
    """What to send now, oldest first. What is told of one incident arrives in order: a recovery waits for its alert."""
    names, due, blocked = tuple(receivers), [], set()
    for message in sorted(messages, key=lambda message: message.made_s):
        for name, delivery in message.wanting(names, now_s).items():
            thread = (message.incident or message.id, name)
            if thread not in blocked and delivery.is_due(now_s):
                due.append((message, name))
            blocked.add(thread)
    return due


def addressed(message: Message, receivers: Iterable[str], now_s: float) -> Message:
    """With all the deliveries that these receivers want: from the first one on, it is known who else is to get it."""
    return replace(message, deliveries={**message.deliveries, **message.wanting(receivers, now_s)})


def with_delivery(message: Message, receiver: str, delivery: Delivery) -> Message:
    return replace(message, deliveries={**message.deliveries, receiver: delivery})


def claimed(delivery: Delivery, now_s: float) -> Delivery:
    """The attempt that begins now; one over a claim that was never settled may repeat what has arrived."""
    repeated = delivery.repeated or delivery.state is DeliveryState.SENDING
    return replace(delivery, state=DeliveryState.SENDING, attempts=delivery.attempts + 1, at_s=now_s, repeated=repeated)


def settled(delivery: Delivery, error: str, made_s: float, now_s: float) -> Delivery:
    """The attempt is over; "" is success. Failures are tried again, ever less often, for a day."""
    if not error:
        return replace(delivery, state=DeliveryState.SENT, at_s=now_s, error="")
    if now_s - made_s > GIVEN_UP_S:
        return replace(delivery, state=DeliveryState.GIVEN_UP, at_s=now_s, error=error)
    first_s, most_s = BACKOFF_S
    pause_s = min(first_s * 2.0 ** min(delivery.attempts - 1, 20), most_s)
    return replace(delivery, state=DeliveryState.FAILED, at_s=now_s, next_s=now_s + pause_s, error=error)


def merged_message(first: Message, second: Message) -> Message:
    """What two copies of one message know together."""
    deliveries = {
        name: max((copy.deliveries[name] for copy in (first, second) if name in copy.deliveries), key=_lateness)
        for name in sorted({*first.deliveries, *second.deliveries})
    }
    return replace(first, deliveries=deliveries)


def _lateness(delivery: Delivery) -> tuple[object, ...]:
    """Orders all that can differ: between two that tie, the order of merging would decide."""
    return *delivery.progress, _RANK.index(delivery.state), delivery.next_s, delivery.error, delivery.repeated
