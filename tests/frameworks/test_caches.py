"""dogpile.cache, cachetools and locks over two stores."""

from __future__ import annotations

import threading

import pytest
from redis.exceptions import LockNotOwnedError

from hybrid.shared import shared
from hybrid.testing import StorePair

pytest.importorskip("dogpile.cache")
pytest.importorskip("cachetools")

from dogpile.cache.api import NO_VALUE

from examples.frameworks.caches import make_cache_region, two_level


def test_a_region_makes_each_value_once(app_stores: StorePair) -> None:
    region, made = make_cache_region(), []

    @region.cache_on_arguments()
    def load(number: int) -> dict[str, int]:
        made.append(number)
        return {"number": number}

    threads = [threading.Thread(target=load, args=(1,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert load(1) == {"number": 1} and made == [1]
    region.set_multi({"a": 1, "b": 2})
    app_stores.local.cut()
    assert region.get_multi(["a", "b", "none"]) == [1, 2, NO_VALUE]
    load.invalidate(1)
    assert load(1) == {"number": 1} and made == [1, 1]
    app_stores.heal()


def test_two_levels(app_stores: StorePair) -> None:
    made: list[str] = []

    def load(name: str) -> str:
        made.append(name)
        return name.upper()

    get = two_level(load)
    assert [get("a"), get("a"), two_level(load)("a")] == ["A"] * 3
    assert made == ["a"], "the second level spares another process the source"


def test_a_lock_is_kept_over_a_failover(app_stores: StorePair) -> None:
    mine = shared().lock("door", timeout=30)
    assert mine.acquire(blocking=False)
    app_stores.local.cut()
    other = shared().lock("door", timeout=30)
    assert not other.acquire(blocking=False), "with ack=both it was on the cloud before acquire returned"
    assert mine.extend(30) and mine.owned()
    mine.release()
    assert other.acquire(blocking=False)
    with pytest.raises(LockNotOwnedError):
        mine.local.token = b"somebody else's"
        mine.release()
    other.release()
    app_stores.heal()
