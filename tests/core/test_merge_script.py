"""The mark that says how far a merge has got."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid.core.merge_script import Mark

KEYS = st.frozensets(st.binary())


@given(st.builds(Mark, st.binary(), st.binary(), st.binary(), KEYS, KEYS))
def test_a_mark_is_read_as_it_was_written(mark: Mark) -> None:
    assert Mark.parse(mark.record()) == mark
    begun = Mark(mark.end, mark.began, mark.done)
    assert begun.record(sorted(mark.left), sorted(mark.refused)) == mark.record()


@given(st.builds(Mark, st.binary(), st.binary(), st.binary(), KEYS, KEYS), KEYS, KEYS)
def test_what_the_script_adds_to_a_mark_stands_at_its_end(mark: Mark, alone: set[bytes], failed: set[bytes]) -> None:
    record = mark.record(sorted(alone), sorted(failed))
    assert record.startswith(mark.record())
    assert Mark.parse(record) == mark._replace(left=mark.left | alone, refused=mark.refused | failed)


@pytest.mark.parametrize("record", [None, b"", b"5-1 key", b"*1\r\n$1\r\na\r\n", b"*2\r\n$1\r\nk\r\n$1\r\na\r\n"])
def test_anything_else_is_no_mark(record: bytes | None) -> None:
    assert Mark.parse(record) is None
