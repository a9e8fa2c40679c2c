"""Brings messages to their receivers: claimed on the stores, sent, settled on the stores."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Final, Protocol

from hybrid.core.alert_desk import Desk
from hybrid.core.outbox import Delivery, Message, addressed, claimed, due_deliveries, settled, with_delivery
from hybrid.observe.alert_send import Sender
from hybrid.observe.alert_store import DeskStore

__all__ = ["Courier", "Office", "with_delivered"]

logger = logging.getLogger("hybrid.alerts")

LOOK_S: Final = 1.0


class Office(Protocol):
    """For whom couriers go."""

    store: DeskStore

    @property
    def sender(self) -> Sender: ...
    @property
    def may_send(self) -> bool: ...
    @property
    def stopped(self) -> threading.Event: ...


class Courier(threading.Thread):
    """Brings the messages to one receiver, so that one that hangs does not keep the others waiting."""

    def __init__(self, alerts: Office, receiver: str) -> None:
        super().__init__(name=f"hybrid-alerts-{receiver}", daemon=True)
        self._alerts = alerts
        self._receiver = receiver
        self._woken = threading.Event()

    def wake(self) -> None:
        self._woken.set()

    def run(self) -> None:
        self._alerts.sender.prepare()
        while not self._alerts.stopped.is_set():
            self._woken.wait(LOOK_S)
            self._woken.clear()
            try:
                while self._alerts.may_send and self._deliver_next():
                    pass
            except Exception:
                logger.exception("sending to %s failed and goes on", self._receiver)

    def _deliver_next(self) -> bool:
        """Deliver the oldest message that is due; whether there was one."""
        store, names = self._alerts.store, self._alerts.sender.receivers
        due = due_deliveries(store.desk.messages, names, time.time())
        mine = next((message for message, name in due if name == self._receiver), None)
        if mine is None:
            return False
        attempt = self._claim(mine)
        if attempt is None:
            return False
        error = self._alerts.sender.send(mine, self._receiver, repeated=attempt.repeated)
        done = settled(attempt, error, mine.made_s, time.time())
        store.edit(with_delivered(mine.id, self._receiver, lambda _: done))
        level = logging.WARNING if error else logging.INFO
        logger.log(level, "%s: %s to %s%s", mine.id, done.state, self._receiver, f": {error}" if error else "")
        return True

    def _claim(self, message: Message) -> Delivery | None:
        """Write down that it is being sent; None if another agent was faster."""
        now_s = time.time()
        attempt: Delivery | None = None

        def claim(known: Delivery) -> Delivery | None:
            nonlocal attempt
            if attempt is not None and known == attempt:
                return known
            attempt = claimed(known, now_s) if known.is_due(now_s) else None
            return attempt

        names = self._alerts.sender.receivers

        def change(desk: Desk) -> Desk:
            found = next((each for each in desk.messages if each.id == message.id), None)
            if found is not None:
                desk = desk.with_message(addressed(found, names, now_s))
            return with_delivered(message.id, self._receiver, claim)(desk)

        self._alerts.store.edit(change)
        return attempt


def with_delivered(
    message_id: str, receiver: str, change: Callable[[Delivery], Delivery | None]
) -> Callable[[Desk], Desk]:
    """An edit of one delivery; None leaves it as it is."""

    def changed(desk: Desk) -> Desk:
        message = next((each for each in desk.messages if each.id == message_id), None)
        if message is None:
            return desk
        delivery = change(message.deliveries.get(receiver, Delivery()))
        return desk if delivery is None else desk.with_message(with_delivery(message, receiver, delivery))

    return changed
