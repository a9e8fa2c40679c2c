"""Who may enter the panel: password, one-time link, sessions, lock-out. No HTTP here (see `panel.gate`).

* Loopback without a password: a one-time link printed at start opens the panel; each use makes a session.
* Any other address: refused at start unless HYBRID_PANEL_PASSWORD_HASH is set (`python -m hybrid password` prints
  one), or an OpenID Connect provider is configured (see `panel.oidc`).
* Two roles: an operator changes things, a viewer looks. HYBRID_PANEL_READ_ONLY makes everybody a viewer.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import os
import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dotenv import dotenv_values

from hybrid.ops.password import OPERATOR_VARIABLE, VIEWER_VARIABLE, password_matches

__all__ = ["READ_ONLY_VARIABLE", "Access", "AccessConfig", "AccessRefused", "Session", "is_loopback"]

HOSTS_VARIABLE = "HYBRID_PANEL_HOSTS"
READ_ONLY_VARIABLE = "HYBRID_PANEL_READ_ONLY"
OPERATORS_VARIABLE = "HYBRID_PANEL_OPERATORS"
VIEWERS_VARIABLE = "HYBRID_PANEL_VIEWERS"
METRICS_VARIABLE = "HYBRID_PANEL_METRICS_TOKEN"
SESSION_S = 8 * 3600.0
FREE_ATTEMPTS = 5
LOCK_S = 30.0
LONGEST_LOCK_S = 900.0
LINK_PAUSE_S = 3.0


class AccessRefused(Exception):
    """The panel must not be served like this; the message is one sentence that says what to do."""


def is_loopback(address: str | None) -> bool:
    """Whether only this machine can reach `address`. An empty address means all interfaces."""
    if not address:
        return False
    if address == "localhost":
        return True
    try:
        return ipaddress.ip_address(address.strip("[]")).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class AccessConfig:
    """How the panel may be reached, and by whom.

    `stored_hash` (of operators) None and no `sign_in_elsewhere` means: by one-time link, on loopback only.
    `viewer_hash` is of those who may look. `sign_in_elsewhere`: an OpenID Connect provider is configured; then
    `operators` and `viewers` are the e-mail addresses, or `@domains`, that it may send. `read_only` makes everybody a
    viewer. `metrics_token` lets a Prometheus elsewhere read /metrics.
    """

    address: str
    stored_hash: str | None = field(default=None, repr=False)
    extra_hosts: tuple[str, ...] = ()
    viewer_hash: str | None = field(default=None, repr=False)
    read_only: bool = False
    operators: tuple[str, ...] = ()
    viewers: tuple[str, ...] = ()
    sign_in_elsewhere: bool = False
    metrics_token: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        for variable, stored in ((OPERATOR_VARIABLE, self.stored_hash), (VIEWER_VARIABLE, self.viewer_hash)):
            if stored is not None and not _is_hash(stored):
                raise AccessRefused(f"{variable} is not a password hash; make one with: python -m hybrid password")
        if self.viewer_hash is not None and self.stored_hash is None:
            raise AccessRefused(f"{VIEWER_VARIABLE} needs {OPERATOR_VARIABLE} too: without it nobody could operate.")
        if not self.asks_who and not is_loopback(self.address):
            raise AccessRefused(
                f"The panel does not listen on {self.address or 'all interfaces'} without a password. "
                f"Set {OPERATOR_VARIABLE} (python -m hybrid password prints one), or listen on 127.0.0.1."
            )

    @property
    def asks_who(self) -> bool:
        """Whether a password or a provider guards the panel, rather than the one-time link."""
        return self.stored_hash is not None or self.sign_in_elsewhere

    @property
    def allowed_hosts(self) -> list[str]:
        """Host names that requests may ask for; anything else is DNS rebinding or a mistake."""
        own = [] if self.address in ("", "0.0.0.0", "::") else [self.address]
        return list(dict.fromkeys(["127.0.0.1", "localhost", "[::1]", *own, *self.extra_hosts]))

    def role_of(self, email: str) -> str | None:
        """The role of a person whom the provider vouches for; None for somebody who has none here."""
        known = {email.lower(), "@" + email.lower().rpartition("@")[2]}
        for role, listed in (("operator", self.operators), ("viewer", self.viewers)):
            if known & {entry.lower() for entry in listed}:
                return role
        return None

    @classmethod
    def from_env(
        cls,
        address: str,
        env_file: Path = Path(".env"),
        environ: Mapping[str, str] | None = None,
        *,
        sign_in_elsewhere: bool = False,
    ) -> AccessConfig:
        """The configuration from the environment, then the `.env` file. Raises AccessRefused."""
        in_file = dotenv_values(env_file) if env_file.is_file() else {}
        written = {**in_file, **(os.environ if environ is None else environ)}

        def text(variable: str) -> str | None:
            return (written.get(variable) or "").strip() or None

        def words(variable: str) -> tuple[str, ...]:
            return tuple((written.get(variable) or "").replace(",", " ").split())

        return cls(
            address, text(OPERATOR_VARIABLE), words(HOSTS_VARIABLE), text(VIEWER_VARIABLE),
            _is_on(READ_ONLY_VARIABLE, text(READ_ONLY_VARIABLE)), words(OPERATORS_VARIABLE), words(VIEWERS_VARIABLE),
            sign_in_elsewhere, text(METRICS_VARIABLE),
        )  # fmt: skip


def _is_hash(stored: str) -> bool:
    try:
        password_matches("", stored)
    except (ValueError, TypeError):
        return False
    return True


def _is_on(variable: str, text: str | None) -> bool:
    """A switch that is misspelled must not leave the panel open to changes."""
    word = (text or "false").lower()
    if word not in ("true", "1", "yes", "on", "false", "0", "no", "off"):
        raise AccessRefused(f"{variable} is {text!r}; write true or false.")
    return word in ("true", "1", "yes", "on")


@dataclass(slots=True)
class Session:
    """One signed-in browser. `ended` is set on logout and wakes its live sockets."""

    user: str
    role: str
    expires_at_s: float
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def remaining_s(self) -> float:
        return 0.0 if self.ended.is_set() else max(0.0, self.expires_at_s - time.monotonic())


class Access:
    """Sessions, the one-time link and the lock-out of one panel process."""

    def __init__(self, config: AccessConfig) -> None:
        self.config = config
        self._sessions: dict[str, Session] = {}
        self._link: str | None = None
        self._link_at_s = -LINK_PAUSE_S
        self._failures = 0
        self._locked_until_s = 0.0
        self._lock = threading.Lock()
        self._attempt = threading.Lock()

    def new_link_token(self) -> str | None:
        """A fresh one-time token that replaces the last one; None when one was made a moment ago."""
        with self._lock:
            if time.monotonic() - self._link_at_s < LINK_PAUSE_S:
                return None
            self._link, self._link_at_s = secrets.token_urlsafe(24), time.monotonic()
            return self._link

    def redeem_link(self, token: str) -> str | None:
        """The id of a new session, or None when `token` was used, replaced or never given out."""
        with self._lock:
            if self._link is None or not hmac.compare_digest(token.encode(), self._link.encode()):
                return None
            self._link = None
        return self._open("operator")

    def sign_in(self, password: str) -> str | None:
        """The id of a new session with the role of this password, or None. Blocks for the hash; counts failures (see
        `locked_s`)."""
        with self._attempt:  # one at a time: guesses sent in parallel would outrun the lock-out
            if self.locked_s > 0:
                return None
            hashes = {"operator": self.config.stored_hash, "viewer": self.config.viewer_hash}
            # All are tried, so that how long it takes tells nothing.
            found = [role for role, stored in hashes.items() if stored and password_matches(password, stored)]
            if not found:
                self._count_failure()
                return None
            if found[0] == "operator":  # a viewer must not get more guesses by signing in between them
                self._failures = 0
        return self._open(found[0])

    def admit(self, email: str) -> str | None:
        """The id of a new session of a person whom the provider vouches for; None when they have no role here."""
        role = self.config.role_of(email)
        return None if role is None else self._open(role, email)

    @property
    def locked_s(self) -> float:
        """How long no password is tried, after too many wrong ones."""
        return max(0.0, self._locked_until_s - time.monotonic())

    def session(self, session_id: str | None) -> Session | None:
        """The live session of this id."""
        found = self._sessions.get(session_id or "")
        if found is not None and found.remaining_s <= 0:
            self._sessions.pop(session_id or "", None)
            return None
        return found

    def end(self, session_id: str | None) -> None:
        """Sign out: the session ends, and its live sockets with it. Call on the event loop."""
        found = self._sessions.pop(session_id or "", None)
        if found is not None:
            found.ended.set()

    def _open(self, role: str, user: str | None = None) -> str:
        session_id = secrets.token_urlsafe(32)
        with self._lock:
            self._sessions = {known: session for known, session in self._sessions.items() if session.remaining_s > 0}
            granted = "viewer" if self.config.read_only else role
            self._sessions[session_id] = Session(user or role, granted, time.monotonic() + SESSION_S)
        return session_id

    def _count_failure(self) -> None:
        self._failures += 1
        beyond = self._failures - FREE_ATTEMPTS
        if beyond >= 0:
            self._locked_until_s = time.monotonic() + min(LONGEST_LOCK_S, LOCK_S * 2.0 ** min(beyond, 10))
