"""One command that changes data, as the table judged it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from hybrid.core.commands import Command, Policy, is_blind, is_idempotent, keys_of, written_keys

__all__ = ["Write"]


class Write(NamedTuple):
    """`packed` is what goes over the wire; `first`, if any, goes before it, and nobody wants its reply."""

    args: tuple[Any, ...]
    packed: bytes
    command: Command
    policy: Policy
    first: bytes = b""

    @property
    def idempotent(self) -> bool:
        return is_idempotent(self.command, self.args)

    @property
    def is_blind(self) -> bool:
        """Whether what it does depends on nothing that its keys held."""
        return is_blind(self.command, self.args)

    @property
    def is_logged(self) -> bool:
        return self.policy not in (Policy.READ, Policy.ONE_STORE)

    @property
    def keys(self) -> list[bytes]:
        """All that it names."""
        return _encoded(keys_of(self.command, self.args))

    @property
    def written_keys(self) -> list[bytes]:
        """Those that it may change."""
        return _encoded(written_keys(self.command, self.args))


def _encoded(keys: Iterable[Any]) -> list[bytes]:
    """Keys as the server sees them."""
    return [_encoded_key(key) for key in keys]


def _encoded_key(key: Any) -> bytes:
    if isinstance(key, bytes):
        return key
    return bytes(key) if isinstance(key, bytearray | memoryview) else str(key).encode()
