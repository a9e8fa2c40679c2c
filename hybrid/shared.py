"""One client for a whole process, for frameworks that open theirs from settings, often and anywhere."""

from __future__ import annotations

import atexit
import threading
from typing import Any

from hybrid.client import HybridRedis

__all__ = ["close_shared", "shared"]

_lock = threading.Lock()
_clients: dict[tuple[Any, ...], HybridRedis] = {}


def shared(local_url: str | None = None, cloud_url: str | None = None, **options: Any) -> HybridRedis:
    """The client of this process for these stores: opened once, closed at exit, safe in threads and forked children.

    What is not given comes from the environment and `.env`, as with `HybridRedis.from_env`. Closing what is
    returned closes nothing. Raises ConfigurationError.
    """
    given = {name: url for name, url in (("local_url", local_url), ("cloud_url", cloud_url)) if url}
    key = (*given.items(), *sorted((name, repr(value)) for name, value in options.items()))
    with _lock:
        client = _clients.get(key)
        if client is None:
            client = _clients[key] = HybridRedis.from_env(**given, **options)
            atexit.register(client.close)
    return client.client()


def close_shared() -> None:
    """Close all of them now; the next use opens them anew. For tests, and servers that reload."""
    with _lock:
        clients = list(_clients.values())
        _clients.clear()
    for client in clients:
        atexit.unregister(client.close)
        client.close()
