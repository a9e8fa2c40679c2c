"""Transactions that stand in the log behind what was sent, and what of them the copied states of keys contain."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from hybrid.core.authority import Position
from hybrid.core.shipping import Group

__all__ = ["MOST_AHEAD", "Ahead"]

MOST_AHEAD: Final = 1000
"""Of more of them nothing is known in particular: any copied state may contain the oldest."""


class _Unsent:
    """One of them, without its values, which may be large; `missing` are its keys of which no copied state contains
    it."""

    def __init__(self, group: Group, token: bytes) -> None:
        self.place = group.place
        self.token = token
        self.touched = group.touched
        self.missing = set(group.touched)
        self.is_keyless = bool(group.keyless)


class Ahead:
    """Those with a token: the others may be run again in any case."""

    def __init__(self) -> None:
        self._unsent: deque[_Unsent] = deque()

    def read(self, groups: Iterable[Group]) -> Iterator[bytes]:
        """They stand next in the log. The result is the tokens of those that are no longer told apart."""
        self._unsent.extend(_Unsent(group, group.token) for group in groups if group.token is not None)
        while len(self._unsent) > MOST_AHEAD:
            yield self._unsent.popleft().token

    def sent(self, place: Position) -> None:
        """Everything up to `place` is on its way by itself."""
        while self._unsent and self._unsent[0].place <= place:
            self._unsent.popleft()

    def copied(self, places: Mapping[bytes, Position]) -> Iterator[bytes]:
        """The states of these keys, as of these places, are about to be sent. The result is the tokens of what they
        may contain."""
        for unsent in self._unsent:
            contained = {key for key in unsent.touched & places.keys() if places[key] >= unsent.place}
            if contained:
                unsent.missing -= contained
                yield unsent.token

    @property
    def whole(self) -> frozenset[bytes]:
        """The tokens of those that copied states contain with every key."""
        return frozenset(unsent.token for unsent in self._unsent if not unsent.missing and not unsent.is_keyless)
