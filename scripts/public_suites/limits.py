"""pytest plugin for limits' suite: as `in_place_early`, where nothing has to be started in a container."""

from __future__ import annotations

from unittest.mock import MagicMock

import pytest

from scripts.public_suites.in_place import take_the_place

pytest_plugins = ["scripts.public_suites.in_place"]

take_the_place()


@pytest.fixture(scope="session")
def docker_services() -> MagicMock:
    """Whatever address a test names leads to the two stores."""
    return MagicMock()
