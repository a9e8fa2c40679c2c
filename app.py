"""The admin panel as an ASGI application: `streamlit run app.py`, `python app.py [--port N]` or `uvicorn app:app`.

Routes, access gate and the agent's lifespan; the pages are drawn by panel/ui.py.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import importlib
import logging
import socket
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import streamlit as st
from anyio import to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from streamlit import config

from panel import oidc, queries
from panel.access import Access, AccessConfig, AccessRefused
from panel.document import document_routes
from panel.door import Door
from panel.gate import access_middleware
from panel.kept_files import keep_files
from panel.process import process
from panel.signin import access_routes, login_link, say

logger = logging.getLogger("hybrid.panel")


AT_ONCE = {"Connection": "close"}
"""The server writes head and body apart. The body would wait until the client has acknowledged the head, 40 ms; the end
of the connection sends it."""


SWITCH_S = 0.0005
"""How long a thread that draws keeps Python to itself, a tenth of the usual: what is shipped needs it several times."""


async def probe(request: Request) -> JSONResponse:
    """From memory and on the loop: threads may all be busy with pages, and a monitor waits for nobody."""
    queries.inquire()
    code, document = queries.probes()[request.url.path]()
    return JSONResponse(document, code, AT_ONCE)


async def metrics(request: Request) -> Response:
    """As on `hybrid agent --listen`."""
    reply = queries.metrics()
    return Response(reply.body, reply.code, AT_ONCE, reply.content_type)


def answers() -> dict[str, tuple[int, dict[str, Any]]]:
    return {path: answer() for path, answer in queries.probes().items()}


@asynccontextmanager
async def lifespan(app: st.App) -> AsyncIterator[dict[str, Any]]:
    keep_files()
    await to_thread.run_sync(process().start)
    sys.setswitchinterval(SWITCH_S)
    threading.Thread(target=load_pages, name="panel-load", daemon=True).start()
    door = Door(asyncio.get_running_loop(), access.config, answers, queries.inquire)
    for line in start_lines():
        say(line)
    try:
        yield {}
    finally:
        await door.close()
        await to_thread.run_sync(process().close)


def load_pages() -> None:
    """Load what pages need before somebody opens one: tables alone take half a second."""
    for name in ("panel.keys.browser", "panel.metrics.view"):
        importlib.import_module(name)
    gc.freeze()  # what is loaded stays: to look through it for garbage would hold up all threads


def start_lines() -> list[str]:
    problem = process().problem
    link = login_link(access, int(config.get_option("server.port")))
    return [f"The stores did not start: {problem}"] * bool(problem) + [f"Open {link}"] * bool(link)


def log_script_error(error: Exception) -> bool:
    """The page says only that something failed (`client.showErrorDetails`); the reason goes to the log."""
    logger.error("a page failed", exc_info=error)
    return False


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="The admin panel of Hybrid Redis.")
    parser.add_argument("--address", help="default: 127.0.0.1")
    parser.add_argument("--port", type=int, help="default: 8501")
    return parser.parse_args()


def configure() -> dict[str, Any]:
    """Read Streamlit's configuration, with the command line on top; returns what the command line says."""
    options = arguments()
    given = {"server.address": options.address, "server.port": options.port}
    chosen = {name: value for name, value in given.items() if value is not None}
    config.get_config_options(options_from_flags=chosen)
    return chosen


def refuse_busy_port(address: str, port: int) -> None:
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            reason = error.strerror or str(error)
            sys.exit(f"The panel cannot listen on {address}:{port} ({reason}). Choose another port with --port.")


def opened_access(address: str) -> Access:
    """The access rules for this address. Ends the process with one sentence when they forbid it."""
    try:
        return Access(AccessConfig.from_env(address, sign_in_elsewhere=oidc.is_configured()))
    except AccessRefused as refusal:
        sys.exit(str(refusal))


if not config._main_script_path:  # under plain Python or uvicorn nobody has told Streamlit where the configuration is
    config._main_script_path = str(Path(__file__).resolve())
launched = __name__ == "__main__"
chosen = configure() if launched else {}
address, port = str(config.get_option("server.address") or ""), int(config.get_option("server.port"))
access = opened_access(address)
process().access = access

app = st.App(
    Path(__file__).resolve().parent / "panel" / "ui.py",
    routes=[
        *(Route(path, probe) for path in queries.PROBE_PATHS),
        Route("/metrics", metrics),
        *access_routes(access),
        *document_routes(),
    ],
    middleware=access_middleware(access),
    lifespan=lifespan,
    on_script_error=log_script_error,
)

if launched:
    refuse_busy_port(address, port)
    hosts = access.config.allowed_hosts
    known = set(hosts) <= {"127.0.0.1", "localhost", "[::1]"}
    with suppress(KeyboardInterrupt):  # uvicorn raises it again after it has shut everything down
        app.run(config=chosen if known else {**chosen, "server.allowedHosts": hosts})
