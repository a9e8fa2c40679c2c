"""A connection that sends bytes and reads that many replies: redis-py connects, authenticates and speaks TLS,
hiredis parses. What goes wrong is told apart by the only thing that matters: may the server have acted?"""

from __future__ import annotations

import select
import ssl
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import hiredis
from redis import RedisError, ResponseError
from redis.connection import UnixDomainSocketConnection

from hybrid.core.outcomes import NotSent, ReplyLost
from hybrid.core.pace import Pace
from hybrid.stores.fence import StandingFence
from hybrid.stores.master import Tcp, Tls
from hybrid.stores.meter import Metered
from hybrid.stores.reset import reset_at_close

__all__ = ["HELD_UP_S", "HELD_UP_TIMES", "SILENT", "SocketWire", "TlsWire", "UnixWire", "Wire", "plain_reason"]

_INCOMPLETE: Final = object()
SILENT: Final = "no answer in time"
_ONE_SEND_BYTES: Final = 64 * 1024

HELD_UP_S: Final = 0.01
"""A thread that goes on so much later than it was to has waited for a processor."""

HELD_UP_TIMES: Final = 4


class Wire(StandingFence, Metered):
    """The exchange itself; the subclasses below only differ in how redis-py connects them."""

    _kept: bytearray | None = None
    patience_s: Callable[[], float] | None = None
    """How long a reply may take now, where that changes."""
    pace: Pace | None = None
    """Learns how long replies took to which no other time was given."""
    generation = 0
    """That of its endpoint when it was opened, where a pool keeps it."""
    is_spare = False
    """It was opened in advance, and nobody has needed it since."""

    def open(self) -> None:
        """Connect. Raises NotSent when the store refuses, stays silent or rejects the credentials."""
        try:
            self.connect()
        except (RedisError, OSError) as error:
            reason = plain_reason(error)
            raise NotSent(reason, silent=reason == SILENT) from None
        self._replies = hiredis.Reader(
            replyError=self._parser.parse_error,
            errors=self.encoder.encoding_errors,
            encoding=self.encoder.encoding if self.encoder.decode_responses else None,
            notEnoughData=_INCOMPLETE,
        )
        self._inbox = bytearray(65536)
        self._poll = select.poll()
        self._poll.register(self.fileno(), select.POLLIN)
        self._timeout_s = self.socket_timeout

    def drop(self) -> None:
        self.disconnect()

    def abort(self) -> None:
        """Close, and have nothing arrive any more of what has not gone out yet."""
        if self._sock is not None:
            reset_at_close(self._sock)
            self._sock.close()  # redis-py says first, in order, that nothing more will come
        self.disconnect()

    def is_quiet(self) -> bool:
        """Whether the idle connection is still good: readable while nothing was asked means closed by the server."""
        return not self._poll.poll(0)

    def has_only_news(self) -> bool:
        """Whether all that came over the idle connection is the server's word that it was emptied."""
        try:
            news = self.arrived(readable=True)
        except ReplyLost:
            return False
        self.flushes += len(news)
        return all(isinstance(each, hiredis.PushNotification) for each in news)

    @property
    def certificate(self) -> Mapping[str, Any]:
        """The server's certificate as `ssl` describes it; empty without TLS, and where it was not verified."""
        return (self._sock.getpeercert() or {}) if isinstance(self._sock, ssl.SSLSocket) else {}

    def has_replies(self) -> bool:
        """Whether bytes that were read already wait to be parsed."""
        sock = self._sock
        return bool(self._replies.has_data()) or (isinstance(sock, ssl.SSLSocket) and sock.pending() > 0)

    def fileno(self) -> int:
        """For `poll`. Raises ReplyLost once closed."""
        if self._sock is None:
            raise ReplyLost("connection closed", silent=False)
        return int(self._sock.fileno())

    def exchange(self, payload: bytes, count: int, *, decode: bool = True, timeout_s: float | None = None) -> list[Any]:
        """Send `payload` and read `count` replies; error replies are returned, not raised.

        Raises:
            NotSent: the request did not get out.
            ReplyLost: it did, and the replies did not all come back.
        """
        try:
            self.send(payload, count)
            began_s = time.monotonic()
            replies = self.receive(count, decode=decode, timeout_s=timeout_s)
        except BaseException:
            # Interrupted (Ctrl-C, a worker's time limit): the replies would be taken for those to the next request.
            self.disconnect()
            raise
        if timeout_s is None and self.pace is not None:
            now_s = time.monotonic()
            self.pace.took(now_s - began_s, now_s)
        return replies

    def error_of(self, replies: Any) -> Exception | None:
        """The first of these replies, which came over this wire, if it is an error."""
        return replies[0] if isinstance(replies[0], Exception) else None

    def exchange_raw(self, payload: bytes, count: int) -> tuple[bytes, list[Any]]:
        """As `exchange`; the replies as they came, and read."""
        self._kept = bytearray()
        try:
            replies = self.exchange(payload, count, decode=False)
            return bytes(self._kept), replies
        finally:
            self._kept = None

    def replayed(self, raw: bytes, count: int, *, decode: bool) -> list[Any]:
        """`count` replies that another wire has received, read as if they had come over this one."""
        self._replies.feed(raw)
        return self.receive(count, decode=decode)

    def send(self, payload: bytes, commands: int = 1) -> None:
        sock = self._sock
        if sock is None:
            raise NotSent("connection closed")
        tally = self.tally
        tally.commands += commands
        tally.sent_bytes += len(payload)
        try:
            if len(payload) <= _ONE_SEND_BYTES:
                sock.sendall(payload)
            else:
                # The timeout of sendall is for the whole; a large value on a slow link needs it per piece.
                view = memoryview(payload)
                while view:
                    view = view[sock.send(view[: _ONE_SEND_BYTES * 4]) :]
        except TimeoutError:
            self.abort()
            raise ReplyLost("no answer in time while sending", silent=True) from None
        except OSError as error:
            self.disconnect()
            if len(payload) <= _ONE_SEND_BYTES:
                raise NotSent(plain_reason(error)) from None
            raise ReplyLost(plain_reason(error), silent=False) from None

    def receive(self, count: int, *, decode: bool = True, timeout_s: float | None = None) -> list[Any]:
        replies: list[Any] = []
        gets = self._replies.gets
        if timeout_s is None:
            timeout_s = self.socket_timeout if self.patience_s is None else self.patience_s()
        if timeout_s != self._timeout_s:
            self._set_timeout(timeout_s)
        while True:
            try:
                reply = gets() if decode else gets(False)
            except UnicodeDecodeError:
                # The rest of the replies would be taken for those to the next request.
                self.disconnect()
                raise
            if reply is _INCOMPLETE:
                self._fill()
            elif isinstance(reply, hiredis.PushNotification):
                self.flushes += 1
            else:
                replies.append(reply)
                if len(replies) == count:
                    return replies

    def arrived(self, *, readable: bool, decode: bool = True) -> list[Any]:
        """The replies that are there, read from the socket first when it is `readable`."""
        if readable:
            self._fill()
        replies, gets = [], self._replies.gets
        while (reply := gets() if decode else gets(False)) is not _INCOMPLETE:
            replies.append(reply)
        return replies

    def _set_timeout(self, timeout_s: float | None) -> None:
        if self._sock is not None:
            self._sock.settimeout(timeout_s)
            self._timeout_s = timeout_s

    def _fill(self) -> None:
        sock = self._sock
        if sock is None:
            raise ReplyLost("connection closed", silent=False)
        try:
            size = self._received(sock)
        except TimeoutError:
            self.abort()
            raise ReplyLost(SILENT, silent=True) from None
        except OSError as error:
            self.disconnect()
            raise ReplyLost(plain_reason(error), silent=False) from None
        if not size:
            self.disconnect()
            raise ReplyLost("connection closed by the store", silent=False)
        self.tally.received_bytes += size
        self._replies.feed(self._inbox, 0, size)
        if self._kept is not None:
            self._kept += self._inbox[:size]

    def _received(self, sock: Any) -> int:
        """How many bytes have come. Raises TimeoutError when none do in time. If the machine did not let this thread go
        on when the time was over, it may not have let the store either: that says nothing of the store."""
        for _ in range(HELD_UP_TIMES):
            began_s = time.monotonic()
            try:
                return int(sock.recv_into(self._inbox))
            except TimeoutError:
                if time.monotonic() - began_s - (self._timeout_s or 0.0) < HELD_UP_S:
                    raise
        raise TimeoutError


class SocketWire(Wire, Tcp):
    """Plain TCP."""


class TlsWire(Wire, Tls):
    """TLS."""

    def is_quiet(self) -> bool:
        # TLS 1.3 session tickets make an idle socket readable, so only a read tells whether it is closed.
        sock = self._sock
        if sock is None or not self._poll.poll(0):
            return sock is not None
        sock.setblocking(False)
        try:
            sock.recv(1)
        except ssl.SSLWantReadError:
            return True
        except OSError:
            return False
        finally:
            sock.settimeout(self._timeout_s)
        return False

    def has_only_news(self) -> bool:
        return False  # to find out, a part of it was read


class UnixWire(Wire, UnixDomainSocketConnection):
    """Unix domain socket."""


_TLS_REASONS: Final = (
    ("hostname mismatch", "its certificate is for another name"),
    ("ip address mismatch", "its certificate is for another name"),
    ("certificate has expired", "its certificate has expired"),
    ("verify failed", "its certificate is not from an authority that is trusted here"),
    ("certificate required", "it wants a certificate from its clients"),
)


def plain_reason(error: BaseException) -> str:
    """What went wrong in a few words, without addresses (the caller names the store)."""
    text = str(error).lower()
    if isinstance(error, ssl.SSLError) or "certificate" in text or "ssl" in text:
        return next((words for mark, words in _TLS_REASONS if mark in text), "TLS handshake failed")
    for mark, words in (
        ("no master found", "no master is known"),
        ("slots are not covered", "some of its slots have no node"),
        ("refused", "connection refused"),
        ("timeout", SILENT),
        ("timed out", SILENT),
        ("name or service", "host name not found"),
        ("getaddrinfo", "host name not found"),
        ("wrongpass", "wrong user name or password"),
        ("invalid username", "wrong user name or password"),
        ("noauth", "password required"),
        ("authentication required", "password required"),
        ("loading", "still loading its data"),
        ("readonly", "it is a read-only replica"),
        ("no such file", "a file that its URL names is not there"),
        ("noperm", "its user lacks a permission"),
        ("permissions to access", "its user may not touch hybrid's own keys (hybrid:*)"),
    ):
        if mark in text:
            return words
    return str(error)[:80] if isinstance(error, ResponseError) else "connection lost"
