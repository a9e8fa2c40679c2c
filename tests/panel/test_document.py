"""The document behind every address: the same each time, and told where the server is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.testclient import TestClient
from streamlit.file_util import get_static_dir

from panel.document import DRAWN_WITH, document_routes
from panel.nav import PAGES


@pytest.fixture
def browser() -> TestClient:
    """As behind Streamlit, which compresses: what is sent once must be fit to be sent again."""
    return TestClient(Starlette(routes=[*document_routes()], middleware=[Middleware(GZipMiddleware)]))


def test_every_address_brings_it_however_often(browser: TestClient) -> None:
    addresses = ["/", *(f"/{name}" for name in PAGES)] * 2
    found = {browser.get(address).text for address in addresses}
    assert len(found) == 1
    document = found.pop()
    assert "BACKEND_BASE_URL" in document
    parts = re.findall(r"'/static/(js/\w+\.[\w-]+\.js)'", document)
    assert len(parts) == len(DRAWN_WITH), "Streamlit calls its parts otherwise by now: the first table and chart wait"
    assert all((Path(get_static_dir()) / "static" / part).is_file() for part in parts)


def test_start_page_has_one_address_and_keeps_what_it_was_asked(browser: TestClient) -> None:
    answer = browser.get("/overview?lang=pt_BR", follow_redirects=False)
    assert answer.headers["location"].endswith("/?lang=pt_BR")
