"""Which refusals concern a store, and which one key."""

from __future__ import annotations

import pytest

from hybrid.core.refusals import Refusal, is_unknown_command, is_unknown_script, reason_of, refusal_of


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("LOADING Redis is loading the dataset in memory", Refusal.OUTAGE),
        ("CLUSTERDOWN The cluster is down", Refusal.OUTAGE),
        ("Multiple keys request during rehashing of slot", Refusal.OUTAGE),
        ("BUSY Redis is busy running a script.", Refusal.OUTAGE),
        ("NOREPLICAS Not enough good replicas to write.", Refusal.OUTAGE),
        ("command not allowed when used memory > 'maxmemory'.", Refusal.FULL),
        ("MISCONF Redis is configured to save RDB snapshots", Refusal.FULL),
        ("ERR DB capacity quota exceeded", Refusal.FULL),
        ("ERR max daily request limit exceeded. Limit: 10000, Usage: 10000.", Refusal.FULL),
        ("You can't write against a read only replica.", Refusal.CONFIGURATION),
        ("NOPERM User app has no permissions to run the 'set' command", Refusal.CONFIGURATION),
        ("No permissions to access a key", Refusal.THIS_KEY),
        ("this user has no permissions to access one of the keys used as arguments", Refusal.THIS_KEY),
        ("ERR max request size exceeded", Refusal.THIS_KEY),
        ("ERR unknown command 'JSON.SET'", Refusal.THIS_KEY),
        ("WRONGTYPE Operation against a key holding the wrong kind of value", Refusal.THIS_KEY),
    ],
)
def test_the_kind_of_a_refusal(text: str, kind: Refusal) -> None:
    assert refusal_of(Exception(text)) is kind


def test_a_command_that_is_not_there() -> None:
    for text in ("unknown command 'FT.CREATE', with args beginning with: 'i'", "unknown subcommand 'LOAD'."):
        assert is_unknown_command(Exception(text))
    assert not is_unknown_command(Exception("Library 'x' already exists"))


def test_a_script_that_is_not_there() -> None:
    assert is_unknown_script(Exception("No matching script. Please use EVAL."))
    assert not is_unknown_script(Exception("unknown command 'EVALSHA'"))


def test_a_reason_quotes_no_data() -> None:
    error = Exception("unknown command 'JSON.SET', with args beginning with: 'k' '$' '\"hush\"'")
    assert reason_of(error) == "unknown command 'JSON.SET'"
