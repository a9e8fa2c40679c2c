"""Tests of others that cannot pass, by the reason. One that passes after all fails the run."""

from __future__ import annotations

from typing import Final

from scripts.public_suites.expected.others import (
    ARQ,
    CACHELIB,
    CELERY_REDBEAT,
    DJANGO_REDIS,
    FAKEREDIS,
    FLASK_CACHING,
    KOMBU,
    LIMITS,
    PYRATE_LIMITER,
    PYTHON_REDIS_LOCK,
    RQ,
    THROTTLED,
)
from scripts.public_suites.expected.reasons import MAY_PASS, NOT_RUN, Expected
from scripts.public_suites.expected.redis_py import REDIS_PY, REDIS_PY_ASYNCIO

__all__ = ["EXPECTED", "MAY_PASS", "NOT_RUN"]

EXPECTED: Final[dict[str, Expected]] = {
    "redis-py": REDIS_PY,
    "redis-py-asyncio": REDIS_PY_ASYNCIO,
    "fakeredis": FAKEREDIS,
    "rq": RQ,
    "huey": {},
    "django-redis": DJANGO_REDIS,
    "dogpile.cache": {},
    "kombu": KOMBU,
    "cachelib": CACHELIB,
    "aiocache": {},
    "walrus": {},
    "flask-caching": FLASK_CACHING,
    "limits": LIMITS,
    "arq": ARQ,
    "python-redis-lock": PYTHON_REDIS_LOCK,
    "channels-redis": {},
    "pyrate-limiter": PYRATE_LIMITER,
    "throttled-py": THROTTLED,
    "celery-redbeat": CELERY_REDBEAT,
}
