"""The HTML document behind every page's address: Streamlit's own, told where its server is.

Left to itself, a page that is opened by its address (`/keys`) looks for its server below that address first: two errors
404 in the browser's console, and a pause before it tries the right place. And it loads what tables and charts are drawn
with when the first of them is to be drawn, a second or two then: here the browser does that ahead, while nobody waits.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route
from streamlit.file_util import get_static_dir

from panel.nav import PAGES

__all__ = ["CONTRAST", "DRAWN_WITH", "document_routes"]

HEAD: Final = "<head>"
SERVER_HERE: Final = "<script>window.__streamlit = {BACKEND_BASE_URL: window.location.origin}</script>"
CONTRAST: Final = """<style>
[data-selected="true"] p, .token.property, .token.function { color: light-dark(#1d4ed8, #a3c1ff) !important }
.token.string, .token.inserted { color: light-dark(#11663a, #7fe0ae) !important }
.token.number, .token.boolean, .token.keyword { color: light-dark(#8f4700, #ffc98a) !important }
.token.deleted { color: light-dark(#a3161a, #ffb3ae) !important }
</style>"""
"""Words that Streamlit writes too faintly, whatever the theme says, in colours of the theme (WCAG AA, 4.5:1). What is
chosen of several has the colour of the buttons whose words are white: none is light enough and dark enough for both."""
IN_LINE: Final = """<style>
[data-variant="segmented_control"] { min-height: 2.5rem !important }
</style>"""
"""Switches are as high as the fields and buttons beside them: Streamlit's stand a few pixels lower than their row."""
KEYBOARD: Final = """<style>
[data-testid="stSidebar"][data-collapsed="true"] { visibility: hidden }
a:focus-visible { outline: 2px solid light-dark(#2b54d4, #6c9bff) !important; outline-offset: -2px }
</style>"""
"""Whoever walks with Tab meets nothing that is out of sight, and sees where they are: links of Streamlit have a shade
only, and the closed sidebar keeps its buttons."""
DRAWN_WITH: Final = (
    "DataFrame", "TextInput", "FileUploader", "NumberInput", "Checkbox", "Multiselect", "TextArea", "Progress",
    "PlotlyChart",
)  # fmt: skip
"""The parts of Streamlit's frontend that other pages than the first one need: tables, fields, charts to explore."""
AHEAD: Final = """<script>
addEventListener('load', () => {
  const parts = %s, quietMs = 4000
  let movedMs = 0
  const moved = () => { movedMs = performance.now() }
  for (const kind of ['pointermove', 'pointerdown', 'keydown']) addEventListener(kind, moved, {capture: true})
  const whenIdle = (act) => window.requestIdleCallback ? requestIdleCallback(act) : setTimeout(act, 500)
  const load = () => import(parts.shift()).catch(() => {})
  const loadOthers = () => {
    if (!parts.length) return
    const busy = location.pathname !== '/' || performance.now() - movedMs < quietMs
    if (busy) setTimeout(whenIdle, 500, loadOthers)
    else load().then(loadOthers)
  }
  const loadFirst = () => load().then(() => { if (parts.length > 1) loadFirst(); else { moved(); loadOthers() } })
  const begin = () => document.querySelector('h1') ? whenIdle(loadFirst) : setTimeout(begin, 200)
  if (parts.length && !navigator.connection?.saveData) begin()
})
</script>"""
"""Tables and fields are loaded as soon as the page stands. The charts, the last part, take the browser a second in
which it does nothing else: they are loaded only while somebody looks at the first page and moves nothing."""
SIGNED_OUT: Final = """<script>
setInterval(() => {
  const app = document.querySelector('[data-testid=stApp]')
  if (!app || app.dataset.testConnectionState === 'CONNECTED') return
  fetch('/_stcore/health').then((answer) => { if (answer.status === 401) location.reload() }).catch(() => {})
}, 2000)
</script>"""
"""Whoever has signed out in another tab, or too long ago, gets the page to sign in rather than an error of the
connection."""


def document_routes() -> list[Route]:
    """The start page, and every page by its address."""
    folder = Path(get_static_dir())
    page = (
        (folder / "index.html")
        .read_text(encoding="utf-8")
        .replace(HEAD, HEAD + SERVER_HERE + CONTRAST + IN_LINE + KEYBOARD + SIGNED_OUT + ahead(folder), 1)
    )

    async def document(request: Request) -> Response:
        return HTMLResponse(page, headers={"Cache-Control": "no-cache"})

    async def home(request: Request) -> Response:
        return RedirectResponse(request.url.replace(path="/"))

    start, *others = PAGES  # the start page has no address of its own: Streamlit would not find it
    return [Route("/", document), Route(f"/{start}", home), *(Route(f"/{name}", document) for name in others)]


def ahead(folder: Path) -> str:
    """The script that loads the big parts once the page is there, one by one; what there is not is left out."""
    found = (next((folder / "static" / "js").glob(f"{name}.*.js"), None) for name in DRAWN_WITH)
    return AHEAD % [f"/static/js/{part.name}" for part in found if part is not None]
