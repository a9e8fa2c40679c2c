"""redis-py's clients of modules, with pipelines that reach both stores."""

from __future__ import annotations

from redis.commands.json import JSON
from redis.commands.json.commands import JSONCommands
from redis.commands.search import Pipeline, Search
from redis.commands.timeseries import TimeSeries
from redis.commands.timeseries.commands import TimeSeriesCommands

from hybrid.module_parts import Documents, Indexes, SearchQueue, Series
from hybrid.pipeline import HybridPipeline

__all__ = ["HybridJson", "HybridSearch", "HybridSeries"]


class JsonPipeline(JSONCommands, HybridPipeline):  # type: ignore[misc]
    """Of commands on JSON documents."""


class SearchPipeline(SearchQueue, Pipeline, HybridPipeline):  # type: ignore[misc]
    """Of commands on a search index."""

    queue = HybridPipeline


class SeriesPipeline(TimeSeriesCommands, HybridPipeline):  # type: ignore[misc]
    """Of commands on time series."""


class HybridJson(Documents, JSON):
    queue = JsonPipeline


class HybridSearch(Indexes, Search):
    queue = SearchPipeline


class HybridSeries(Series, TimeSeries):
    queue = SeriesPipeline
