"""Who may enter the panel: password, one-time link, sessions, lock-out. No HTTP here (see `panel.gate`).

* Loopback without a password: a one-time link printed at start opens the panel; each use makes a session.
* Any other address: refused at start unless HYBRID_PANEL_PASSWORD_HASH is set.
  `python -m panel.access` asks for a password and prints its hash.
"""

from __future__ import annotations

import asyncio
import base64
import getpass
import hashlib
import hmac
import ipaddress
import os
import secrets
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dotenv import dotenv_values

__all__ = ["Access", "AccessConfig", "AccessRefused", "Session", "is_loopback", "password_hash", "password_matches"]

HASH_VARIABLE = "HYBRID_PANEL_PASSWORD_HASH"
HOSTS_VARIABLE = "HYBRID_PANEL_HOSTS"
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


def password_hash(password: str) -> str:
    """A salted scrypt hash of `password`, fit for HYBRID_PANEL_PASSWORD_HASH (no character that a shell expands)."""
    salt = secrets.token_bytes(16)
    return f"scrypt:16384:8:1:{_text(salt)}:{_text(_scrypt(password, salt, 16384, 8, 1))}"


def password_matches(password: str, stored: str) -> bool:
    """Whether `password` has the hash `stored`. Takes about 50 ms, by design: keep it off the event loop."""
    _, n, r, p, salt, digest = stored.split(":")
    return hmac.compare_digest(_scrypt(password, _bytes(salt), int(n), int(r), int(p)), _bytes(digest))


def _scrypt(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=n, r=r, p=p, maxmem=256 * n * r, dklen=32)


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode()


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text.encode())


@dataclass(frozen=True, slots=True)
class AccessConfig:
    """How the panel may be reached. `stored_hash` None means: by one-time link, on loopback only."""

    address: str
    stored_hash: str | None = field(default=None, repr=False)
    extra_hosts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.stored_hash is not None:
            try:
                password_matches("", self.stored_hash)
            except (ValueError, TypeError):
                raise AccessRefused(
                    f"{HASH_VARIABLE} is not a password hash; make one with: python -m panel.access"
                ) from None
        elif not is_loopback(self.address):
            raise AccessRefused(
                f"The panel does not listen on {self.address or 'all interfaces'} without a password. "
                f"Set {HASH_VARIABLE} (python -m panel.access prints one), or listen on 127.0.0.1."
            )

    @property
    def allowed_hosts(self) -> list[str]:
        """Host names that requests may ask for; anything else is DNS rebinding or a mistake."""
        own = [] if self.address in ("", "0.0.0.0", "::") else [self.address]
        return list(dict.fromkeys(["127.0.0.1", "localhost", "[::1]", *own, *self.extra_hosts]))

    @classmethod
    def from_env(
        cls, address: str, env_file: Path = Path(".env"), environ: Mapping[str, str] | None = None
    ) -> AccessConfig:
        """The configuration from the environment, then the `.env` file. Raises AccessRefused."""
        in_file = dotenv_values(env_file) if env_file.is_file() else {}
        written = {**in_file, **(os.environ if environ is None else environ)}
        hosts = (written.get(HOSTS_VARIABLE) or "").replace(",", " ").split()
        return cls(address, (written.get(HASH_VARIABLE) or "").strip() or None, tuple(hosts))


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
        """The id of a new operator session, or None when `token` was used, replaced or never given out."""
        with self._lock:
            if self._link is None or not hmac.compare_digest(token.encode(), self._link.encode()):
                return None
            self._link = None
        return self._open("operator")

    def sign_in(self, password: str) -> str | None:
        """The id of a new operator session, or None. Blocks for the hash; counts failures (see `locked_s`)."""
        with self._attempt:  # one at a time: guesses sent in parallel would outrun the lock-out
            if self.config.stored_hash is None or self.locked_s > 0:
                return None
            if not password_matches(password, self.config.stored_hash):
                self._count_failure()
                return None
            self._failures = 0
        return self._open("operator")

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

    def _open(self, role: str) -> str:
        session_id = secrets.token_urlsafe(32)
        self._sessions[session_id] = Session("operator", role, time.monotonic() + SESSION_S)
        return session_id

    def _count_failure(self) -> None:
        self._failures += 1
        beyond = self._failures - FREE_ATTEMPTS
        if beyond >= 0:
            self._locked_until_s = time.monotonic() + min(LONGEST_LOCK_S, LOCK_S * 2.0 ** min(beyond, 10))


def main() -> None:
    """Ask for a password and print its hash."""
    password = getpass.getpass("Password for the panel: ")
    if len(password) < 8:
        raise SystemExit("Use at least 8 characters.")
    if getpass.getpass("Once more: ") != password:
        raise SystemExit("The two differ; nothing was made.")
    sys.stdout.write(f"{HASH_VARIABLE}={password_hash(password)}\n")


if __name__ == "__main__":
    main()
