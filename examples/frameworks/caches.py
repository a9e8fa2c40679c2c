"""A dogpile.cache region, and a cachetools cache in front of both stores.

pip install hybrid-redis dogpile.cache cachetools
REDIS_URL=redis://localhost:6379 UPSTASH_REDIS_URL=rediss://... python -m examples.frameworks.caches
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cachetools import TTLCache, cached
from dogpile.cache import CacheRegion, make_region

import hybrid.frameworks.dogpile  # makes the backend "hybrid" known
from hybrid.shared import shared

__all__ = ["make_cache_region", "two_level"]

assert hybrid.frameworks.dogpile.HybridBackend


def make_cache_region(**arguments: Any) -> CacheRegion:
    """One thread or process makes a value, the others wait for it or are served the old one."""
    arguments = {"distributed_lock": True, "thread_local_lock": False, "lock_timeout": 30, **arguments}
    return make_region().configure("hybrid", expiration_time=300, arguments=arguments)


def two_level(load: Callable[[str], Any], near_s: float = 5.0, far_s: int = 300) -> Callable[[str], Any]:
    """`load` behind both stores (for `far_s`), and those behind this process's memory (for `near_s`): what is asked for
    all the time costs no round trip, and is at most `near_s` older than the stores."""

    @cached(TTLCache(maxsize=1024, ttl=near_s))
    def get(name: str) -> Any:
        return shared().get_or_load(f"two-level:{name}", lambda: load(name), ex=far_s)

    return get


if __name__ == "__main__":
    region = make_cache_region()
    print(region.get_or_create("greeting", lambda: "hello"))
    print(two_level(str.upper)("hello"))
