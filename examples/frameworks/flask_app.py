"""Flask with sessions, a cache and rate limits in two stores.

pip install hybrid-redis flask flask-session flask-caching flask-limiter
REDIS_URL=redis://localhost:6379 UPSTASH_REDIS_URL=rediss://... flask --app examples.frameworks.flask_app:make_app run
"""

from __future__ import annotations

import time

from flask import Flask, session
from flask_caching import Cache
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_session import Session

import hybrid.frameworks.limits  # makes hybrid:// known
from hybrid.shared import shared

__all__ = ["make_app"]

assert hybrid.frameworks.limits.HybridStorage


def make_app() -> Flask:
    app = Flask(__name__)
    r = shared()  # one client for the process, from the environment or .env
    app.config.update(SESSION_TYPE="redis", SESSION_REDIS=r)
    app.config.update(CACHE_TYPE="RedisCache", CACHE_REDIS_HOST=r, CACHE_DEFAULT_TIMEOUT=60)
    Session(app)
    cache = Cache(app)
    limiter = Limiter(get_remote_address, app=app, storage_uri="hybrid://", strategy="moving-window")

    @app.get("/visits")
    def visits() -> str:
        session["visits"] = session.get("visits", 0) + 1
        return str(session["visits"])

    @app.get("/slow")
    @cache.cached()
    def slow() -> str:
        return str(time.monotonic_ns())

    @app.get("/limited")
    @limiter.limit("3 per minute")
    def limited() -> str:
        return "one of three"

    return app
