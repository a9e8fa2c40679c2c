"""Which refusals concern a store, and which one key."""

from __future__ import annotations

import pytest

from hybrid.core.refusals import Refusal, refusal_of


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("LOADING Redis is loading the dataset in memory", Refusal.OUTAGE),
        ("CLUSTERDOWN The cluster is down", Refusal.OUTAGE),
        ("BUSY Redis is busy running a script.", Refusal.OUTAGE),
        ("command not allowed when used memory > 'maxmemory'.", Refusal.FULL),
        ("MISCONF Redis is configured to save RDB snapshots", Refusal.FULL),
        ("ERR DB capacity quota exceeded", Refusal.FULL),
        ("ERR max daily request limit exceeded. Limit: 10000, Usage: 10000.", Refusal.FULL),
        ("You can't write against a read only replica.", Refusal.CONFIGURATION),
        ("NOPERM User app has no permissions to run the 'set' command", Refusal.CONFIGURATION),
        ("ERR max request size exceeded", Refusal.THIS_KEY),
        ("ERR unknown command 'JSON.SET'", Refusal.THIS_KEY),
        ("WRONGTYPE Operation against a key holding the wrong kind of value", Refusal.THIS_KEY),
    ],
)
def test_the_kind_of_a_refusal(text: str, kind: Refusal) -> None:
    assert refusal_of(Exception(text)) is kind
