"""The few pages outside Streamlit, to sign in and out: plain HTML, no script, nothing from elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from html import escape
from urllib.parse import parse_qs

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import Scope

from panel import oidc, onward
from panel.access import SESSION_S, Access, is_loopback
from panel.i18n import LANGUAGE_KEY, N_, _, language, speak

__all__ = [
    "access_routes", "cookie_name", "forget_identity", "heed_language", "login_link", "moved_on", "no_access", "say",
    "signed_in",
]  # fmt: skip

LONGEST_FORM = 4096


def access_routes(access: Access) -> list[Route]:
    """The sign-in and sign-out pages."""
    pages = _Pages(access)
    return [
        Route("/login", _spoken(pages.login), methods=["GET", "POST"]),
        Route("/login/link", _spoken(pages.print_link), methods=["POST"]),
        Route("/logout", _spoken(pages.logout), methods=["GET", "POST"]),
    ]


def _spoken(handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """The same in the reader's language."""

    async def spoken(request: Request) -> Response:
        heed_language(request)
        return await handler(request)

    return spoken


def heed_language(request: Request) -> None:
    """From now on answer this request in the language of its address, of the cookie, or else of the browser."""
    accepted = [part.partition(";")[0].strip() for part in request.headers.get("accept-language", "").split(",")]
    speak(request.query_params.get(LANGUAGE_KEY), request.cookies.get(LANGUAGE_KEY), *accepted)


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


class _Pages:
    """What each address answers."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def login(self, request: Request) -> Response:
        if request.method == "POST":
            return await self._sign_in(request)
        token = request.query_params.get("token")
        if token is not None:
            session_id = self._access.redeem_link(token)
            if session_id is not None:
                return signed_in(request, session_id)
            return self._ask(request, 403, _("This link was used already, or a newer one was printed."))
        if self._access.session(request.cookies.get(cookie_name(request.scope))):
            return RedirectResponse(_destination(request), 303)
        return self._ask(request, 200)

    async def _sign_in(self, request: Request) -> Response:
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > LONGEST_FORM:
                return self._ask(request, 413, _("That is too long to be a password."))
        password = parse_qs(body.decode(errors="replace"), keep_blank_values=True).get("password", [""])[0]
        session_id = await to_thread.run_sync(self._access.sign_in, password)
        if session_id is not None:
            return signed_in(request, session_id)
        if self._access.locked_s > 0:
            wait = _("Too many wrong passwords: wait {n} seconds.").format(n=f"{self._access.locked_s:.0f}")
            return self._ask(request, 429, wait)
        return self._ask(request, 401, _("That is not the password."))

    async def print_link(self, request: Request) -> Response:
        """Print a fresh link where the panel runs: only who can read its terminal gets in."""
        if self._access.config.asks_who:
            return RedirectResponse("/login", 303)
        link = login_link(self._access, (request.scope.get("server") or ("", 0))[1])
        if link is not None:
            say(f"Open {link}")
        return self._ask(request, 200, _("A fresh link was just printed in the terminal."))

    async def logout(self, request: Request) -> Response:
        if request.method == "GET":
            return _page(
                _("Sign out?"), _paragraph(_("Open tabs of this panel stop at once.")) + _form("/logout", _("Sign out"))
            )
        name = cookie_name(request.scope)
        self._access.end(request.cookies.get(name))
        response = _page(_("Signed out"), _paragraph(_("Sign in again"), "/login"))
        response.delete_cookie(name, httponly=True, samesite="strict")
        return forget_identity(request, response)

    def _ask(self, request: Request, status: int, note: str = "") -> Response:
        wanted = _destination(request)
        response = self._question(status, note, onward.login_address(wanted))
        onward.remember(response, _next_cookie(request), wanted)
        return response

    def _question(self, status: int, note: str, address: str) -> Response:
        """The page to sign in on; a password goes to `address`."""
        shown = f'<p class="note" role="status">{escape(note)}</p>' if note else ""
        config = self._access.config
        if config.asks_who:
            elsewhere = oidc.providers() if config.sign_in_elsewhere else {}
            links = [
                _paragraph(_("Sign in with {provider}").format(provider=title), oidc.login_path(name), "act")
                for name, title in elsewhere.items()
            ]
            password = _form(address, _("Sign in"), _password_field()) if config.stored_hash is not None else ""
            return _page(_("Sign in"), shown + password + "".join(links), status)
        return _page(_("Almost there"), shown + _link_help() + _form("/login/link", _("Print a fresh link")), status)


def signed_in(request: Request, session_id: str) -> Response:
    # A page that moves on by itself, not a redirect: after a redirect that began on another site (a web terminal,
    # a chat) the browser would withhold the SameSite=Strict cookie, and the link would not work in one click.
    response = moved_on(request, _destination(request), _("Signed in"))
    onward.forget(response, _next_cookie(request))
    secure = request.url.scheme == "https"
    response.set_cookie(
        cookie_name(request.scope), session_id, max_age=int(SESSION_S), httponly=True, samesite="strict", secure=secure
    )
    return response


def moved_on(request: Request, address: str, title: str = "") -> Response:
    """A page that goes on to `address` by itself: the browser then asks for that as from here."""
    heed_language(request)
    act = _("Open the panel")
    move = f'<meta http-equiv="refresh" content="0;url={escape(address)}">'
    return _page(title or act, _paragraph(act, address), head=move)


def _destination(request: Request) -> str:
    return onward.destination(request, _next_cookie(request))


def _next_cookie(request: Request) -> str:
    return f"{cookie_name(request.scope)}_next"


def no_access(request: Request, email: str | None) -> Response:
    """For somebody whom the provider knows and who has no role here. `email` is None when it does not vouch for one."""
    heed_language(request)
    if email is None:
        text = _("You are signed in there, but have no role here.")
    else:
        text = _("{email} is signed in there, but has no role here.").format(email=email)
    return _page(_("No access"), _paragraph(text) + _paragraph(_("Sign in"), "/login"), 403)


def forget_identity(request: Request, response: Response) -> Response:
    """Streamlit's cookies about the person end here: they are neither Strict nor ended by a sign-out."""
    for name in filter(oidc.is_identity_cookie, request.cookies):
        response.delete_cookie(name, httponly=True, samesite="lax")
    return response


def _form(action: str, label: str, field: str = "") -> str:
    return f'<form method="post" action="{escape(action)}">{field}<button>{escape(label)}</button></form>'


def _paragraph(text: str, link: str = "", kind: str = "") -> str:
    """A paragraph, or one that is a link."""
    shown = escape(text)
    return f'<p><a class="{kind}" href="{escape(link)}">{shown}</a></p>' if link else f"<p>{shown}</p>"


def _password_field() -> str:
    field = '<input type="password" name="password" autofocus autocomplete="current-password">'
    return f"<label>{escape(_('Password'))}{field}</label>"


def _link_help() -> str:
    why, where, then = (_paragraph(_(text)) for text in LINK_HELP)
    return f"{why}{where}<pre>Open http://127.0.0.1:8501/login?token=&hellip;</pre>{then}"


def _page(title: str, body: str, status: int = 200, head: str = "") -> HTMLResponse:
    html = PAGE.format(lang=language().replace("_", "-"), title=escape(title), body=body, head=head)
    return HTMLResponse(html, status, headers=PAGE_HEADERS)


PAGE_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "same-origin",
}
LINK_HELP = (
    N_("This panel opens with a link, so that other users of this machine cannot steer your stores."),
    N_("Look in the terminal where the panel was started for a line such as"),
    N_(
        "and open that link once. This browser then stays signed in for eight hours. Cannot find it, or it was used "
        "already?"
    ),
)
PAGE = """<!doctype html><html lang="{lang}"><head><meta charset="utf-8">{head}
<meta name="viewport" content="width=device-width, initial-scale=1"><title>{title} · Hybrid Redis</title><style>
:root {{ color-scheme: light dark; --ink: #131c2e; --soft: #55617a; --back: #fafcff; --line: #d7dfec; --act: #2b54d4 }}
@media (prefers-color-scheme: dark) {{
  :root {{ --ink: #e7ebf3; --soft: #a4afc3; --back: #0c101b; --line: #2a3346; --act: #3f6ae8 }} }}
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
