"""The door of the panel: ASGI middleware around everything it serves.

Script code cannot guard the panel: Streamlit's WebSocket, uploads, media and our own routes never run it.
So every request and socket passes here first: unknown Host and foreign Origin are refused, then a session is needed.
"""

from __future__ import annotations

import asyncio
import hmac
from typing import Any
from urllib.parse import urlsplit

from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from panel import oidc, onward
from panel.access import Access, Session, is_loopback
from panel.signin import cookie_name, forget_identity, moved_on, no_access, signed_in

__all__ = ["AccessGate", "access_middleware"]

OPEN_PATHS = frozenset({"/login", "/login/link", "/api/health", "/api/health/live", "/api/health/ready"})
FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip")
MACHINE_PATHS = ("/_stcore/", "/api/", "/media/", "/component/", "/metrics")
SIGNED_OUT_CODE = 4401


def access_middleware(access: Access) -> list[Middleware]:
    """What `st.App(middleware=)` needs, outermost first."""
    hosts = Middleware(TrustedHostMiddleware, allowed_hosts=access.config.allowed_hosts, www_redirect=False)
    return [hosts, Middleware(AccessGate, access=access)]


class AccessGate:
    """Lets a request or socket through with a live session, and puts who it is into X-Panel-User and X-Panel-Role."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return await self._app(scope, receive, send)
        # A client must not be able to say who it is.
        headers = [(name, value) for name, value in scope["headers"] if not name.lower().startswith(b"x-panel-")]
        scope = {**scope, "headers": headers}
        connection = HTTPConnection(scope)
        if _foreign(connection) or self._exposed(scope):
            return await _refuse(scope, receive, send, 403, "This request did not come from the panel's own address.")
        session = self._access.session(connection.cookies.get(cookie_name(scope)))
        if session is not None:
            known = [(b"x-panel-user", session.user.encode()), (b"x-panel-role", session.role.encode())]
            scope = {**scope, "headers": headers + known}
            guarded = _until_end(session, receive, send) if scope["type"] == "websocket" else receive
            return await self._app(scope, guarded, send)
        if scope["type"] == "http" and (scope["path"] in OPEN_PATHS or self._may_scrape(connection)):
            return await self._app(scope, receive, send)
        if scope["type"] == "http" and self._access.config.sign_in_elsewhere:
            if scope["path"] in oidc.PATHS:
                return await self._app(scope, receive, send)
            if any(map(oidc.is_identity_cookie, connection.cookies)):
                return await self._admit(Request(scope, receive))(scope, receive, send)
        if scope["type"] == "http" and not scope["path"].startswith(MACHINE_PATHS):
            return await _to_sign_in(Request(scope, receive))(scope, receive, send)
        await _refuse(scope, receive, send, 401, "Sign in first.")

    def _exposed(self, scope: Scope) -> bool:
        """Without a password only loopback is served, whatever address another ASGI server was told to bind."""
        server = scope.get("server")
        return not self._access.config.asks_who and not (server and is_loopback(server[0]))

    def _admit(self, request: Request) -> Response:
        """Somebody comes back from the provider: a session for those who have a role here."""
        email = oidc.vouched_email(request.cookies)
        session_id = None if email is None else self._access.admit(email)
        if session_id is not None:
            return forget_identity(request, signed_in(request, session_id))
        return forget_identity(request, no_access(request, email))

    def _may_scrape(self, connection: HTTPConnection) -> bool:
        """Whether Prometheus asks: with the token, or from this machine. A proxy on this machine asks for others."""
        if connection.scope["path"] != "/metrics":
            return False
        token = self._access.config.metrics_token
        if token is not None:
            given = connection.headers.get("authorization", "")
            return hmac.compare_digest(given.encode(), f"Bearer {token}".encode())
        ends = (connection.scope.get("server"), connection.scope.get("client"))
        here = all(end is not None and (is_loopback(end[0])) for end in ends)
        return here and not any(name in connection.headers for name in FORWARDED)


def _foreign(connection: HTTPConnection) -> bool:
    """Whether a browser says that another site sent this."""
    origin = connection.headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != connection.headers.get("host")


def _to_sign_in(request: Request) -> Response:
    wanted = onward.wanted_address(request)
    if onward.comes_from_elsewhere(request):
        return moved_on(request, wanted)
    return RedirectResponse(onward.login_address(wanted), 303)


async def _refuse(scope: Scope, receive: Receive, send: Send, status: int, sentence: str) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": SIGNED_OUT_CODE})
    else:
        await JSONResponse({"error": sentence}, status)(scope, receive, send)


def _until_end(session: Session, receive: Receive, send: Send) -> Receive:
    """`receive` for a socket that must die with its session, also while it is idle."""
    pending: asyncio.Future[Message] | None = None

    async def guarded() -> Message:
        nonlocal pending
        pending = pending or asyncio.ensure_future(receive())
        ended = asyncio.ensure_future(session.ended.wait())
        both: set[asyncio.Future[Any]] = {pending, ended}
        try:
            await asyncio.wait(both, timeout=session.remaining_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ended.cancel()
        if session.remaining_s <= 0 or not pending.done():
            pending.cancel()
            await send({"type": "websocket.close", "code": SIGNED_OUT_CODE})
            return {"type": "websocket.disconnect", "code": SIGNED_OUT_CODE, "reason": "signed out"}
        message, pending = pending.result(), None
        return message

    return guarded
