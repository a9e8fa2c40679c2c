"""The archive of conflicts is extended by what is new in it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from hybrid.core.names import Names
from hybrid.replication import archive_copy


def test_one_that_is_discarded_while_it_is_read_is_copied_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    page = [(b"%d-0" % number, [b"key", b"k"]) for number in range(1, archive_copy.PAGE_ENTRIES + 1)]
    looks = iter([[b"", page[:1], page, len(page)], [[], [], 0]])
    monkeypatch.setattr(archive_copy, "_newest_there", lambda stream: page[0][0])
    monkeypatch.setattr(archive_copy, "_asked", lambda *_: next(looks))
    monkeypatch.setattr(archive_copy, "place_in", lambda _: (1, 0))
    stream: Any = SimpleNamespace(names=Names(), push=lambda *_: None, keep_going=lambda: None)
    copied: Any = SimpleNamespace(note=lambda *_: None)
    assert not archive_copy.extend_archive(stream, copied)
