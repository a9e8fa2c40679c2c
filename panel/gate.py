"""The door of the panel: ASGI middleware around everything it serves, and the sign-in pages.

Script code cannot guard the panel: Streamlit's WebSocket, uploads, media and our own routes never run it.
So every request and socket passes here first: unknown Host and foreign Origin are refused, then a session is needed.
"""

from __future__ import annotations

import asyncio
import hmac
import sys
from html import escape
from typing import Any
from urllib.parse import parse_qs, urlsplit

from anyio import to_thread
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from panel import oidc
from panel.access import SESSION_S, Access, Session, is_loopback

__all__ = ["AccessGate", "access_middleware", "access_routes", "cookie_name", "login_link", "say"]

OPEN_PATHS = frozenset({"/login", "/login/link", "/api/health", "/api/health/live", "/api/health/ready"})
FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip")
MACHINE_PATHS = ("/_stcore/", "/api/", "/media/", "/component/", "/metrics")
SIGNED_OUT_CODE = 4401
LONGEST_FORM = 4096


def access_middleware(access: Access) -> list[Middleware]:
    """What `st.App(middleware=)` needs, outermost first."""
    hosts = Middleware(TrustedHostMiddleware, allowed_hosts=access.config.allowed_hosts, www_redirect=False)
    return [hosts, Middleware(AccessGate, access=access)]


def access_routes(access: Access) -> list[Route]:
    """The sign-in and sign-out pages."""
    pages = _Pages(access)
    return [
        Route("/login", pages.login, methods=["GET", "POST"]),
        Route("/login/link", pages.print_link, methods=["POST"]),
        Route("/logout", pages.logout, methods=["GET", "POST"]),
    ]


def login_link(access: Access, port: int) -> str | None:
    """The address to open: with a one-time token where no password is set. None when asked again too soon."""
    host = "127.0.0.1" if is_loopback(access.config.address) or not access.config.address else access.config.address
    if access.config.asks_who:
        return f"http://{host}:{port}/"
    token = access.new_link_token()
    return None if token is None else f"http://{host}:{port}/login?token={token}"


def say(line: str) -> None:
    """Tell the terminal where the panel runs."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def cookie_name(scope: Scope) -> str:
    """Cookies ignore ports, so two panels on one machine need two names."""
    return f"hybrid_panel_{(scope.get('server') or ('', 0))[1]}"


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
            return await RedirectResponse("/login", 303)(scope, receive, send)
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
            return forget_identity(request, _signed_in(request, session_id))
        who = "You are signed in there" if email is None else f"{escape(email)} is signed in there"
        refused = _page("No access", f'<p>{who}, but has no role here.</p><p><a href="/login">Sign in</a></p>', 403)
        return forget_identity(request, refused)

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


class _Pages:
    """The few pages outside Streamlit: plain HTML, no script, nothing from elsewhere."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def login(self, request: Request) -> Response:
        if request.method == "POST":
            return await self._sign_in(request)
        token = request.query_params.get("token")
        if token is not None:
            session_id = self._access.redeem_link(token)
            if session_id is not None:
                return _signed_in(request, session_id)
            return self._ask(403, "This link was used already, or a newer one was printed.")
        if self._access.session(request.cookies.get(cookie_name(request.scope))):
            return RedirectResponse("/", 303)
        return self._ask(200)

    async def _sign_in(self, request: Request) -> Response:
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > LONGEST_FORM:
                return self._ask(413, "That is too long to be a password.")
        password = parse_qs(body.decode(errors="replace"), keep_blank_values=True).get("password", [""])[0]
        session_id = await to_thread.run_sync(self._access.sign_in, password)
        if session_id is not None:
            return _signed_in(request, session_id)
        if self._access.locked_s > 0:
            return self._ask(429, f"Too many wrong passwords: wait {self._access.locked_s:.0f} seconds.")
        return self._ask(401, "That is not the password.")

    async def print_link(self, request: Request) -> Response:
        """Print a fresh link where the panel runs: only who can read its terminal gets in."""
        if self._access.config.asks_who:
            return RedirectResponse("/login", 303)
        link = login_link(self._access, (request.scope.get("server") or ("", 0))[1])
        if link is not None:
            say(f"Open {link}")
        return self._ask(200, "A fresh link was just printed in the terminal.")

    async def logout(self, request: Request) -> Response:
        if request.method == "GET":
            return _page("Sign out?", "<p>Open tabs of this panel stop at once.</p>" + _form("/logout", "Sign out"))
        name = cookie_name(request.scope)
        self._access.end(request.cookies.get(name))
        response = _page("Signed out", '<p><a href="/login">Sign in again</a></p>')
        response.delete_cookie(name, httponly=True, samesite="strict")
        return forget_identity(request, response)

    def _ask(self, status: int, note: str = "") -> Response:
        shown = f'<p class="note" role="status">{escape(note)}</p>' if note else ""
        config = self._access.config
        if config.asks_who:
            elsewhere = oidc.providers() if config.sign_in_elsewhere else {}
            links = (
                f'<p><a class="act" href="{escape(oidc.login_path(name))}">Sign in with {escape(title)}</a></p>'
                for name, title in elsewhere.items()
            )
            password = _form("/login", "Sign in", PASSWORD_FIELD) if config.stored_hash is not None else ""
            return _page("Sign in", shown + password + "".join(links), status)
        return _page("Almost there", shown + LINK_HELP + _form("/login/link", "Print a fresh link"), status)


def _signed_in(request: Request, session_id: str) -> Response:
    # A page that moves on by itself, not a redirect: after a redirect that began on another site (a web terminal,
    # a chat) the browser would withhold the SameSite=Strict cookie, and the link would not work in one click.
    onward = '<meta http-equiv="refresh" content="0;url=/">'
    response = _page("Signed in", '<p><a href="/">Open the panel</a></p>', head=onward)
    secure = request.url.scheme == "https"
    response.set_cookie(
        cookie_name(request.scope), session_id, max_age=int(SESSION_S), httponly=True, samesite="strict", secure=secure
    )
    return response


def forget_identity(request: Request, response: Response) -> Response:
    """Streamlit's cookies about the person end here: they are neither Strict nor ended by a sign-out."""
    for name in filter(oidc.is_identity_cookie, request.cookies):
        response.delete_cookie(name, httponly=True, samesite="lax")
    return response


def _form(action: str, label: str, field: str = "") -> str:
    return f'<form method="post" action="{action}">{field}<button>{label}</button></form>'


def _page(title: str, body: str, status: int = 200, head: str = "") -> HTMLResponse:
    return HTMLResponse(PAGE.format(title=title, body=body, head=head), status, headers=PAGE_HEADERS)


PAGE_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "same-origin",
}
PASSWORD_FIELD = (
    '<label>Password<input type="password" name="password" autofocus autocomplete="current-password"></label>'
)
LINK_HELP = """<p>This panel opens with a link, so that other users of this machine cannot steer your stores.</p>
<p>Look in the terminal where the panel was started for a line such as</p>
<pre>Open http://127.0.0.1:8501/login?token=&hellip;</pre>
<p>and open that link once. This browser then stays signed in for eight hours.
Cannot find it, or it was used already?</p>"""
PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8">{head}
<meta name="viewport" content="width=device-width, initial-scale=1"><title>{title} · Hybrid Redis</title><style>
:root {{ color-scheme: light dark; --ink: #131c2e; --soft: #55617a; --back: #fafcff; --line: #d7dfec; --act: #2b54d4 }}
@media (prefers-color-scheme: dark) {{
  :root {{ --ink: #e7ebf3; --soft: #a4afc3; --back: #0c101b; --line: #2a3346; --act: #4470ee }} }}
body {{ font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--back); margin: 0;
  min-height: 100vh; display: grid; place-items: center }}
main {{ max-width: 26rem; margin: 1rem; padding: 1.5rem 2rem 2rem; border: 1px solid var(--line);
  border-radius: .75rem }}
h1 {{ font-size: 1.35rem; margin: .2rem 0 .8rem }} small, pre {{ color: var(--soft) }} a {{ color: inherit }}
pre {{ white-space: pre-wrap; overflow-wrap: anywhere; border: 1px solid var(--line); border-radius: .5rem;
  padding: .5rem .75rem }}
.note {{ border-left: 3px solid var(--act); padding-left: .75rem }}
label {{ display: grid; gap: .3rem }} form {{ margin-top: 1rem; display: grid; gap: .75rem; justify-items: stretch }}
input {{ font: inherit; padding: .5rem .6rem; border: 1px solid var(--soft); border-radius: .5rem; color: inherit;
  background: transparent }}
button {{ font: inherit; font-weight: 600; padding: .55rem 1rem; border: 0; border-radius: .5rem; color: #fff;
  background: var(--act); cursor: pointer }}
.act {{ display: block; text-align: center; font-weight: 600; padding: .55rem 1rem; border: 1px solid var(--line);
  border-radius: .5rem; text-decoration: none }}
:focus-visible {{ outline: 3px solid var(--act); outline-offset: 2px }}
</style></head><body><main><small>Hybrid Redis</small><h1>{title}</h1>{body}</main></body></html>"""
