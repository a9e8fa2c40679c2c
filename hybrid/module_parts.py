"""What both clients' modules are made of. redis-py's own pipelines of modules (`r.json().pipeline()`) connect by
themselves, past hybrid, so that what they write would reach one store only; those that are made here queue for both."""

from __future__ import annotations

from json import JSONDecoder, JSONEncoder
from typing import Any, Final

__all__ = ["DECODER", "ENCODER", "Documents", "Indexes", "SearchQueue", "Series"]

ENCODER: Final = JSONEncoder()
DECODER: Final = JSONDecoder()


class Documents:
    """Mixed into redis-py's client of JSON documents, as the next two into theirs. `queue` is the kind of pipeline."""

    queue: Any
    client: Any
    _encode: Any
    _decode: Any

    def pipeline(self, transaction: bool = True, shard_hint: Any = None) -> Any:
        """A pipeline of commands on documents and others."""
        made = self.queue(self.client.client(), transaction, shard_hint)
        made._encode, made._decode = self._encode, self._decode
        return made


class Indexes:
    queue: Any
    client: Any
    index_name: str

    def pipeline(self, transaction: bool = True, shard_hint: Any = None) -> Any:
        """A pipeline of commands on the index and others."""
        made = self.queue(self.client.client(), transaction, shard_hint)
        made.index_name = self.index_name
        return made


class Series:
    queue: Any
    client: Any
    _MODULE_CALLBACKS: dict[str, Any]

    def pipeline(self, transaction: bool = True, shard_hint: Any = None) -> Any:
        """A pipeline of commands on time series and others; the replies of others are left as they are."""
        alias = self.client.client()
        alias.response_callbacks = self._MODULE_CALLBACKS
        return self.queue(alias, transaction, shard_hint)


class SearchQueue:
    """Mixed into pipelines of search commands, whose replies redis-py reads in a way of its own. `queue` is the class
    that queues."""

    queue: Any
    _init_module_callbacks: Any
    _register_module_callbacks: Any

    def __init__(self, client: Any, transaction: bool, shard_hint: Any) -> None:
        self.queue.__init__(self, client, transaction, shard_hint)
        self._init_module_callbacks()
        self._register_module_callbacks()
