"""The proxy as a server: a thread for each client, all on one engine."""

from __future__ import annotations

import ipaddress
import itertools
import logging
import socket
import threading
import time
from collections.abc import Callable
from typing import Final

from hybrid.client import HybridRedis
from hybrid.errors import ConfigurationError
from hybrid.proxy.handshake import Identity
from hybrid.proxy.lanes import Lane, Lanes
from hybrid.proxy.session import Session

__all__ = ["DEFAULT_PORT", "MAX_CLIENTS", "ProxyServer"]

logger = logging.getLogger("hybrid")

DEFAULT_PORT: Final = 6390
MAX_CLIENTS: Final = 4000
BACKLOG: Final = 511
CLOSE_S: Final = 3.0
"""How long `close` lets clients have the answers to what they asked."""

_FULL: Final = b"-ERR max number of clients reached\r\n"


class ProxyServer:
    """Serves `client` to whoever connects to `host:port`; port 0 takes a free one, see `address`.

    Raises:
        ConfigurationError: the address cannot be had, or is open to others and there is no password; or the cloud store
            is a cluster.
    """

    def __init__(
        self, client: HybridRedis, host: str = "127.0.0.1", port: int = DEFAULT_PORT, *, password: str | None = None
    ) -> None:
        if password == "":
            raise ConfigurationError("the proxy's password is empty; give one, or none at all")
        if not client.settings.cloud_leads:
            raise ConfigurationError("the proxy does not serve a cluster: give another kind of cloud store")
        self.client = client
        self.password = password
        self._lanes = Lanes(client)
        self._socket = _listening(host, port, guarded=password is not None)
        self._sessions: dict[int, tuple[Session, threading.Thread]] = {}
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._closing = False
        self._thread = threading.Thread(target=self._accept, name="hybrid-proxy", daemon=True)

    @property
    def address(self) -> tuple[str, int]:
        host, port = self._socket.getsockname()[:2]
        return str(host), int(port)

    @property
    def url(self) -> str:
        """Where clients connect, without the password."""
        host, port = self.address
        return f"redis://{f'[{host}]' if ':' in host else host}:{port}"

    def start(self) -> None:
        """Find the stores and begin to accept clients. Returns soon, also when a store is down."""
        self._lanes.start()
        self._thread.start()

    def close(self) -> None:
        """Accept nobody any more, let everyone have the answers to what they asked, and end all connections."""
        self._closing = True
        _wake(self._socket)
        self._socket.close()
        with self._lock:
            sessions = list(self._sessions.values())
        for session, _ in sessions:
            session.finish()
        until_s = time.monotonic() + CLOSE_S
        for _, thread in sessions:
            thread.join(max(until_s - time.monotonic(), 0.0))
        for session, thread in sessions:
            if thread.is_alive():
                session.end()
                thread.join(0.2)
        self._lanes.close()

    def __enter__(self) -> ProxyServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- what sessions ask for

    def lane(self, protocol: int) -> Lane:
        return self._lanes.of(protocol)

    def identities(self) -> list[Identity]:
        with self._lock:
            return [session.identity for session, _ in self._sessions.values()]

    def end(self, chosen: Callable[[Identity], bool]) -> int:
        """Cut off those clients; how many there were."""
        with self._lock:
            ended = [session for session, _ in self._sessions.values() if chosen(session.identity)]
        for session in ended:
            session.end()
        return len(ended)

    # -- accepting

    def _accept(self) -> None:
        while not self._closing:
            try:
                client, address = self._socket.accept()
            except OSError as error:
                if not self._closing:
                    logger.error("the proxy cannot accept a client: %s", error.strerror)
                    time.sleep(0.1)  # out of file descriptors, perhaps: others will be given back
                continue
            try:
                self._welcome(client, address)
            except (OSError, RuntimeError) as error:  # it has gone already, or there is no thread for it
                client.close()
                logger.error("the proxy cannot serve a client: %s", error)

    def _welcome(self, client: socket.socket, address: tuple[str, int]) -> None:
        if len(self._sessions) >= MAX_CLIENTS:
            client.sendall(_FULL)
            client.close()
            return
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        number = next(self._numbers)
        here = f"{self.address[0]}:{self.address[1]}"
        identity = Identity(number, f"{address[0]}:{address[1]}", here, trusted=self.password is None)
        session = Session(client, self, identity)
        thread = threading.Thread(target=self._serve, args=(session,), name=f"hybrid-proxy-{number}", daemon=True)
        with self._lock:
            if self._closing:
                client.close()
                return
            thread.start()
            self._sessions[number] = (session, thread)

    def _serve(self, session: Session) -> None:
        try:
            session.run()
        except Exception:
            logger.exception("a client of the proxy was cut off by an error")
        finally:
            with self._lock:
                self._sessions.pop(session.identity.number, None)


def _listening(host: str, port: int, *, guarded: bool) -> socket.socket:
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError, OverflowError):
        raise ConfigurationError(f"cannot listen on {host}:{port}: no such address; choose another --host") from None
    if not guarded and not ipaddress.ip_address(address[0]).is_loopback:
        raise ConfigurationError(
            f"{host} can be reached from other machines: give a password with --password-env NAME, or listen on "
            "127.0.0.1"
        )
    listening = socket.socket(family, kind)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise ConfigurationError(
            f"cannot listen on {host}:{port}: {error.strerror}; choose another --port or --host"
        ) from None
    return listening


def _wake(listening: socket.socket) -> None:
    """Have a thread that accepts return from it."""
    try:
        listening.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # some systems refuse to shut down what is not connected; closing it is enough there
