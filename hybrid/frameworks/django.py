"""Django: its own cache backend, and django-redis, over two stores.

    CACHES = {"default": {"BACKEND": "hybrid.frameworks.django.HybridCache", "LOCATION": [local_url, cloud_url]}}

Without LOCATION the URLs come from the environment and `.env`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core.cache.backends.redis import RedisCache, RedisCacheClient

from hybrid.client import HybridRedis
from hybrid.shared import shared

__all__ = ["ConnectionFactory", "HybridCache"]


class HybridCacheClient(RedisCacheClient):  # type: ignore[misc]
    """Django's client, on the shared HybridRedis. OPTIONS besides `serializer` are hybrid's settings and redis-py's."""

    def __init__(self, servers: Sequence[str], serializer: Any = None, **options: Any) -> None:
        super().__init__(servers, serializer=serializer)
        self._hybrid = shared(*(url for url in servers[:2] if url), **options)

    def get_client(self, key: Any = None, *, write: bool = False) -> HybridRedis:
        return self._hybrid


class HybridCache(RedisCache):  # type: ignore[misc]
    """A cache backend: LOCATION is `[local_url, cloud_url]`, or left out."""

    def __init__(self, server: Any, params: dict[str, Any]) -> None:
        super().__init__(server, params)
        self._class = HybridCacheClient


class ConnectionFactory:
    """For django-redis: `"OPTIONS": {"CONNECTION_FACTORY": "hybrid.frameworks.django.ConnectionFactory"}`.

    LOCATION is the local store's URL; the cloud one's is the option CLOUD_URL, or in the environment. The option HYBRID
    holds further settings, by name.
    """

    def __init__(self, options: dict[str, Any]) -> None:
        self._cloud_url = options.get("CLOUD_URL")
        self._settings = options.get("HYBRID", {})

    def connect(self, url: str) -> HybridRedis:
        """The shared client. Raises ConfigurationError."""
        return shared(url, self._cloud_url, **self._settings)

    def disconnect(self, connection: HybridRedis) -> None:
        """Nothing: it is closed when the process ends."""
