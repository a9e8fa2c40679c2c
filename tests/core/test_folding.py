"""What a folded log remembers, and that nothing it must remember gets lost on the way through the store."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hybrid.core.folding import Folded, forgotten
from hybrid.core.names import Names
from hybrid.core.resp import pack, unpack
from hybrid.core.shipping import Group

NAMES = Names()


def group(number: int, *fields: tuple[bytes, bytes]) -> Group:
    return Group((number, 0), fields)


def write(number: int, key: bytes) -> Group:
    return group(number, (b"v", pack((b"SET", key, number))))


def test_a_key_is_remembered_with_its_last_write() -> None:
    folded = Folded()
    for step in (write(1, b"a"), write(2, b"b"), write(3, b"a"), group(4, (b"s", b"c"))):
        folded.add(step)
    assert folded.keys == {b"a": (3, 0), b"b": (2, 0), b"c": (4, 0)}
    assert not folded.concerns_all


def test_what_was_written_before_the_store_was_emptied_counts_no_more() -> None:
    folded = Folded()
    for step in (write(1, b"a"), group(2, (b"f", b"1")), write(3, b"b")):
        folded.add(step)
    assert (folded.keys, folded.emptied, folded.refilled) == ({b"b": (3, 0)}, (2, 0), None)


def test_a_refill_after_emptying_is_what_is_left_to_do() -> None:
    folded = Folded()
    for step in (group(2, (b"f", b"1")), group(3, (b"r", b"1"))):
        folded.add(step)
    assert (folded.emptied, folded.refilled) == (None, (3, 0))


def test_commands_without_a_key_are_kept_in_order() -> None:
    folded = Folded()
    commands = [pack((b"FUNCTION", b"DELETE", b"lib")), pack((b"FUNCTION", b"LOAD", b"code"))]
    for number, command in enumerate(commands):
        folded.add(group(number, (b"v", command)))
    assert folded.commands == commands
    assert unpack(list(folded.stored(NAMES))[-1]) == [b"RPUSH", NAMES.folded_commands, *commands]


@given(
    st.lists(
        st.one_of(
            st.sampled_from([b"a", b"b", b"", b"emptied", b"k", b"\xff"]).map(lambda key: (b"s", key)),
            st.sampled_from([(b"f", b"1"), (b"r", b"1")]),
        ),
        max_size=30,
    ),
    st.integers(1, 7),
)
def test_folding_in_steps_comes_to_the_same(steps: list[tuple[bytes, bytes]], size: int) -> None:
    """As the store sees it: each step adds to the hash what it found."""
    groups = [group(number, step) for number, step in enumerate(steps, 1)]
    at_once = Folded()
    for one in groups:
        at_once.add(one)
    stored: dict[bytes, bytes] = {}
    for start in range(0, len(groups), size):
        found = Folded()
        for one in groups[start : start + size]:
            found.add(one)
        for command in found.stored(NAMES):
            name, _, *rest = unpack(command)
            if name == b"UNLINK":
                stored.clear()
            else:
                stored.update(zip(rest[::2], rest[1::2], strict=True))
    read = Folded()
    read.load(stored.items())
    assert read == at_once
    assert not set(stored) - set(forgotten(at_once.keys)) - {b"emptied", b"refilled"}
