"""JSON, search and time series through the asyncio client: the same on both stores, pipelines included."""

from __future__ import annotations

import pytest
from aio.rig import on_loop
from redis.commands.search.field import NumericField
from redis.commands.search.index_definition import IndexDefinition
from servers import Pool, Stores, client

from hybrid.aio import HybridRedis


@pytest.fixture
def stores(server_pool: Pool) -> Stores:
    return Stores(server_pool.get("redis-7.4", "local"), server_pool.get("redis-7.4", "cloud"))


def test_pipelines_of_modules_reach_both_stores(stores: Stores) -> None:
    async def run(hybrid: HybridRedis) -> None:
        await hybrid.json().set("doc", "$", {"n": 1})
        assert await hybrid.json().get("doc") == {"n": 1}
        documents = hybrid.json().pipeline()
        documents.set("doc", "$.n", 2).set("other", "$", [])
        assert await documents.execute() == [True, True]
        series = hybrid.ts().pipeline()
        series.create("ts").add("ts", 1000, 1)
        await series.execute()
        books = IndexDefinition(prefix=["book:"])
        await hybrid.ft("i").create_index((NumericField("n"),), definition=books)
        indexed = hybrid.ft("i").pipeline()
        indexed.hset("book:1", "n", 3)
        await indexed.execute()
        assert (await hybrid.ft("i").search("@n:[3 3]")).total == 1

    on_loop(stores, run)
    with client(stores.cloud.url) as cloud:
        assert cloud.json().get("doc") == {"n": 2}
        assert cloud.ts().get("ts") is not None
        assert cloud.ft("i").search("@n:[3 3]").total == 1
