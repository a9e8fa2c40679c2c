"""Scripts that are followed: what is put before them, and where."""

from __future__ import annotations

import re
from hashlib import sha1

import pytest

from hybrid.core.commands import COMMANDS, lookup
from hybrid.core.resp import pack
from hybrid.core.script_keys import Scripts, library, script
from hybrid.errors import CommandRefused

LOG = b"hybrid:log"


def table(text: str) -> str:
    """What the words before a script know of the commands that it spells."""
    found = re.search(rb"writes,all=\{(.*?)\},nil ", script(text.encode(), LOG).text)
    assert found is not None
    return found[1].decode()


KEYS = {
    "GET": "false",
    "SET": "1",
    "DEL": "{1,-1,1}",
    "MSET": "{1,-1,2}",
    "RENAME": "{1,2,1}",
    "COPY": "{2,2,1,false,'DB'}",
    "ZUNIONSTORE": "1",
    "LMPOP": "{1,1,1,1}",
    "MSETEX": "{1,1,2,1}",
    "BLPOP": "{1,-2,1}",
    "SORT": "{1,-1,1}",
    "XREADGROUP": "{1,-1,1}",
    "XGROUP": "{1,-1,1}",
    "XINFO": "false",
    "JSON.MSET": "{1,-1,3}",
    "FLUSHDB": "'it is not for scripts'",
    "SELECT": "'it is not for scripts'",
    "FT.CREATE": "'it is not for scripts'",
    "FT.AGGREGATE": "false",
}


@pytest.mark.parametrize("name", KEYS)
def test_the_keys_of_a_command_in_a_script(name: str) -> None:
    assert table(f"local server = redis redis.call('{name}', 'x')") == f"['{name}']={KEYS[name]}"


AS_THEY_ARE = """
return 1 + redis.call('INCR', KEYS[1])
if redis.call("get", KEYS[1]) == ARGV[1] then return redis.call("expire", KEYS[2]) else return #KEYS end
redis.log(redis.LOG_NOTICE, KEYS[1]) return {redis.pcall( 'ZADD' , KEYS[ #KEYS ], 1, 'x'), redis.sha1hex('')}
return redis.call('GET', 'any' .. KEYS[1])
return 1
"""
FOLLOWED = """
return redis.call('SET', 'k', 'v')
local key = KEYS[1] return redis.call('SET', key, 'v')
return redis.call('MSET', KEYS[1], 'v', 'other', 'v')
return redis.call('SET', KEYS[1] .. 'x', 'v')
KEYS[1] = 'other' return redis.call('SET', KEYS[1], 'v')
local t = KEYS t[1] = 'other' return redis.call('SET', KEYS[1], 'v')
local call = redis.call redis.call('GET', KEYS[1]) return call('SET', 'k', 'v')
redis.call('GET', KEYS[1]) return server.call('SET', 'k', 'v')
return redis.call(ARGV[1], KEYS[1])
return redis .call('SET', 'k', 'v')
"""


@pytest.mark.parametrize("text", AS_THEY_ARE.strip().splitlines())
def test_a_script_that_plainly_names_its_keys_is_sent_as_it_is(text: str) -> None:
    assert script(text.encode(), LOG).text == text.encode()


@pytest.mark.parametrize("text", FOLLOWED.strip().splitlines())
def test_any_other_is_followed(text: str) -> None:
    assert script(text.encode(), LOG).text != text.encode()


def test_only_commands_that_are_spelled_are_known_unless_a_name_is_reckoned() -> None:
    text = b"""redis.call("get", 'no command', ARGV['x']) redis.pcall ( 'Set', KEYS[1])"""
    assert table(text.decode()) == "['get']=false,['Set']=1"
    assert b"ZADD" not in script(text, LOG).text
    assert b"ZADD" in script(text + b" redis.call(ARGV[1])", LOG).text


@pytest.mark.parametrize("change", [script, library])
def test_lines_keep_their_numbers_and_a_shebang_its_place(change: type) -> None:
    text = b"#!lua name=x flags=allow-stale\nlocal a=redis.call\nreturn a"
    changed = change(text, LOG).text.split(b"\n")
    assert (changed[0], changed[2]) == (b"#!lua name=x flags=allow-stale", b"return a")
    assert changed[1].startswith(b"local redis=") and changed[1].endswith(b" local a=redis.call")


@pytest.mark.parametrize("text", [b"#!lua flags=no-writes\nreturn redis.call('GET', 'k')", b"#!lua"])
def test_what_cannot_write_stays_as_it_is(text: bytes) -> None:
    assert script(text, LOG).text == text


def test_valkeys_other_name_is_followed_too() -> None:
    assert b"local server=redis " in script(b"return server.call('SET', 'k', 'v')", LOG).text


def call(scripts: Scripts, *args: bytes | str, replicated: bool = True) -> tuple[object, ...]:
    return scripts.followed(lookup(args), args, replicated=replicated)[0]


def test_a_script_is_known_by_its_own_sha_once_its_text_was_seen() -> None:
    scripts, text = Scripts(LOG), "return redis.call('DEL', 'k')"
    sha = sha1(text.encode()).hexdigest()
    assert call(scripts, "EVALSHA", sha, "0") == ("EVALSHA", b"0" * 40, "0")
    sent = call(scripts, "EVAL", text, "0")
    assert sent[1] == script(text.encode(), LOG).text
    known = script(text.encode(), LOG).sha
    assert call(scripts, b"evalsha", sha.encode().upper(), b"0", b"a") == ("EVALSHA", known, b"0", b"a")
    assert call(scripts, "SCRIPT", "EXISTS", sha, "x") == ("SCRIPT EXISTS", known, b"0" * 40)
    assert call(scripts, "EVALSHA", sha, "0", replicated=False) == ("EVALSHA", sha, "0")


def test_a_script_that_is_loaded_keeps_its_sha_and_is_loaded_as_it_is_called_too() -> None:
    for text, is_followed in (("return 1", False), ("return redis.call('DEL', 'k')", True)):
        args = ("SCRIPT LOAD", text)
        sent, first = Scripts(LOG).followed(lookup(args), args, replicated=True)
        assert sent == args
        assert first == (pack((*args[:1], script(text.encode(), LOG).text)) if is_followed else b"")


@pytest.mark.parametrize("text", ["return getfenv()", "return _G['redis']", "return load(function() return 'x' end)"])
def test_a_script_that_hides_its_writes_is_refused(text: str) -> None:
    with pytest.raises(CommandRefused, match=r"^EVAL is refused: by (getfenv|_G|load) it could write"):
        call(Scripts(LOG), "EVAL", text, "0")


def test_a_function_of_ones_own_may_be_called_load() -> None:
    call(Scripts(LOG), "EVAL", "local function load(k) return redis.call('GET', k) end return load('k')", "0")


def test_every_command_has_keys_or_a_reason() -> None:
    everything = script(b"redis.call(ARGV[1])", LOG).text
    for name in {full.partition(" ")[0] for full in COMMANDS}:
        assert f"['{name}']=".encode() in everything
