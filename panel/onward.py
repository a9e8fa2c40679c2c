"""Where somebody wanted to go who has to sign in first: a view has an address, and it is kept on the way."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote, unquote

from starlette.requests import HTTPConnection
from starlette.responses import Response

__all__ = ["comes_from_elsewhere", "destination", "forget", "login_address", "remember", "wanted_address"]

WANTED: Final = "next"
HERE: Final = re.compile(r"/(?![/\\])[!-~]*")
"""An address on this panel. To a browser `//host` and `/\\host` are other sites, and control characters nothing."""
KEPT_S: Final = 600
LONGEST: Final = 2048


def wanted_address(connection: HTTPConnection) -> str:
    """Path and query of a request for a page; "" for what is no page, such as its icon."""
    url = connection.url
    address = f"{url.path}?{url.query}" if url.query else url.path
    return address if "text/html" in connection.headers.get("accept", "") and HERE.fullmatch(address) else ""


def comes_from_elsewhere(connection: HTTPConnection) -> bool:
    """Whether a link on another site led here: the browser withholds our Strict cookie then, signed in or not."""
    return connection.headers.get("sec-fetch-site") == "cross-site" and bool(wanted_address(connection))


def login_address(wanted: str) -> str:
    """Where to sign in, to come to `wanted` then."""
    return f"/login?{WANTED}={quote(wanted, safe='')}" if wanted else "/login"


def destination(connection: HTTPConnection, cookie: str) -> str:
    """Where to go once signed in: what this address says, or else the cookie of this name (see `remember`)."""
    asked = connection.query_params.get(WANTED) or unquote(connection.cookies.get(cookie, ""))
    return asked if HERE.fullmatch(asked) else "/"


def remember(response: Response, cookie: str, wanted: str) -> None:
    """Keep it for those who come back by another address: by the printed link, or from a provider. That one is another
    site, so the cookie is not Strict."""
    if len(wanted) <= LONGEST:
        response.set_cookie(cookie, quote(wanted, safe=""), max_age=KEPT_S, httponly=True, samesite="lax")


def forget(response: Response, cookie: str) -> None:
    response.delete_cookie(cookie, httponly=True, samesite="lax")
