"""`limits`, and so Flask-Limiter: importing this makes `storage_uri="hybrid://"` known.

The URLs and settings come from the environment and `.env`; storage options are hybrid's settings, by name.
"""

from __future__ import annotations

from typing import Any

from limits.storage import RedisStorage

from hybrid.shared import shared

__all__ = ["HybridStorage"]


class HybridStorage(RedisStorage):  # type: ignore[misc]
    """limits' own Redis storage on the shared HybridRedis."""

    STORAGE_SCHEME = ("hybrid",)

    def __init__(self, uri: str, wrap_exceptions: bool = False, key_prefix: str = "LIMITS", **options: Any) -> None:
        self._settings = options
        super().__init__("redis://localhost", key_prefix=key_prefix, wrap_exceptions=wrap_exceptions)

    def initialize_storage(self, _uri: str) -> None:
        self.storage = shared(**self._settings)  # in the place of one that was never connected
        super().initialize_storage(_uri)
