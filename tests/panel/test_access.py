"""The door: who gets in, who does not, and that nothing is served around it."""

from __future__ import annotations

import io
import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect
from streamlit.testing.v1 import AppTest
from streamlit.web.server.starlette.starlette_app_utils import create_signed_value

from hybrid.cli import main
from hybrid.ops.password import password_hash, password_matches
from panel import actions, confirm, oidc, widgets
from panel.access import Access, AccessConfig, AccessRefused, is_loopback
from panel.gate import access_middleware
from panel.process import PanelProcess
from panel.signin import access_routes, login_link

PASSWORD = "a long password"
STORED = password_hash(PASSWORD)
ADDRESS = ("127.0.0.1", 8501)
BASE = "http://127.0.0.1:8501"
STREAM = "ws://127.0.0.1:8501/_stcore/stream"


async def who(request: Request) -> Response:
    return JSONResponse({name: value for name, value in request.headers.items() if name.startswith("x-panel-")})


PROBES = ("/api/health", "/api/health/live", "/api/health/ready")


async def health(request: Request) -> Response:
    return PlainTextResponse("fine")


async def echo(socket: WebSocket) -> None:
    await socket.accept()
    async for text in socket.iter_text():
        await socket.send_text(text)


def client_of(
    access: Access, server: tuple[str, int] = ADDRESS, browser: tuple[str, int] = ("127.0.0.1", 50000)
) -> TestClient:
    open_paths = [Route(path, health) for path in (*PROBES, "/metrics")]
    open_and_not = [*open_paths, Route("/api/health/more", who)]
    streamlit_s_own = [Route(path, health) for path in ("/auth/login", "/oauth2callback")]
    inner = [Route("/", who), Route("/_stcore/health", who), *streamlit_s_own, *open_and_not]
    app = Starlette(
        routes=[*access_routes(access), *inner, WebSocketRoute("/_stcore/stream", echo)],
        middleware=access_middleware(access),
    )
    return TestClient(app, base_url=f"http://{server[0]}:{server[1]}", follow_redirects=False, client=browser)


@pytest.fixture
def by_link() -> Access:
    return Access(AccessConfig("127.0.0.1"))


@pytest.fixture
def by_password() -> Access:
    return Access(AccessConfig("127.0.0.1", STORED))


def signed_in(access: Access) -> TestClient:
    client = client_of(access)
    if access.config.stored_hash:
        assert client.post("/login", data={"password": PASSWORD}).status_code == 200
    else:
        link = login_link(access, 8501)
        assert link is not None
        assert client.get(link).status_code == 200
    return client


def test_link_works_once_and_sets_a_strict_cookie(by_link: Access) -> None:
    link = login_link(by_link, 8501)
    assert link is not None
    assert link.startswith(f"{BASE}/login?token=")
    first, second = client_of(by_link), client_of(by_link)
    answer = first.get(link)
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "url=/" in answer.text
    assert first.get("/").json() == {"x-panel-user": "operator", "x-panel-role": "operator"}
    assert second.get(link).status_code == 403
    assert second.get("/").status_code == 303


def test_stranger_on_loopback_is_told_where_the_link_is(by_link: Access) -> None:
    client = client_of(by_link)
    assert client.get("/").headers["location"] == "/login"
    page = client.get("/login")
    assert page.status_code == 200
    assert "terminal where the panel was started" in page.text
    assert "token=" not in page.text.replace("token=&hellip;", "")


VIEW = "/keys?key=user%3A42&store=cloud"
NAVIGATION = {"Accept": "text/html"}


def test_a_link_to_a_view_leads_there_by_way_of_the_password(by_password: Access) -> None:
    client = client_of(by_password)
    question = client.get(VIEW, headers=NAVIGATION).headers["location"]
    assert 'action="/login?next=%2Fkeys' in client.get(question).text
    client.cookies.clear()  # another tab asked for something else since
    assert f'url={VIEW.replace("&", "&amp;")}"' in client.post(question, data={"password": PASSWORD}).text
    assert client.get(question).headers["location"] == VIEW, "a second tab, once the first one has signed in"


def test_a_link_to_a_view_leads_there_by_way_of_the_printed_link(by_link: Access) -> None:
    client = client_of(by_link)
    client.get(client.get(VIEW, headers=NAVIGATION).headers["location"])
    client.get(client.get("/favicon.ico", headers={"Accept": "image/*"}).headers["location"])
    link = login_link(by_link, 8501)
    assert link is not None
    assert f'url={VIEW.replace("&", "&amp;")}"' in client.get(link).text
    assert client.get("/login").headers["location"] == "/", "it is kept for once"


def test_the_last_address_asked_for_counts(by_link: Access) -> None:
    client = client_of(by_link)
    for address in (VIEW, "/"):
        client.get(client.get(address, headers=NAVIGATION).headers["location"])
    link = login_link(by_link, 8501)
    assert link is not None
    assert 'content="0;url=/"' in client.get(link).text


@pytest.mark.parametrize("elsewhere", ["//evil.example/", "/\\evil.example", "https://evil.example", "/\t/evil", "x"])
def test_signing_in_leads_to_no_other_site(by_password: Access, elsewhere: str) -> None:
    answer = client_of(by_password).post("/login", params={"next": elsewhere}, data={"password": PASSWORD})
    assert 'content="0;url=/"' in answer.text


def test_a_link_on_another_site_leads_to_the_view_at_once(by_password: Access) -> None:
    """The browser keeps the Strict cookie back on the first request, signed in or not."""
    answer = client_of(by_password).get(VIEW, headers={**NAVIGATION, "Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 200
    assert f'url={VIEW.replace("&", "&amp;")}"' in answer.text


@pytest.mark.parametrize(
    ("headers", "cookie", "title"),
    [
        ({"Accept-Language": "pt-BR,pt;q=0.9,en;q=0.8"}, None, "Quase lá"),
        ({"Accept-Language": "pt-BR"}, "en", "Almost there"),
        ({"Accept-Language": "ja"}, None, "Almost there"),
        ({}, "pt_BR", "Quase lá"),
    ],
)
def test_sign_in_speaks_the_reader_s_language(
    by_link: Access, headers: dict[str, str], cookie: str | None, title: str
) -> None:
    client = client_of(by_link)
    if cookie is not None:
        client.cookies.set("lang", cookie, domain="127.0.0.1")
    page = client.get("/login", headers=headers).text
    assert f"<h1>{title}</h1>" in page
    assert ('lang="pt-BR"' in page) == (title == "Quase lá")


def test_fresh_link_goes_to_the_terminal_only(by_link: Access, capsys: pytest.CaptureFixture[str]) -> None:
    client = client_of(by_link)
    answer = client.post("/login/link")
    printed = capsys.readouterr().out
    assert printed.startswith(f"Open {BASE}/login?token=")
    assert printed.split("token=")[1].strip() not in answer.text
    assert client.get(printed.split()[1]).status_code == 200


@pytest.mark.parametrize("path", ["/_stcore/health", "/api/health/more"])
def test_machine_paths_answer_401(by_link: Access, path: str) -> None:
    assert client_of(by_link).get(path).status_code == 401


@pytest.mark.parametrize("path", PROBES)
def test_probes_are_open(by_link: Access, path: str) -> None:
    assert client_of(by_link).get(path).text == "fine"


def test_metrics_are_open_on_this_machine_alone() -> None:
    access = Access(AccessConfig("192.0.2.1", STORED))
    assert client_of(access).get("/metrics").text == "fine"
    assert client_of(access, ("192.0.2.1", 8501)).get("/metrics").status_code == 401
    assert client_of(access, browser=("192.0.2.9", 50000)).get("/metrics").status_code == 401


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP"])
def test_metrics_are_closed_to_who_comes_through_a_proxy_on_this_machine(by_password: Access, header: str) -> None:
    assert client_of(by_password).get("/metrics", headers={header: "192.0.2.9"}).status_code == 401


def test_metrics_by_token() -> None:
    client = client_of(Access(AccessConfig("127.0.0.1", STORED, metrics_token="scrape-me")))
    assert client.get("/metrics").status_code == 401
    assert client.get("/metrics", headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert client.get("/metrics", headers={"Authorization": "Bearer scrape-me"}).text == "fine"
    assert client.get("/_stcore/health", headers={"Authorization": "Bearer scrape-me"}).status_code == 401


def test_identity_headers_of_the_client_are_dropped(by_link: Access) -> None:
    forged = {"X-Panel-Role": "admin", "x-panel-user": "root", "X-Panel-Other": "1"}
    assert client_of(by_link).get("/", headers=forged).status_code == 303
    answer = signed_in(by_link).get("/", headers=forged).json()
    assert answer == {"x-panel-user": "operator", "x-panel-role": "operator"}


def test_socket_needs_a_session(by_link: Access) -> None:
    with pytest.raises(WebSocketDisconnect) as refused, client_of(by_link).websocket_connect(STREAM):
        pass
    assert refused.value.code == 4401
    with signed_in(by_link).websocket_connect(STREAM) as socket:
        socket.send_text("hello")
        assert socket.receive_text() == "hello"


def test_logout_ends_live_sockets_also_idle_ones(by_link: Access) -> None:
    with signed_in(by_link) as client, client.websocket_connect(STREAM) as socket:
        socket.send_text("hello")
        assert socket.receive_text() == "hello"
        assert client.post("/logout").status_code == 200
        with pytest.raises(WebSocketDisconnect) as ended:
            socket.receive_text()
        assert ended.value.code == 4401
        assert client.get("/").status_code == 303


def test_logout_by_get_does_nothing(by_link: Access) -> None:
    client = signed_in(by_link)
    assert "Sign out" in client.get("/logout").text
    assert client.get("/").status_code == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "http://127.0.0.1:9999", "null"])
def test_foreign_origin_is_refused(by_link: Access, origin: str) -> None:
    client = signed_in(by_link)
    assert client.post("/logout", headers={"Origin": origin}).status_code == 403
    with (
        pytest.raises(WebSocketDisconnect) as refused,
        client.websocket_connect(STREAM, headers={"Origin": origin}),
    ):
        pass
    assert refused.value.code == 4401
    assert client.post("/logout", headers={"Origin": BASE}).status_code == 200


def test_unknown_host_is_refused_everywhere(by_link: Access) -> None:
    for path in ("/", "/login", "/api/health"):
        assert client_of(by_link).get(path, headers={"Host": "evil.example:8501"}).status_code == 400


def test_other_server_cannot_expose_a_panel_without_password(by_link: Access) -> None:
    client = client_of(by_link, ("192.0.2.7", 8501))
    assert client.get("/login", headers={"Host": "127.0.0.1:8501"}).status_code == 403


def test_password(by_password: Access) -> None:
    client = client_of(by_password)
    assert "password" in client.get("/login").text
    assert client.post("/login", data={"password": "wrong"}).status_code == 401
    assert client.get("/").status_code == 303
    assert client.post("/login", data={"password": PASSWORD}).status_code == 200
    assert client.get("/").status_code == 200
    assert login_link(by_password, 8501) == f"{BASE}/"


def test_lock_out_refuses_even_the_right_password(by_password: Access) -> None:
    client = client_of(by_password)
    for _ in range(5):
        client.post("/login", data={"password": "wrong"})
    answer = client.post("/login", data={"password": PASSWORD})
    assert answer.status_code == 429
    assert "wait" in answer.text
    assert client.get("/").status_code == 303


def test_session_expires(by_link: Access, monkeypatch: pytest.MonkeyPatch) -> None:
    client = signed_in(by_link)
    later = time.monotonic() + 9 * 3600
    monkeypatch.setattr("panel.access.time.monotonic", lambda: later)
    assert client.get("/").status_code == 303


@pytest.mark.parametrize("address", ["0.0.0.0", "", "::", "192.168.1.5", "panel.example"])
def test_open_address_needs_a_password(address: str) -> None:
    with pytest.raises(AccessRefused, match="HYBRID_PANEL_PASSWORD_HASH"):
        AccessConfig(address)
    assert AccessConfig(address, STORED).stored_hash == STORED


def test_wrong_hash_is_refused_without_being_shown() -> None:
    with pytest.raises(AccessRefused) as refused:
        AccessConfig("127.0.0.1", "plain-text-password")
    assert "plain-text-password" not in str(refused.value)
    assert STORED not in repr(AccessConfig("127.0.0.1", STORED))


def test_configuration_from_env_file(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text(f"HYBRID_PANEL_PASSWORD_HASH={STORED}\nHYBRID_PANEL_HOSTS=panel.example, other.example\n")
    config = AccessConfig.from_env("0.0.0.0", env_file, {})
    assert config.stored_hash == STORED
    assert config.allowed_hosts == ["127.0.0.1", "localhost", "[::1]", "panel.example", "other.example"]


def test_hash_is_salted_and_matches() -> None:
    assert password_hash(PASSWORD) != STORED
    assert password_matches(PASSWORD, STORED)
    assert not password_matches(PASSWORD + " ", STORED)


@pytest.mark.parametrize(
    ("address", "loopback"), [("127.0.0.1", True), ("::1", True), ("localhost", True), ("10.0.0.1", False)]
)
def test_loopback(address: str, loopback: bool) -> None:
    assert is_loopback(address) is loopback


def test_cookie_of_one_panel_is_not_that_of_another_port(by_link: Access) -> None:
    assert list(signed_in(by_link).cookies) == ["hybrid_panel_8501"]


# -- roles


VIEWER_PASSWORD = "only looking"


def test_each_password_has_its_role() -> None:
    access = Access(AccessConfig("127.0.0.1", STORED, viewer_hash=password_hash(VIEWER_PASSWORD)))
    for password, role in ((PASSWORD, "operator"), (VIEWER_PASSWORD, "viewer")):
        client = client_of(access)
        assert client.post("/login", data={"password": password}).status_code == 200
        assert client.get("/").json() == {"x-panel-user": role, "x-panel-role": role}


def test_viewer_gets_no_more_guesses_by_signing_in_between_them() -> None:
    access = Access(AccessConfig("127.0.0.1", STORED, viewer_hash=password_hash(VIEWER_PASSWORD)))
    for _ in range(4):
        access.sign_in("wrong")
    assert access.sign_in(VIEWER_PASSWORD) is not None
    access.sign_in("wrong")
    assert access.locked_s > 0


def test_viewer_s_password_alone_is_refused() -> None:
    with pytest.raises(AccessRefused, match="HYBRID_PANEL_PASSWORD_HASH"):
        AccessConfig("127.0.0.1", viewer_hash=STORED)


def test_read_only_makes_everybody_a_viewer() -> None:
    answer = signed_in(Access(AccessConfig("127.0.0.1", read_only=True))).get("/").json()
    assert answer == {"x-panel-user": "operator", "x-panel-role": "viewer"}


@pytest.mark.parametrize(("text", "on"), [("true", True), ("1", True), ("false", False), ("", False), (None, False)])
def test_read_only_switch(text: str | None, on: bool) -> None:
    environ = {} if text is None else {"HYBRID_PANEL_READ_ONLY": text}
    assert AccessConfig.from_env("127.0.0.1", Path("none"), environ).read_only is on


def test_misspelled_read_only_switch_does_not_start_a_panel_that_changes_things() -> None:
    with pytest.raises(AccessRefused, match="HYBRID_PANEL_READ_ONLY"):
        AccessConfig.from_env("127.0.0.1", Path("none"), {"HYBRID_PANEL_READ_ONLY": "ture"})


def test_read_only_is_checked_in_the_action_itself(
    panel_process: PanelProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(st, "user", {"name": "o", "role": "operator"})
    panel_process.access = Access(AccessConfig("127.0.0.1", read_only=True))
    with pytest.raises(actions.NotAllowed, match="HYBRID_PANEL_READ_ONLY"):
        actions.change_settings(write_both=False)
    assert not actions.is_operator()


def test_that_the_button_was_enabled_is_the_browsers_word_only(monkeypatch: pytest.MonkeyPatch) -> None:
    for typed in ("", "delete", "delete everything", "Delete everything "):
        state = {"k-typed": typed}
        monkeypatch.setattr(st, "session_state", state)
        confirm.confirm("k", "delete everything")
        assert ("k-confirmed" in state) == ("everything" in typed)


def asking() -> None:
    """A page with something that is asked for."""
    import streamlit as st

    from panel import actions, confirm

    def act() -> actions.Outcome:
        st.session_state["ran"] = st.session_state.get("ran", 0) + 1
        return actions.Outcome(True, "")

    confirm.ask("k", "Delete", "delete everything", "Deletes.", act)


def test_confirmation_runs_nothing_before_the_phrase_was_typed_and_then_once() -> None:
    at = AppTest.from_function(asking).run()
    for typed in ("delete", "delete everything"):
        at.text_input(key="k-typed").set_value(typed).run()
        assert at.button(key="k-go").disabled == (typed == "delete")
    at.button(key="k-go").click().run()
    at.run()
    assert not at.exception
    assert at.session_state["ran"] == 1


def test_what_came_of_a_dialog_is_said_once_it_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A message from inside an open dialog breaks the page in the browser."""
    told: list[str] = []
    monkeypatch.setattr(st, "session_state", {"k": "yes"})
    monkeypatch.setattr(st, "toast", lambda text, icon: told.append(text))
    widgets.perform_in_dialog(actions.Outcome, True, "Pairing has begun.")
    assert told == []
    widgets.say_now()
    widgets.say_now()
    assert told == ["Pairing has begun."]


# -- a provider


COOKIE_SECRET = "a secret of thirty-two characters"
SITE = "http://127.0.0.1:8501"


@pytest.fixture
def by_provider(monkeypatch: pytest.MonkeyPatch) -> Access:
    """As with `[auth]` in secrets.toml; the provider itself is not asked."""
    section = {"redirect_uri": f"{SITE}/oauth2callback", "client_id": "panel", "cookie_secret": COOKIE_SECRET}
    monkeypatch.setattr(oidc, "get_secrets_auth_section", lambda: section)
    monkeypatch.setattr(oidc, "get_origin_from_redirect_uri", lambda: SITE)
    monkeypatch.setattr(oidc, "get_cookie_secret", lambda: COOKIE_SECRET)
    monkeypatch.setattr(oidc, "encode_provider_token", lambda name: f"token-of-{name}")
    roles = {"operators": ("Olga@example.com",), "viewers": ("@example.com",)}
    return Access(AccessConfig("0.0.0.0", sign_in_elsewhere=True, extra_hosts=("127.0.0.1",), **roles))


def coming_back(access: Access, secret: str = COOKIE_SECRET, **person: object) -> TestClient:
    """A browser with the cookie that Streamlit's callback leaves."""
    claims = {"email": "olga@example.com", "origin": SITE, "is_logged_in": True, **person}
    value = create_signed_value(secret, "_streamlit_user", json.dumps(claims)).decode()
    client = client_of(access)
    client.cookies.set("_streamlit_user", value, domain="127.0.0.1")
    return client


@pytest.mark.parametrize(
    ("email", "role"), [("olga@example.com", "operator"), ("Victor@Example.com", "viewer"), ("eve@evil.example", None)]
)
def test_provider_s_people_have_the_role_given_here(by_provider: Access, email: str, role: str | None) -> None:
    client = coming_back(by_provider, email=email)
    answer = client.get("/")
    assert answer.status_code == (403 if role is None else 200)
    assert "_streamlit_user" not in client.cookies
    if role is None:
        assert email in answer.text
        assert client.get("/").status_code == 303
    else:
        assert "SameSite=strict" in answer.headers["set-cookie"]
        assert client.get("/").json() == {"x-panel-user": email, "x-panel-role": role}


@pytest.mark.parametrize(
    "person",
    [
        {"secret": "a secret that somebody else chose"},
        {"origin": "http://other.example"},
        {"email_verified": False},
        {"is_logged_in": False},
        {"email": None},
    ],
)
def test_who_is_not_vouched_for_does_not_get_in(by_provider: Access, person: dict[str, Any]) -> None:
    client = coming_back(by_provider, **person)
    assert client.get("/").status_code == 403
    assert client.get("/_stcore/health").status_code == 401


def test_sign_in_page_leads_to_the_provider_and_only_its_routes_are_open(by_provider: Access) -> None:
    client = client_of(by_provider)
    assert 'href="/auth/login?provider=token-of-default"' in client.get("/login").text
    for path in ("/auth/login", "/oauth2callback"):
        assert client.get(path).text == "fine"
    assert client.get("/auth/login/more").status_code == 303
    assert client.get("/").status_code == 303


def test_provider_without_its_packages_is_one_sentence(by_provider: Access, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, oidc.CLIENT, None)
    with pytest.raises(AccessRefused, match="needs Authlib and httpx2"):
        oidc.is_configured()


def test_routes_of_the_provider_are_closed_where_none_is_configured(by_link: Access) -> None:
    assert client_of(by_link).get("/oauth2callback").status_code == 303


def test_cookie_of_a_provider_means_nothing_where_none_is_configured(by_link: Access) -> None:
    assert coming_back(by_link).get("/").status_code == 303


def test_sign_out_forgets_the_provider_s_cookies_too(by_provider: Access) -> None:
    client = coming_back(by_provider)
    client.get("/")
    client.cookies.set("_streamlit_user", "left over", domain="127.0.0.1")
    assert client.post("/logout").status_code == 200
    assert not list(client.cookies)


# -- the command


def test_command_prints_a_line_for_the_env_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{VIEWER_PASSWORD}\n"))
    assert main(["password", "--viewer"]) == 0
    name, _, stored = capsys.readouterr().out.strip().partition("=")
    assert name == "HYBRID_PANEL_VIEWER_HASH"
    assert password_matches(VIEWER_PASSWORD, stored)
    monkeypatch.setattr("sys.stdin", io.StringIO("short\n"))
    assert main(["password"]) == 2
