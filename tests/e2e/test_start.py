"""How the panel starts, and how it refuses to: one clear sentence, never a traceback."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from hybrid.ops.password import password_hash
from scripts.screenshots import MODES, ROOT, RunningPanel, free_port, open_context

WITHOUT_SERVERS = {"REDIS_URL": "redis://127.0.0.1:1", "UPSTASH_REDIS_URL": "redis://127.0.0.1:2"}
STREAMLIT = (sys.executable, "-m", "streamlit", "run", str(ROOT / "app.py"), "--server.port", "{port}")


def refused(folder: Path, *arguments: str) -> str:
    """What `python app.py` says when it does not start."""
    ended = subprocess.run(
        [sys.executable, str(ROOT / "app.py"), *arguments], cwd=folder, capture_output=True, text=True, timeout=60
    )
    assert ended.returncode != 0
    assert "Traceback" not in ended.stderr
    return ended.stderr.strip()


def health(panel: RunningPanel) -> tuple[int, dict[str, object]]:
    try:
        with urllib.request.urlopen(f"{panel.address}/api/health", timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def doorman(panel: RunningPanel) -> int:
    """The process that answers in front of the panel."""
    assert panel.process is not None
    children = Path(f"/proc/{panel.process.pid}/task/{panel.process.pid}/children").read_text().split()
    [found] = [child for child in children if b"doorman" in Path(f"/proc/{child}/cmdline").read_bytes()]
    return int(found)


def test_busy_port_is_one_sentence(tmp_path: Path) -> None:
    with RunningPanel(tmp_path, WITHOUT_SERVERS) as panel:
        panel.link()
        sentence = refused(tmp_path, "--port", str(panel.port))
    assert f"127.0.0.1:{panel.port}" in sentence
    assert "--port" in sentence
    assert len(sentence.splitlines()) == 1


def test_open_address_without_password_is_refused(tmp_path: Path) -> None:
    sentence = refused(tmp_path, "--port", str(free_port()), "--address", "0.0.0.0")
    assert "HYBRID_PANEL_PASSWORD_HASH" in sentence
    assert len(sentence.splitlines()) == 1


@pytest.mark.slow
def test_streamlit_run_serves_it_too_while_both_stores_are_down(tmp_path: Path) -> None:
    with RunningPanel(tmp_path, WITHOUT_SERVERS, STREAMLIT) as panel:
        assert panel.link().startswith(f"{panel.address}/login?token=")
        status, document = health(panel)
        assert (status, document["status"]) == (503, "down")
        assert panel.process is not None
        os.kill(panel.process.pid, signal.SIGSTOP)  # it holds up everybody, as a page that is drawn does for a while
        try:
            assert health(panel)[0] == 503, "answered in front of it"
        finally:
            os.kill(panel.process.pid, signal.SIGCONT)
        os.kill(doorman(panel), signal.SIGKILL)
        asking = http.client.HTTPConnection("127.0.0.1", panel.port, timeout=10)  # which would go on
        asking.request("GET", "/api/health/live")
        assert asking.getresponse().getheader("Connection") == "close", "by itself; the body waits for nothing"
        panel.stop()  # Streamlit says "Aborted!" and 1
    assert "Traceback" not in panel.output


def test_with_a_password_no_link_is_printed(tmp_path: Path) -> None:
    environment = {**WITHOUT_SERVERS, "HYBRID_PANEL_PASSWORD_HASH": password_hash("long enough")}
    with RunningPanel(tmp_path, environment) as panel:
        assert panel.link() == f"{panel.address}/"
        assert "token" not in panel.output


@pytest.mark.browser
@pytest.mark.slow
def test_wrong_url_is_a_page_that_says_what_to_correct(chromium: Browser, tmp_path: Path) -> None:
    with RunningPanel(tmp_path, {"REDIS_URL": "http://:hidden-password@nowhere"}) as panel:
        page = open_context(chromium, MODES[0]).new_page()
        page.goto(panel.link())
        expect(page.get_by_role("heading", name="The stores could not be started")).to_be_visible(timeout=30_000)
        expect(page.get_by_test_id("stAlert")).to_contain_text("REDIS_URL")
        assert "hidden-password" not in page.content() + panel.output
        assert health(panel)[0] == 503
        page.context.close()
