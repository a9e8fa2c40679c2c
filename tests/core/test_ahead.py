"""Which unsent transactions the copied states of keys contain."""

from __future__ import annotations

import weakref

import pytest

from hybrid.core.ahead import MOST_AHEAD, Ahead
from hybrid.core.authority import Authority, Holder, Position
from hybrid.core.outcomes import Confirmation
from hybrid.core.resp import pack
from hybrid.core.shipping import Group
from hybrid.core.tokens import Seal, Shipped, token

ONE, TWO = token(b"aaaaaaaa", 1), token(b"aaaaaaaa", 2)


def logged(number: int, mark: bytes | None, *commands: tuple[bytes, ...]) -> Group:
    return Group((number, 0), tuple((b"v", pack(command)) for command in commands), mark)


@pytest.mark.parametrize(
    ("places", "may_contain", "whole"),
    [
        ({b"other": (9, 0)}, [], frozenset()),
        ({b"a": (4, 0)}, [], frozenset()),
        ({b"a": (5, 0)}, [ONE], frozenset()),
        ({b"a": (9, 0), b"b": (4, 0)}, [ONE], frozenset()),
        ({b"a": (9, 0), b"b": (5, 0)}, [ONE], frozenset({ONE})),
    ],
)
def test_a_state_contains_what_came_before_it(
    places: dict[bytes, Position], may_contain: list[bytes], whole: frozenset[bytes]
) -> None:
    ahead = Ahead()
    assert not list(ahead.read([logged(5, ONE, (b"INCR", b"a"), (b"RPUSH", b"b", b"1"))]))
    assert list(ahead.copied(places)) == may_contain
    assert ahead.whole == whole


def test_values_are_not_kept() -> None:
    """A thousand of them may be 128 KiB each, and this process the application's."""
    ahead, group = Ahead(), logged(5, ONE, (b"RPUSH", b"a", b"x"))
    kept = weakref.ref(group)
    assert not list(ahead.read([group]))
    del group
    assert kept() is None
    assert list(ahead.copied({b"a": (5, 0)})) == [ONE]


def test_one_copy_after_the_other_contains_it() -> None:
    ahead = Ahead()
    list(ahead.read([logged(5, ONE, (b"INCR", b"a"), (b"RPUSH", b"b", b"1"))]))
    for key in (b"a", b"b"):
        assert list(ahead.copied({key: (6, 0)})) == [ONE]
    assert ahead.whole == {ONE}
    ahead.sent((5, 0))
    assert not ahead.whole and not list(ahead.copied({b"a": (9, 0)}))


def test_no_state_contains_what_changes_no_key() -> None:
    ahead = Ahead()
    list(ahead.read([logged(5, ONE, (b"INCR", b"a"), (b"FUNCTION", b"FLUSH"))]))
    assert list(ahead.copied({b"a": (6, 0)})) == [ONE]
    assert not ahead.whole


def test_of_very_many_the_oldest_are_not_told_apart() -> None:
    ahead = Ahead()
    marks = [token(b"aaaaaaaa", number) for number in range(MOST_AHEAD + 2)]
    assert list(ahead.read(logged(5, mark, (b"INCR", b"a")) for mark in marks)) == marks[:2]


@pytest.mark.parametrize(
    ("place", "mark", "known"),
    [
        ((5, 0), ONE, Confirmation.APPLIED),
        ((6, 0), ONE, Confirmation.APPLIED),
        ((6, 0), TWO, Confirmation.AUTHORITY_LOST),
        ((6, 0), token(b"bbbbbbbb", 1), Confirmation.UNSHIPPED),
        ((6, 0), b"", Confirmation.AUTHORITY_LOST),
        ((9, 0), b"", Confirmation.UNSHIPPED),
        # The state of a key that was about to expire is logged once more, behind what has the token.
        ((9, 0), TWO, Confirmation.AUTHORITY_LOST),
        ((9, 0), token(b"bbbbbbbb", 1), Confirmation.UNSHIPPED),
    ],
)
def test_what_a_seal_confirms(place: Position, mark: bytes, known: Confirmation) -> None:
    shipped = Shipped()
    shipped.note(TWO)
    seal = Seal(Authority(Holder.CLOUD, 2), 2, (5, 0), (8, 0), shipped, frozenset({ONE}))
    assert seal.confirmation(place, mark) is known
    assert Seal.parse(seal.packed).confirmation(place, mark) is known
