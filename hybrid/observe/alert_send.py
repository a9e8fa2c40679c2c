"""Sends messages through Apprise: e-mail, Slack and about a hundred others. No secret leaves this module."""

from __future__ import annotations

import importlib.util
import logging
import re
from collections.abc import Sequence
from hashlib import sha256
from typing import Any, Final
from urllib.parse import unquote

from hybrid.core.alert_rules import Severity
from hybrid.core.outbox import Kind, Message

__all__ = ["MISSING", "Sender", "masked_reason", "receiver_name"]

MISSING: Final = "Apprise is not installed: pip install 'hybrid-redis[alerts]'"
UNKNOWN: Final = "Apprise does not understand this URL; see https://github.com/caronc/apprise/wiki"
REASON_LENGTH: Final = 200
REPEATED: Final = "(It may have arrived before: whoever sent it died before it could write that down.)"


def receiver_name(url: str) -> str:
    """What a receiver is called in public: its kind, and a mark by which two of a kind are told apart."""
    return f"{url.partition(':')[0].lower()}-{sha256(url.encode()).hexdigest()[:4]}"


class Sender:
    """Sends to the receivers of HYBRID_ALERT_URLS, by their names. Thread-safe."""

    def __init__(self, urls: Sequence[str]) -> None:
        self._urls = {receiver_name(url): url for url in urls}

    @property
    def receivers(self) -> tuple[str, ...]:
        return tuple(self._urls)

    def __repr__(self) -> str:
        return f"<Sender {', '.join(self._urls)}>"

    def prepare(self) -> None:
        """Load Apprise, which takes a second: not between the claim of a message and its sending."""
        if self._urls and importlib.util.find_spec("apprise") is not None:
            import apprise

            for url in self._urls.values():
                apprise.Apprise.instantiate(url)

    def send(self, message: Message, receiver: str, *, repeated: bool = False) -> str:
        """Send one message; the reason why it failed, "" when it was taken. Waits for seconds, at most."""
        if importlib.util.find_spec("apprise") is None:
            return MISSING
        import apprise

        spoken = logging.getLogger("apprise")
        spoken.propagate = False  # it knows the URLs; what it has to say is heard below, whatever else is logged
        spoken.setLevel(logging.WARNING)
        url = self._urls[receiver]
        asset: Any = apprise.AppriseAsset(app_id="Hybrid Redis", app_desc="Alerts", async_mode=False)
        try:
            service = apprise.Apprise.instantiate(url, asset=asset)
            if service is None:
                return UNKNOWN
            headers = getattr(service, "headers", None)
            if isinstance(headers, dict):  # of HTTP or of the mail: a repetition can be known by it
                headers["Idempotency-Key"] = message.id
            body = f"{message.body}\n{REPEATED}" if repeated else message.body
            said: list[str] = []
            sender = apprise.Apprise(asset=asset)
            sender.add(service)
            taken = sender.notify(
                title=message.title,
                body=body,
                notify_type=notify_type(message),
                body_format="text",
                log_callback=lambda entry, _: said.append(str(entry.message)),
            )
        except Exception as error:  # a plugin of Apprise may raise anything: it must not end the sending to others
            return masked_reason(f"{type(error).__name__}: {error}", url)
        return "" if taken else masked_reason("; ".join(said) or "the receiver did not take it", url)


def notify_type(message: Message) -> Any:
    """Apprise's colour and icon."""
    from apprise import NotifyType

    if message.kind is Kind.RECOVERY:
        return NotifyType.SUCCESS
    if message.kind in (Kind.TEST, Kind.SUMMARY):
        return NotifyType.INFO
    return NotifyType.FAILURE if message.severity is Severity.CRITICAL else NotifyType.WARNING


def masked_reason(text: str, url: str) -> str:
    """`text` without any part of the receiver's URL that could be a secret."""
    rest = url.partition("://")[2]
    login, mark, address = rest.rpartition("@")
    parts = re.split(r"[/?&=:@]", f"{login}{mark}")
    host, _, path = address.partition("/")
    parts += re.split(r"[/?&=]", path)
    if not mark:
        parts.append(host.partition("?")[0])  # without a login the first part is often a token: slack://token/...
        parts += re.split(r"[&=]", host.partition("?")[2])
    for part in sorted({*parts, *map(unquote, parts)}, key=len, reverse=True):
        if len(part) >= 4:
            text = text.replace(part, "***")
    return " ".join(text.split())[:REASON_LENGTH]
