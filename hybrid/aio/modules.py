"""redis-py's asyncio clients of modules, with pipelines that reach both stores."""

from __future__ import annotations

from redis.commands.json import AsyncJSON
from redis.commands.json.commands import JSONCommands
from redis.commands.search import AsyncPipeline, AsyncSearch
from redis.commands.timeseries import AsyncTimeSeries
from redis.commands.timeseries.commands import TimeSeriesCommands

from hybrid.aio.pipeline import HybridPipeline
from hybrid.module_parts import Documents, Indexes, SearchQueue, Series

__all__ = ["HybridJson", "HybridSearch", "HybridSeries"]


class JsonPipeline(JSONCommands, HybridPipeline):  # type: ignore[misc]
    """Of commands on JSON documents."""


class SearchPipeline(SearchQueue, AsyncPipeline, HybridPipeline):  # type: ignore[misc]
    """Of commands on a search index."""

    queue = HybridPipeline


class SeriesPipeline(TimeSeriesCommands, HybridPipeline):  # type: ignore[misc]
    """Of commands on time series."""


class HybridJson(Documents, AsyncJSON):
    queue = JsonPipeline


class HybridSearch(Indexes, AsyncSearch):
    queue = SearchPipeline


class HybridSeries(Series, AsyncTimeSeries):
    queue = SeriesPipeline
