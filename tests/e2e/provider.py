"""A small OpenID Connect provider on loopback: discovery, keys, PKCE, tokens. Whoever asks is who the form says."""

from __future__ import annotations

import secrets
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from html import escape
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlencode

import uvicorn
from joserfc import jwt
from joserfc.jwk import RSAKey
from servers import wait_until
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from scripts.screenshots import free_port

CLIENT_ID, CLIENT_SECRET = "panel", "known to the panel and the provider"


class Provider:
    """Issues codes and signed tokens. `codes`: what was asked with each code that is not used yet."""

    def __init__(self, port: int) -> None:
        self.issuer = f"http://127.0.0.1:{port}"
        self.codes: dict[str, dict[str, str]] = {}
        self._key = RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256"}, auto_kid=True)
        self.app = Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self.configuration),
                Route("/authorize", self.authorize, methods=["GET", "POST"]),
                Route("/token", self.token, methods=["POST"]),
                Route("/jwks", self.keys),
            ]
        )

    async def configuration(self, request: Request) -> Response:
        return JSONResponse(
            {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/jwks",
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "code_challenge_methods_supported": ["S256"],
            }
        )

    async def keys(self, request: Request) -> Response:
        return JSONResponse({"keys": [self._key.as_dict(private=False)]})

    async def authorize(self, request: Request) -> Response:
        """Ask who it is, then send them back with a code."""
        asked = dict(request.query_params)
        if request.method == "GET":
            action = escape(f"/authorize?{request.url.query}")
            return HTMLResponse(
                f'<form method="post" action="{action}"><label>E-mail <input name="email"></label>'
                "<button>Allow</button></form>"
            )
        email = parse_qs((await request.body()).decode())["email"][0]
        code = secrets.token_urlsafe(16)
        self.codes[code] = {**asked, "email": email}
        back = {"code": code, "state": asked["state"]}
        return RedirectResponse(f"{asked['redirect_uri']}?{urlencode(back)}", 303)

    async def token(self, request: Request) -> Response:
        """A code is good once, and only for whoever began with it."""
        form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        asked = self.codes.pop(form["code"], None)
        challenge = urlsafe_b64encode(sha256(form.get("code_verifier", "").encode()).digest()).rstrip(b"=").decode()
        if asked is None or asked.get("code_challenge") != challenge:
            return JSONResponse({"error": "invalid_grant"}, 400)
        return JSONResponse({"access_token": "unused", "token_type": "Bearer", "id_token": self._identity(asked)})

    def _identity(self, asked: dict[str, str]) -> str:
        claims: dict[str, Any] = {
            "iss": self.issuer, "aud": CLIENT_ID, "sub": asked["email"], "email": asked["email"],
            "email_verified": True, "nonce": asked["nonce"], "iat": int(time.time()), "exp": int(time.time()) + 300,
        }  # fmt: skip
        return jwt.encode({"alg": "RS256", "kid": self._key.kid}, claims, self._key)


@contextmanager
def running_provider() -> Iterator[Provider]:
    port = free_port()
    provider = Provider(port)
    server = uvicorn.Server(uvicorn.Config(provider.app, "127.0.0.1", port, log_level="warning"))
    thread = Thread(target=server.run, name="provider", daemon=True)
    thread.start()
    try:
        wait_until(lambda: server.started, "the provider")
        yield provider
    finally:
        server.should_exit = True
        thread.join(10)
