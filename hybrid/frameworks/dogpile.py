"""dogpile.cache: importing this makes the backend `hybrid` known.

    region = make_region().configure("hybrid", expiration_time=300)

Arguments are those of dogpile's own Redis backend (`redis_expiration_time`, `distributed_lock`, ...), without the ones
that say where it is: URLs and settings come from the environment and `.env`, or from `settings`, a dict.
"""

from __future__ import annotations

from typing import Any

from dogpile.cache import register_backend
from dogpile.cache.backends.redis import RedisBackend

from hybrid.shared import shared

__all__ = ["HybridBackend"]


class HybridBackend(RedisBackend):  # type: ignore[misc]
    """dogpile's own Redis backend on the shared HybridRedis."""

    def __init__(self, arguments: dict[str, Any]) -> None:
        self._settings = arguments.pop("settings", {})
        super().__init__(arguments)

    def _create_client(self) -> None:
        self.writer_client = self.reader_client = shared(**self._settings)


register_backend("hybrid", "hybrid.frameworks.dogpile", "HybridBackend")
