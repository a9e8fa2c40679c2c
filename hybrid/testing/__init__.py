"""Two real stores for the tests of an application, and faults by name: no Docker, no account, no mock.

    with two_stores() as stores:
        client = stores.client(decode_responses=True)
        client.set("k", "v")
        stores.local.kill()
        assert client.get("k") == "v"

For pytest: `pytest_plugins = ["hybrid.testing.fixtures"]` in conftest.py. See docs/testing.md.
"""

from hybrid.testing.store import FaultyStore
from hybrid.testing.stores import StorePair, two_stores

__all__ = ["FaultyStore", "StorePair", "two_stores"]
