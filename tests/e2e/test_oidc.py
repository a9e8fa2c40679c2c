"""Signing in at an OpenID Connect provider: a real one on loopback, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e.test_first_walk import PATIENT_MS
from e2e.test_start import WITHOUT_SERVERS
from playwright.sync_api import Browser, Page, WebSocket, expect

from scripts.screenshots import MODES, RunningPanel, free_port, open_context

identity = pytest.importorskip("e2e.provider", reason="needs Authlib: see requirements-dev.txt", exc_type=ImportError)
pytestmark = [pytest.mark.browser, pytest.mark.slow]
OPERATOR, VIEWER, STRANGER = "olga@example.com", "victor@example.org", "eve@evil.example"
APP = "document.querySelector('[data-testid=stApp]')"
SECRETS = """[auth]
redirect_uri = "http://127.0.0.1:{port}/oauth2callback"
cookie_secret = "a secret of at least thirty-two characters"
client_id = "{client_id}"
client_secret = "{client_secret}"
server_metadata_url = "{issuer}/.well-known/openid-configuration"
"""


@pytest.fixture
def provider() -> Iterator[Any]:
    with identity.running_provider() as running:
        yield running


@pytest.fixture
def panel_with_provider(provider: Any, tmp_path: Path) -> Iterator[RunningPanel]:
    port = free_port()
    secrets = tmp_path / ".streamlit" / "secrets.toml"
    secrets.parent.mkdir()
    values = {
        "port": port,
        "client_id": identity.CLIENT_ID,
        "client_secret": identity.CLIENT_SECRET,
        "issuer": provider.issuer,
    }
    secrets.write_text(SECRETS.format(**values))
    roles = {"HYBRID_PANEL_OPERATORS": OPERATOR, "HYBRID_PANEL_VIEWERS": "@example.org"}
    with RunningPanel(tmp_path, {**WITHOUT_SERVERS, **roles}, port=port) as panel:
        yield panel


def sign_in(page: Page, panel: RunningPanel, email: str) -> None:
    page.goto(panel.link())
    page.get_by_role("link", name="Sign in with OpenID Connect").click()
    page.get_by_label("E-mail").fill(email)
    page.get_by_role("button", name="Allow").click()


def test_people_of_the_provider_get_their_role_and_sign_out_ends_open_tabs(
    chromium: Browser, panel_with_provider: RunningPanel, provider: Any
) -> None:
    panel = panel_with_provider
    page = open_context(chromium, MODES[0]).new_page()
    sockets: list[WebSocket] = []
    page.on("websocket", lambda socket: sockets.append(socket))
    sign_in(page, panel, OPERATOR)
    expect_role(page, f"{OPERATOR}: you may change things")
    assert provider.codes == {}, "the code was redeemed"
    cookies = {cookie["name"]: cookie.get("sameSite") for cookie in page.context.cookies(panel.address)}
    assert cookies[f"hybrid_panel_{panel.port}"] == "Strict"
    assert not [name for name in cookies if name.startswith("_streamlit_user")], "Streamlit's own about people are gone"

    viewer = open_context(chromium, MODES[0]).new_page()
    sign_in(viewer, panel, VIEWER)
    expect_role(viewer, f"{VIEWER}: you may look, and change nothing")

    stranger = open_context(chromium, MODES[0]).new_page()
    sign_in(stranger, panel, STRANGER)
    expect(stranger.get_by_text(f"{STRANGER} is signed in there, but has no role here.")).to_be_visible()
    stranger.goto(panel.address)
    expect(stranger.get_by_role("heading", name="Sign in")).to_be_visible()

    other = page.context.new_page()
    other.goto(f"{panel.address}/logout")
    other.get_by_role("button", name="Sign out").click()
    expect(other.get_by_role("heading", name="Signed out")).to_be_visible()
    page.wait_for_function(f"() => {APP}?.dataset.testConnectionState !== 'CONNECTED'")  # or it is gone already
    assert all(socket.is_closed() for socket in sockets)
    expect(viewer.get_by_role("heading", name="Overview")).to_be_visible()
    assert viewer.evaluate(f"() => {APP}.dataset.testConnectionState") == "CONNECTED", "others stay signed in"
    assert "Traceback" not in panel.output


def expect_role(page: Page, words: str) -> None:
    expect(page.get_by_role("heading", name="Overview")).to_be_visible(timeout=PATIENT_MS)
    page.get_by_test_id("stExpandSidebarButton").click()
    expect(page.get_by_test_id("stSidebarUserContent").get_by_text(words)).to_be_visible(timeout=PATIENT_MS)
