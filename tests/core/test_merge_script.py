"""The mark that says how far a merge has got."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid.core.merge_script import Mark

KEYS = st.frozensets(st.binary())


@given(st.builds(Mark, st.binary(), st.binary(), KEYS, KEYS))
def test_a_mark_is_read_as_it_was_written(mark: Mark) -> None:
    assert Mark.parse(mark.record()) == mark
    begun = Mark(mark.end, mark.done)
    assert begun.record(sorted(mark.left), sorted(mark.refused)) == mark.record()


@pytest.mark.parametrize("record", [None, b"", b"5-1 key", b"*1\r\n$1\r\na\r\n", b"*2\r\n$1\r\nk\r\n$1\r\na\r\n"])
def test_anything_else_is_no_mark(record: bytes | None) -> None:
    assert Mark.parse(record) is None
