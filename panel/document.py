"""The HTML document behind every page's address: Streamlit's own, told where its server is.

Left to itself, a page that is opened by its address (`/keys`) looks for its server below that address first: two errors
404 in the browser's console, and a pause before it tries the right place.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route
from streamlit.file_util import get_static_dir

from panel.nav import PAGES

__all__ = ["document_routes"]

HEAD: Final = "<head>"
SERVER_HERE: Final = "<script>window.__streamlit = {BACKEND_BASE_URL: window.location.origin}</script>"


def document_routes() -> list[Route]:
    """The start page, and every page by its address."""
    page = (Path(get_static_dir()) / "index.html").read_text(encoding="utf-8").replace(HEAD, HEAD + SERVER_HERE, 1)

    async def document(request: Request) -> Response:
        return HTMLResponse(page, headers={"Cache-Control": "no-cache"})

    async def home(request: Request) -> Response:
        return RedirectResponse(request.url.replace(path="/"))

    start, *others = PAGES  # the start page has no address of its own: Streamlit would not find it
    return [Route("/", document), Route(f"/{start}", home), *(Route(f"/{name}", document) for name in others)]
