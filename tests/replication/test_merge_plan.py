"""What is left on a store that was begun anew goes beside what the other one holds."""

from __future__ import annotations

import pytest

from hybrid.core.key_state import Group, List, Stream
from hybrid.core.resp import unpack
from hybrid.replication.merge_plan import added_to


@pytest.mark.parametrize(
    ("brought", "added"),
    [
        pytest.param({b"new", b"taken"}, [b"RPUSH k new"], id="a shipper's are on the authority already"),
        pytest.param(None, [b"RPUSH k shipped new"], id="the log does not tell"),
        pytest.param(set(), [], id="nothing was"),
    ],
)
def test_what_is_left_of_a_queue(brought: set[bytes] | None, added: list[bytes]) -> None:
    ours, theirs = List((b"shipped", b"new")), List((b"old", b"shipped"))
    assert [b" ".join(unpack(packed)) for packed in added_to(b"k", ours, theirs, brought)] == added


@pytest.mark.parametrize(
    ("brought", "added"),
    [
        pytest.param({b"3-0"}, [b"XGROUP CREATE k new 0-0", b"XADD k * f 3"], id="a shipper's are on the authority"),
        pytest.param(None, [b"XGROUP CREATE k new 0-0", b"XADD k * f 2", b"XADD k * f 3"], id="the log does not tell"),
    ],
)
def test_what_is_left_of_a_stream(brought: set[bytes] | None, added: list[bytes]) -> None:
    """Entries that have their id there are known by it; a group that is there keeps its place."""
    group = Group(b"0-0", None, frozenset(), ())
    entries = tuple((b"%d-0" % number, (b"f", b"%d" % number)) for number in (1, 2, 3))
    ours = Stream(entries, b"3-0", None, None, {b"new": group, b"known": group})
    theirs = Stream(entries[:1], b"1-0", None, None, {b"known": group})
    assert [b" ".join(unpack(packed)) for packed in added_to(b"k", ours, theirs, brought)] == added
