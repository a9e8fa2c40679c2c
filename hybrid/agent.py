"""What runs around the clock, in the panel or as `python -m hybrid agent`: stores, a client that ships, an observer."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hybrid.client import HybridRedis
from hybrid.ops.overview import Observer
from hybrid.settings import Settings
from hybrid.stores.embedded import EmbeddedStores

__all__ = ["Agent", "open_client"]

FOLDER = Path(".hybrid")


class Agent:
    """The stores of this machine's configuration, a client on them and an observer. `open` makes one.

    `embedded` are the servers that run because none were configured, else None; `embedded.link` is then the link to
    the store that plays the cloud.
    """

    def __init__(self, client: HybridRedis, embedded: EmbeddedStores | None) -> None:
        self.client = client
        self.embedded = embedded
        self.observer = Observer(client, embedded=embedded is not None)

    @classmethod
    def open(cls, env_file: str | os.PathLike[str] | None = ".env", folder: Path = FOLDER, **settings: Any) -> Agent:
        """An agent that is not started yet. Settings come from arguments, the environment and `env_file`.

        Without any URL two embedded servers are used, with their data in `folder`; without a local URL beside a cloud
        one, an embedded local server is. Raises ConfigurationError or EmbeddedServerError.
        """
        effective = Settings.from_env(env_file, **settings)
        embedded = embedded_stores(effective, folder)
        try:
            client = HybridRedis.from_env(env_file, decode_responses=True, **{**settings, **urls(embedded)})
        except BaseException:
            if embedded:
                embedded.close()
            raise
        return cls(client, embedded)

    def start(self) -> None:
        """Begin to ship and to watch. Returns soon, also when a store is down."""
        self.client.start()
        self.observer.start()

    def close(self) -> None:
        """Stop watching and shipping; embedded servers stop too, unless another process uses them."""
        self.observer.close()
        self.client.close()
        if self.embedded:
            self.embedded.close()

    def __enter__(self) -> Agent:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def embedded_stores(settings: Settings, folder: Path) -> EmbeddedStores | None:
    if settings.local_url:
        return None
    return EmbeddedStores.start(folder, with_cloud=settings.cloud_url is None)


def urls(embedded: EmbeddedStores | None) -> dict[str, str]:
    if embedded is None:
        return {}
    known = {"local_url": embedded.local_url, "cloud_url": embedded.cloud_url}
    return {name: url for name, url in known.items() if url is not None}


@contextmanager
def open_client(
    env_file: str | os.PathLike[str] | None = ".env", folder: Path = FOLDER, **settings: Any
) -> Iterator[HybridRedis]:
    """A client with embedded servers where none are configured, as `Agent.open`; closed with the block."""
    with Agent.open(env_file, folder, **settings) as agent:
        yield agent.client
