"""Every error that hybrid raises, in one tree.

    redis.RedisError
    └── HybridError
        ├── ConfigurationError      (also ValueError)             a setting is wrong; the message says what to do
        │   └── ConfigurationConflict                             somebody else changed the settings first
        ├── CommandRefused          (also redis.ResponseError)    this command cannot be kept equal on two stores
        │   └── Malformed                                         every server refuses it, in these words
        ├── StoreUnavailable        (also redis.ConnectionError)  one store gave no answer; nothing was applied there
        │   └── AllStoresDown                                     no store can serve: degraded mode
        ├── OutcomeUnknown                                        sent, no answer, and not safe to send again
        └── EmbeddedServerError                                   no server could be started

`OutcomeUnknown` is deliberately no `redis.ConnectionError`: frameworks retry those, and a retry is what it warns of.
"""

from __future__ import annotations

import redis

__all__ = [
    "AllStoresDown",
    "CommandRefused",
    "ConfigurationConflict",
    "ConfigurationError",
    "EmbeddedServerError",
    "HybridError",
    "Malformed",
    "OutcomeUnknown",
    "StoreUnavailable",
]


class HybridError(redis.RedisError):
    """Base of all errors raised by hybrid itself."""


class ConfigurationError(HybridError, ValueError):
    """A setting is missing, malformed or contradicts another. Never carries a secret."""


class ConfigurationConflict(ConfigurationError):
    """The live configuration is not at the version that the editor saw; nothing was changed. `expected` and `current`
    are versions, `changes` says in words who changed what in between."""

    def __init__(self, expected: int, current: int, changes: tuple[str, ...]) -> None:
        what = "; ".join(changes) or "nobody changed a value"
        super().__init__(
            f"the live configuration is at version {current}, not {expected}: {what}. Look at it, and change it again"
        )
        self.expected = expected
        self.current = current
        self.changes = changes


class CommandRefused(HybridError, redis.ResponseError):
    """The command has no safe way to reach both stores; `command` names it, `reason` says why."""

    def __init__(self, command: str, reason: str) -> None:
        super().__init__(f"{command} is refused: {reason}")
        self.command = command
        self.reason = reason


class Malformed(CommandRefused):
    """Every server refuses the command, in the words of `reason`."""

    def __init__(self, command: str, reason: str) -> None:
        super().__init__(command, reason)
        self.args = (reason,)


class StoreUnavailable(HybridError, redis.ConnectionError):
    """One store did not answer, and nothing was applied there."""


class AllStoresDown(StoreUnavailable):
    """No store can serve this command now. Raised at once, without waiting for a timeout (degraded mode).

    Nothing was applied, unless the message names a store that may have done it: one that was lost behind a command
    which is idempotent, and so may be sent again.
    """


class QueueRefused(HybridError, redis.ResponseError):
    """The server refused to queue commands of a transaction, and ran none of it. `errors`: by their index, its words.

    Internal: pipelines and commands turn it into what redis-py raises.
    """

    def __init__(self, errors: dict[int, Exception]) -> None:
        super().__init__("the server refused to queue a command")
        self.errors = errors


class LogRefused(HybridError, redis.ResponseError):
    """The server took the commands of a transaction, but not their entry in the log, for want of memory, and ran none
    of it. `error`: its words, or that there is no room for so long an entry.

    Internal: see `QueueRefused`.
    """

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error or redis.OutOfMemoryError("no memory is left for so long an entry in the replication log")
        super().__init__(str(self.error))


class OutcomeUnknown(HybridError):
    """A command that is not idempotent was sent and its outcome could not be learned.

    It was not retried: doing so might apply it twice. `command` is its name, `known` says what is known of it.
    """

    def __init__(self, command: str, known: str) -> None:
        super().__init__(f"{command}: outcome unknown ({known}); not retried, because it might then count twice")
        self.command = command
        self.known = known


class EmbeddedServerError(HybridError):
    """An embedded server could not be found, started or taken over; the message says what to install or configure."""
