"""pytest plugin for suites that take a server's address from the environment: they talk to the proxy, as programs in
any language do, and both stores are compared after each test."""

from __future__ import annotations

import os

from hybrid.proxy import ProxyServer
from hybrid.stores.ports import LOOPBACK
from scripts.public_suites.stores import PLAIN, opened

pytest_plugins = ["scripts.public_suites.stores"]

PORT_VARIABLE = "REDIS_6379_TCP"
"""As kombu's suite calls it; host and database are its defaults."""

_servers: list[ProxyServer] = []


def pytest_configure() -> None:
    if PLAIN:
        os.environ[PORT_VARIABLE] = os.environ["HYBRID_SUITE_STORES"].split()[0].rpartition(":")[2].rstrip("/")
        return
    client = opened({})
    client.start()
    server = ProxyServer(client, LOOPBACK, 0)
    server.start()
    _servers.append(server)
    os.environ[PORT_VARIABLE] = str(server.address[1])


def pytest_unconfigure() -> None:
    for server in _servers:
        server.close()
