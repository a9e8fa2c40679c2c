"""Celery with its broker and results in two stores, through the proxy: its transport wants a URL.

pip install hybrid-redis celery[redis]
python -m hybrid proxy --port 6390 &
celery -A examples.frameworks.celery_app worker
"""

from __future__ import annotations

import os

from celery import Celery

__all__ = ["add", "app"]

PROXY = os.environ.get("BROKER_URL", "redis://127.0.0.1:6390/0")
app = Celery("shop", broker=PROXY, backend=PROXY)
app.conf.broker_transport_options = {"visibility_timeout": 3600}  # a job taken and not done by then is given out again


@app.task(acks_late=True)
def add(left: int, right: int) -> int:
    return left + right
