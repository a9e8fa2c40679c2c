"""Why tests of others cannot pass."""

from __future__ import annotations

__all__ = [
    "ADDRESS",
    "ALL_PARSERS",
    "CONNECTION",
    "ELSEWHERE",
    "HASTE",
    "HURRY",
    "LINES",
    "MAY_PASS",
    "NOT_RUN",
    "NO_CONNECTION",
    "OLDER",
    "ONE_DATABASE",
    "ORDER",
    "OWN_KEYS",
    "PATCHED",
    "PAUSE",
    "SCRIPTS",
    "SERVERS_OWN",
    "SETUP",
    "SPAWNED",
    "Expected",
]

SERVERS_OWN = "redis.Redis itself fails it on servers of this kind or version"
OWN_KEYS = "hybrid's own keys lie in the same database: a scan may need one call more"
NO_CONNECTION = "no connection is a client's own: none is found in CLIENT LIST, cut, or taken from a pool"
ORDER = "it takes for granted that a command which waits was sent before the next one"
SPAWNED = "it starts processes of its own, which write to the local store alone, until a periodic sync finds that"
HASTE = "it measures time: what is written reaches two stores, and the machine may be busy"
MAY_PASS = (HASTE, SERVERS_OWN, OWN_KEYS, NO_CONNECTION, ORDER, SPAWNED)

ELSEWHERE = "it opens connections of its own, to localhost:6379 or 6380, or in other processes to another server"
ALL_PARSERS = "it breaks the parser of every connection in the process, those of hybrid's threads too"
HURRY = "it gives a new process half a second to connect, and else leaves it running for ever"
NOT_RUN = (ELSEWHERE, ALL_PARSERS, HURRY)

CONNECTION = "hybrid owns its connections: their state is no command's to change"
SETUP = "a store's set-up is changed on each store directly"
PAUSE = "it would stop one store's writers, hybrid's own among them"
ONE_DATABASE = "a client keeps one database on both stores"
SCRIPTS = "a script may not empty a store, nor touch hybrid's own keys"
LINES = "errors of a library that is followed have other words and lines"
ADDRESS = "it looks at the address that it gave, and here everything leads to the same two stores"

OLDER = "it looks for a method that redis-py 8 has no more"
PATCHED = "it puts something else in the place of a method of redis.client.Pipeline, which hybrid has of its own"

Expected = dict[str, tuple[str, ...]]
