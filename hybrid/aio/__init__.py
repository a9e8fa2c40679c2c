"""The client for asyncio: `from hybrid.aio import HybridRedis`."""

from __future__ import annotations

from hybrid.aio.client import HybridRedis
from hybrid.aio.pipeline import HybridPipeline

__all__ = ["HybridPipeline", "HybridRedis"]
