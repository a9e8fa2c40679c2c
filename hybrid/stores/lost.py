"""Connections that were lost with a transaction on its way: its bytes may have been held up, and could still arrive. So
could what another process was asked to run."""

from __future__ import annotations

from hybrid.stores.fence import StandingFence

__all__ = ["LostConnections"]


class LostConnections:
    """To one store. Whoever writes there next has the server end them first, in the same request: what arrived late
    would replace what was written meanwhile. They are remembered until the server has answered such a request; some
    services refuse to end a connection (`CLIENT KILL`)."""

    def __init__(self) -> None:
        self._endings: dict[bytes, None] = {}

    def add(self, wire: StandingFence) -> None:
        if wire.ending:
            self._endings[wire.ending] = None

    def add_revocation(self, *commands: bytes) -> None:
        """These packed commands, each with one reply, keep another process from running what it was asked to run."""
        self._endings.update(dict.fromkeys(commands))

    @property
    def endings(self) -> tuple[bytes, ...]:
        """The commands to send, each with a reply of its own; feed them to `ended` once they are answered."""
        return tuple(self._endings)

    def ended(self, endings: tuple[bytes, ...]) -> None:
        for ending in endings:
            self._endings.pop(ending, None)
