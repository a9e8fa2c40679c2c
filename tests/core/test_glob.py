"""Globs. That they match what the servers' do is in tests/ops/test_finding.py."""

from __future__ import annotations

import pytest

from hybrid.core.glob import Glob, is_glob


@pytest.mark.parametrize("pattern", [b"*", b"user:?", b"[ab]", b"a\\*"])
def test_a_pattern_is_told_from_a_name(pattern: bytes) -> None:
    assert is_glob(pattern) and not is_glob(b"user:1")


def test_lines_and_bytes_that_are_no_text_are_matched() -> None:
    assert Glob(b"a*\xff").matches(b"a\n\x00\xff")
    assert not Glob(b"a*\xff").matches(b"a\n\x00\xfe")


def test_many_stars_do_not_take_for_ever() -> None:
    assert not Glob(b"*a" * 30 + b"b").matches(b"a" * 200_000)
