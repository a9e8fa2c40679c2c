from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid.core.live import NOTHING, AuditEntry, Edit, Live, Override, effective_values, planned_edit
from hybrid.errors import ConfigurationConflict, ConfigurationError
from hybrid.types import Source

NOW_S = 1_700_000_000.0


def edited(current: Live, author: str = "ana", expected: int | None = None, **edit: Any) -> Live:
    planned = planned_edit(current, Edit(author, edit.pop("at_s", NOW_S), **edit), expected)
    assert planned is not None
    return planned[0]


def test_each_edit_is_the_next_version_and_names_its_author() -> None:
    first = edited(NOTHING, values={"ack": "local"})
    second = edited(first, "bob", 1, values={"write_both": False})
    assert (second.version, second.author, second.values) == (2, "bob", {"ack": "local", "write_both": False})
    assert {name: touch.author for name, touch in second.touched.items()} == {"ack": "ana", "write_both": "bob"}


def test_the_later_editor_is_told_who_changed_what() -> None:
    first = edited(NOTHING, values={"ack": "local"})
    second = edited(first, "bob", 1, values={"write_both": False})
    third = edited(second, "eve", 2, values={"read_preference": "cloud"})
    with pytest.raises(ConfigurationConflict) as conflict:
        planned_edit(third, Edit("ana", NOW_S, values={"ack": "both"}), 1)
    assert (conflict.value.expected, conflict.value.current) == (1, 3)
    assert conflict.value.changes == (
        "bob changed write_both (version 2)",
        "eve changed read_preference (version 3)",
    )
    assert isinstance(conflict.value, ConfigurationError)


def test_an_edit_that_changes_nothing_is_no_version() -> None:
    first = edited(NOTHING, values={"ack": "local"})
    assert planned_edit(first, Edit("bob", NOW_S, values={"ack": "local"}), 1) is None
    assert planned_edit(first, Edit("bob", NOW_S, ends_override=True), 1) is None
    assert planned_edit(first, Edit("bob", NOW_S, forget=("write_both",)), 1) is None


def test_a_forgotten_value_is_the_environments_again() -> None:
    first = edited(NOTHING, values={"ack": "local", "write_both": False})
    second = edited(first, forget=("ack",))
    assert second.values == {"write_both": False}


def test_an_override_holds_until_its_time_and_keeps_what_was_set() -> None:
    override = Override({"read_preference": "cloud"}, NOW_S + 60, "ana")
    live = edited(edited(NOTHING, values={"read_preference": "fastest"}), override=override)
    assert live.in_force(NOW_S + 59) == {"read_preference": "cloud"}
    assert live.in_force(NOW_S + 60) == {"read_preference": "fastest"}
    planned = planned_edit(live, Edit("ana (by the clock)", NOW_S + 61, ends_override=True), live.version)
    assert planned is not None
    ended, line = planned
    assert (ended.override, ended.version) == (None, 3)
    assert (line.what, line.changes) == ("override ended", {"read_preference": ("cloud", "fastest")})


@pytest.mark.parametrize("for_s", [0.0, -5.0, 31 * 86400.0])
def test_an_override_has_a_sensible_length(for_s: float) -> None:
    override = Override({"ack": "local"}, NOW_S + for_s, "ana")
    with pytest.raises(ConfigurationError, match="30 days"):
        planned_edit(NOTHING, Edit("ana", NOW_S, override=override), None)


def test_an_edit_has_an_author() -> None:
    with pytest.raises(ConfigurationError, match="author"):
        planned_edit(NOTHING, Edit(" ", NOW_S, values={"ack": "local"}), None)


def test_the_higher_version_wins_and_of_equal_ones_the_later_edit() -> None:
    base = edited(NOTHING, values={"ack": "local"})
    twice = edited(edited(base, values={"ack": "both"}), values={"ack": "local"})
    here = edited(base, "ana", values={"write_both": False}, at_s=NOW_S + 1)
    there = edited(base, "bob", values={"write_both": False}, at_s=NOW_S + 2)
    assert max((base, twice, here, there), key=lambda live: live.stamp) is twice
    assert max((there, here), key=lambda live: live.stamp) is there
    assert base.stamp > NOTHING.stamp


NAMES = st.sampled_from(("ack", "write_both", "sync_interval_s", "log_level"))
VALUES = st.dictionaries(NAMES, st.one_of(st.booleans(), st.floats(0, 9), st.text(max_size=5)))


@given(values=VALUES, override=VALUES, author=st.text(min_size=1).filter(str.strip))
def test_a_record_is_read_back_as_it_was_written(values: Any, override: Any, author: str) -> None:
    planned = planned_edit(
        NOTHING, Edit(author, NOW_S, values=values, override=Override(override, NOW_S + 5, author)), None
    )
    assert planned is not None
    live, line = planned
    assert Live.parse(live.record) == live
    assert AuditEntry.parse(line.fields) == line


@pytest.mark.parametrize("record", [b"", b"{}", b"[]", b"7", b'{"version": "x"}', b"\xff"])
def test_what_is_no_document_is_refused(record: bytes) -> None:
    with pytest.raises(ValueError):
        Live.parse(record)
    assert Live.parse(None) is NOTHING


def test_precedence_and_sources() -> None:
    base = {"ack": "both", "write_both": True, "read_preference": "local", "sync_enabled": True, "local_url": "x"}
    sources = {"ack": Source.ARGUMENT, "write_both": Source.ENVIRONMENT, "read_preference": Source.ENV_FILE}
    live = Live(
        1, "ana", NOW_S, {"ack": "local", "write_both": False}, Override({"read_preference": "cloud"}, 9e9, "a")
    )
    found = effective_values(base, sources, live, NOW_S)
    assert {name: (row.value, row.source) for name, row in found.items()} == {
        "ack": ("both", Source.ARGUMENT),
        "write_both": (False, Source.LIVE),
        "read_preference": ("cloud", Source.OVERRIDE),
        "sync_enabled": (True, Source.DEFAULT),
        "local_url": ("x", Source.DEFAULT),
    }
