"""Sign-in at an OpenID Connect provider: Streamlit's own (`[auth]` in `.streamlit/secrets.toml`), behind our gate.

Streamlit's routes talk to the provider and leave a signed cookie that says who came. The gate takes it once, opens a
session of its own for those who have a role here, and removes it: sign-out, expiry and Strict cookies are then as with
a password.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final
from urllib.parse import quote

from streamlit.auth_util import (
    encode_provider_token,
    get_cookie_with_chunks,
    get_origin_from_redirect_uri,
    get_secrets_auth_section,
)
from streamlit.web.server.server_util import get_cookie_secret
from streamlit.web.server.starlette.starlette_app_utils import decode_signed_value
from streamlit.web.server.starlette.starlette_server_config import TOKENS_COOKIE_NAME, USER_COOKIE_NAME

from panel.access import AccessRefused

__all__ = ["PATHS", "is_configured", "is_identity_cookie", "login_path", "providers", "vouched_email"]

PATHS: Final = frozenset({"/auth/login", "/oauth2callback"})
"""Streamlit's routes that somebody who is not signed in needs."""
CLIENT: Final = "authlib.integrations.starlette_client"
_ONLY: Final = "default"


def is_configured() -> bool:
    """Whether `[auth]` names a provider. Raises AccessRefused when what it needs is not installed."""
    if not get_secrets_auth_section():
        return False
    try:
        import_module(CLIENT)
    except ImportError:  # Authlib does not bring the HTTP client that this part of it needs
        raise AccessRefused(
            "[auth] in .streamlit/secrets.toml needs Authlib and httpx2: pip install 'Authlib>=1.3.2' httpx2"
        ) from None
    return True


def providers() -> dict[str, str]:
    """The configured providers: name to what people call it."""
    section: Mapping[str, Any] = get_secrets_auth_section()
    if "client_id" in section:
        return {_ONLY: "OpenID Connect"}
    named = (name for name, value in section.items() if isinstance(value, Mapping) and "client_id" in value)
    return {name: name.title() for name in named}


def login_path(provider: str) -> str:
    """Where signing in at `provider` begins; good for two minutes."""
    return f"/auth/login?provider={quote(encode_provider_token(provider))}"


def vouched_email(cookies: Mapping[str, str]) -> str | None:
    """The e-mail address that the provider vouches for in Streamlit's signed cookie. None without a valid one."""

    def unsigned(name: str) -> bytes | None:
        found = cookies.get(name)
        return None if found is None else decode_signed_value(get_cookie_secret(), name, found.encode("latin-1"))

    try:
        person = json.loads(get_cookie_with_chunks(unsigned, USER_COOKIE_NAME) or b"{}")
    except ValueError:
        return None
    ours = person.get("is_logged_in") is True and person.get("origin") == get_origin_from_redirect_uri()
    # A provider that says that the address is not verified vouches for nothing.
    verified = person.get("email_verified", True) in (True, "true")
    email = person.get("email")
    return email if ours and verified and isinstance(email, str) and email.isascii() else None


def is_identity_cookie(name: str) -> bool:
    """Whether a cookie is one of Streamlit's about the person."""
    return name.startswith((USER_COOKIE_NAME, TOKENS_COOKIE_NAME))
