"""Two stores of their own for each failure test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rig import Rig
from servers import Pool

from hybrid import Store
from hybrid.stores.processes import ServerProcess


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "soak: random faults for minutes; runs only when asked for by -m soak")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if "soak" in config.option.markexpr:
        return
    soak = [item for item in items if item.get_closest_marker("soak")]
    if soak:
        config.hook.pytest_deselected(items=soak)
        items[:] = [item for item in items if item not in soak]


@pytest.fixture
def rig(tmp_path: Path, server: Callable[..., ServerProcess], server_pool: Pool) -> Iterator[Rig]:
    """Both stores write every command to their file before they answer: what was acknowledged survives kill -9."""
    stores = [server(persistent=True, appendfsync="no") for _ in Store]
    made = Rig(tmp_path, *stores, server_pool.get("valkey", "scratch"))
    yield made
    for store in stores:
        if store.running:
            store.resume()
    made.close()
