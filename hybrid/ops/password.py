"""The hash of a password: scrypt with a salt, in a form that no shell and no `.env` changes."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

__all__ = ["LEAST_LENGTH", "OPERATOR_VARIABLE", "VIEWER_VARIABLE", "password_hash", "password_matches"]

LEAST_LENGTH = 8
OPERATOR_VARIABLE = "HYBRID_PANEL_PASSWORD_HASH"
VIEWER_VARIABLE = "HYBRID_PANEL_VIEWER_HASH"


def password_hash(password: str) -> str:
    """A salted scrypt hash of `password`, fit for HYBRID_PANEL_PASSWORD_HASH (no character that a shell expands)."""
    salt = secrets.token_bytes(16)
    return f"scrypt:16384:8:1:{_text(salt)}:{_text(_scrypt(password, salt, 16384, 8, 1))}"


def password_matches(password: str, stored: str) -> bool:
    """Whether `password` has the hash `stored`. Takes about 50 ms, by design: keep it off an event loop.

    Raises ValueError when `stored` is no such hash.
    """
    _, n, r, p, salt, digest = stored.split(":")
    return hmac.compare_digest(_scrypt(password, _bytes(salt), int(n), int(r), int(p)), _bytes(digest))


def _scrypt(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=n, r=r, p=p, maxmem=256 * n * r, dklen=32)


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode()


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text.encode())
