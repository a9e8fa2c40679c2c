"""Both stores behind one port that speaks Redis's protocol: a client in any language changes its URL, and nothing else.

server.py         listens, keeps the sessions, closes in order
session.py        one client: reads requests, answers them in order
batches.py        what of its pipelined requests goes to a store together
execution.py      commands through the same flows as `HybridRedis`, replies as the store sent them
transactions.py   MULTI, EXEC, WATCH
subscriptions.py  SUBSCRIBE and its like
handshake.py      what concerns the connection alone: HELLO, AUTH, CLIENT, ...
lanes.py, wires.py      connections to the stores that keep replies as they came, one kind for each protocol version
requests.py, replies.py the protocol itself, without I/O
"""

from __future__ import annotations

from hybrid.proxy.server import MAX_CLIENTS, ProxyServer

__all__ = ["MAX_CLIENTS", "ProxyServer"]
