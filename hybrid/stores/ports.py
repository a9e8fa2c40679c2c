"""Free loopback ports for servers and links."""

from __future__ import annotations

import random
import socket

from hybrid.errors import EmbeddedServerError

# Below every system's ephemeral range: inside it a client that retries a dead port can connect to itself, and an
# outgoing connection can take the port of a server that is being restarted.
_RANGE = range(20_000, 32_000)
LOOPBACK = "127.0.0.1"


def port_is_free(port: int, host: str = LOOPBACK) -> bool:
    """Whether a server could listen on `port` now; connections in TIME_WAIT do not count."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def free_port(host: str = LOOPBACK) -> int:
    """A port nobody listens on; another process may still take it first, so whoever uses it must handle that."""
    for port in random.sample(_RANGE, 200):
        if port_is_free(port, host):
            return port
    raise EmbeddedServerError(f"no free port on {host} between {_RANGE.start} and {_RANGE.stop}")
