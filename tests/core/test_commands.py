"""The command table against its own rules, against the commands that redis-py sends, and against real servers."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import pytest
import redis.commands
from servers import KINDS, Pool, client

from hybrid.core.command_table import CORE
from hybrid.core.command_table_admin import ADMIN
from hybrid.core.command_table_modules import MODULES
from hybrid.core.commands import COMMANDS, Policy, is_blind, is_idempotent, keys_of, lookup, policy_of, written_keys
from hybrid.errors import CommandRefused
from scripts import commands_doc

# One call of every command with keys, at least. The operands that are keys are k1, k2 ... and, where the command may
# change them, w1, w2 ...; nothing else looks like that.
SAMPLES = """
GET k1 | GETRANGE k1 0 1 | SUBSTR k1 0 1 | STRLEN k1 | DIGEST k1 | MGET k1 k2 k3 | LCS k1 k2 LEN
SET w1 v | SET w1 v EX 5 NX GET | SETEX w1 5 v | PSETEX w1 5 v | MSET w1 v w2 v | MSETNX w1 v w2 v
MSETEX 2 w1 v w2 v | MSETEX 1 w1 EX PX 10 | SETRANGE w1 0 v | APPEND w1 v | DECR w1 | DECRBY w1 2 | INCR w1
INCRBY w1 2 | INCRBYFLOAT w1 2 | INCREX w1 BYINT 2 EX 5 | GETDEL w1 | GETSET w1 v | SETNX w1 v | DELEX w1 IFEQ v
DELIFEQ w1 v | GETEX k1 | GETEX w1 EX 5 | GETEX w1 PERSIST
BITCOUNT k1 | BITFIELD_RO k1 GET u8 0 | BITPOS k1 1 | GETBIT k1 0 | PFCOUNT k1 k2 | SETBIT w1 0 1
BITFIELD k1 GET u8 0 | BITFIELD w1 INCRBY u8 0 1 | BITOP AND w1 k1 k2 | PFADD w1 a | PFMERGE w1 k1 k2
PFDEBUG GETREG k1
DUMP k1 | EXPIRETIME k1 | PEXPIRETIME k1 | PTTL k1 | TTL k1 | TYPE k1 | EXISTS k1 k2 | TOUCH k1 k2
OBJECT ENCODING k1 | OBJECT FREQ k1 | OBJECT IDLETIME k1 | OBJECT REFCOUNT k1 | MEMORY USAGE k1 SAMPLES 5
DEBUG OBJECT k1 | DEL w1 w2 | UNLINK w1 w2 | PERSIST w1 | EXPIREAT w1 9 | PEXPIREAT w1 9 | EXPIRE w1 9 NX
PEXPIRE w1 9
RENAME w1 w2 | RENAMENX w1 w2 | COPY k1 w1 | COPY k1 w1 REPLACE | COPY k1 w1 DB | COPY k1 k2 DB 1
RESTORE w1 0 payload REPLACE | RESTORE-ASKING k1 0 payload | MOVE k1 1
SORT k1 LIMIT 0 1 | SORT k1 BY a_* LIMIT 0 STORE GET STORE STORE w1 | SORT_RO k1 BY a_*
MIGRATE host 6379 k1 0 500 | MIGRATE host 6379 "" 0 500 COPY AUTH KEYS KEYS k1 k2
HEXISTS k1 f | HGET k1 f | HGETALL k1 | HKEYS k1 | HLEN k1 | HMGET k1 f | HSTRLEN k1 f | HVALS k1 | HRANDFIELD k1
HSCAN k1 0 | HEXPIRETIME k1 FIELDS 1 f | HPEXPIRETIME k1 FIELDS 1 f | HPTTL k1 FIELDS 1 f | HTTL k1 FIELDS 1 f
HSET w1 f v | HMSET w1 f v | HDEL w1 f | HPERSIST w1 FIELDS 1 f | HEXPIREAT w1 9 FIELDS 1 f
HPEXPIREAT w1 9 FIELDS 1 f
HEXPIRE w1 9 FIELDS 1 f | HPEXPIRE w1 9 NX FIELDS 1 f | HSETEX w1 EX 9 FIELDS 1 f v | HGETEX k1 FIELDS 2 EX PX
HGETEX w1 PX 9 FIELDS 1 f | HGETDEL w1 FIELDS 1 f | HINCRBY w1 f 1 | HINCRBYFLOAT w1 f 1 | HSETNX w1 f v
LINDEX k1 0 | LLEN k1 | LPOS k1 v | LRANGE k1 0 1 | LSET w1 0 v | LINSERT w1 BEFORE a b | LPOP w1 | LPUSH w1 v
LPUSHX w1 v | LREM w1 0 v | RPOP w1 2 | RPUSH w1 v | RPUSHX w1 v | LTRIM w1 0 1 | LMOVE w1 w2 LEFT RIGHT
LMOVEM w1 w2 LEFT RIGHT | RPOPLPUSH w1 w2 | LMPOP 2 w1 w2 LEFT | BLPOP w1 w2 0 | BRPOP w1 w2 0
BLMOVE w1 w2 LEFT RIGHT 0 | BLMOVEM k1 k2 LEFT RIGHT 0 | BRPOPLPUSH w1 w2 0 | BLMPOP 0 2 w1 w2 LEFT COUNT 2
SCARD k1 | SISMEMBER k1 m | SMEMBERS k1 | SMISMEMBER k1 m | SRANDMEMBER k1 | SSCAN k1 0 | SDIFF k1 k2 | SINTER k1 k2
SUNION k1 k2 | SDIFFCARD 2 k1 k2 | SINTERCARD 2 k1 k2 LIMIT 1 | SUNIONCARD 2 k1 k2 APPROX | SADD w1 m | SREM w1 m
SDIFFSTORE w1 k1 k2 | SINTERSTORE w1 k1 k2 | SUNIONSTORE w1 k1 k2 | SMOVE w1 w2 m | SPOP w1 2
ZCARD k1 | ZCOUNT k1 0 1 | ZLEXCOUNT k1 - + | ZMSCORE k1 m | ZRANGE k1 0 1 | ZRANGEBYLEX k1 - + | ZRANGEBYSCORE k1 0 1
ZRANK k1 m | ZREVRANGE k1 0 1 | ZREVRANGEBYLEX k1 + - | ZREVRANGEBYSCORE k1 1 0 | ZREVRANK k1 m | ZSCORE k1 m
ZRANDMEMBER k1 | ZSCAN k1 0 | ZDIFF 2 k1 k2 | ZINTER 2 k1 k2 | ZINTERCARD 2 k1 k2 | ZUNION 2 k1 k2 WEIGHTS 1 2
ZADD w1 NX 1 m | ZREM w1 m | ZREMRANGEBYLEX w1 - + | ZREMRANGEBYSCORE w1 0 1 | ZREMRANGEBYRANK w1 0 1 | ZINCRBY w1 1 m
ZPOPMAX w1 | ZPOPMIN w1 2 | ZMPOP 2 w1 w2 MIN | ZDIFFSTORE w1 2 k1 k2 | ZINTERSTORE w1 2 k1 k2 | ZUNIONSTORE w1 1 k1
ZRANGESTORE w1 k1 0 1 | BZPOPMAX w1 w2 0 | BZPOPMIN w1 w2 0 | BZMPOP 0 2 w1 w2 MIN
GEODIST k1 a b | GEOHASH k1 a | GEOPOS k1 a | GEOADD w1 1 2 a | GEOSEARCHSTORE w1 k1 FROMMEMBER a BYRADIUS 1 m
GEOSEARCH k1 FROMMEMBER a BYRADIUS 1 m | GEORADIUS_RO k1 1 2 3 m | GEORADIUSBYMEMBER_RO k1 a 3 m
GEORADIUS k1 1 2 3 m COUNT 1 ANY | GEORADIUS k1 1 2 3 m STORE w1 | GEORADIUS k1 1 2 3 m COUNT 1 STOREDIST w1
GEORADIUSBYMEMBER k1 STORE 3 m | GEORADIUSBYMEMBER k1 a 3 m STORE w1
XLEN k1 | XPENDING k1 g | XRANGE k1 - + | XREVRANGE k1 + - | XINFO CONSUMERS k1 g | XINFO GROUPS k1 | XINFO STREAM k1
XREAD COUNT 1 BLOCK 5 STREAMS k1 k2 0 0 | XREADGROUP GROUP STREAMS c COUNT 1 NOACK STREAMS w1 w2 > 0
XREADGROUP GROUP g c BLOCK 0 STREAMS w1 > | XADD w1 NOMKSTREAM MAXLEN ~ 5 LIMIT 1 * f v | XTRIM w1 MAXLEN 5
XCLAIM w1 g c 0 1-1 | XAUTOCLAIM w1 g c 0 0 | XACK w1 g 1-1 | XDEL w1 1-1 | XACKDEL w1 g IDS 1 1-1
XDELEX w1 KEEPREF IDS 1 1-1 | XSETID w1 1-1 | XNACK w1 g FAIL IDS 1 1-1 | XCFGSET k1 IDMP-MAXSIZE 5
XIDMPRECORD k1 p i 1-1 | XGROUP CREATE w1 g $ MKSTREAM | XGROUP SETID w1 g 0 | XGROUP DESTROY w1 g
XGROUP CREATECONSUMER w1 g c | XGROUP DELCONSUMER w1 g c
ARCOUNT k1 | ARGET k1 0 | ARGETRANGE k1 0 1 | ARGREP k1 0 1 MATCH x | ARINFO k1 | ARLASTITEMS k1 1 | ARLEN k1
ARMGET k1 0 1 | ARNEXT k1 | AROP k1 0 1 SUM | ARSCAN k1 0 1 | ARDEL w1 0 | ARDELRANGE w1 0 1 | ARMSET w1 0 v
ARSEEK w1 0 | ARSET w1 0 v | ARINSERT w1 v | ARRING w1 5 v
EVAL_RO script 1 k1 a | EVALSHA_RO sha 2 k1 k2 a | FCALL_RO f 1 k1 | EVAL script 2 w1 w2 a | EVALSHA sha 1 w1 w-a
EVAL script 0 a | FCALL f 1 w1 a | WATCH k1 k2
JSON.ARRINDEX k1 $ 1 | JSON.ARRLEN k1 | JSON.GET k1 $ | JSON.OBJKEYS k1 | JSON.OBJLEN k1 | JSON.RESP k1
JSON.STRLEN k1
JSON.TYPE k1 | JSON.DEBUG MEMORY k1 $ | JSON.MGET k1 k2 $ | JSON.SET w1 $ 1 | JSON.CLEAR w1 | JSON.MERGE w1 $ 1
JSON.MSET w1 $ 1 w2 $ 2 | JSON.ARRAPPEND w1 $ 1 | JSON.ARRINSERT w1 $ 0 1 | JSON.ARRPOP w1 | JSON.ARRTRIM w1 $ 0 1
JSON.STRAPPEND w1 $ 1 | JSON.TOGGLE w1 $ | JSON.DEL w1 $ | JSON.FORGET w1 $ | JSON.NUMINCRBY w1 $ 1
JSON.NUMMULTBY w1 $ 2 | JSON.NUMPOWBY w1 $ 2
FT.SUGGET k1 a | FT.SUGLEN k1 | FT.SUGADD w1 a 1 | FT.SUGDEL w1 a
BF.DEBUG k1 | CF.DEBUG k1
BF.CARD k1 | BF.EXISTS k1 a | BF.INFO k1 | BF.MEXISTS k1 a | BF.SCANDUMP k1 0 | BF.ADD w1 a | BF.INSERT w1 ITEMS a
BF.MADD w1 a | BF.RESERVE w1 0.1 9 | BF.LOADCHUNK w1 1 data | CF.COUNT k1 a | CF.EXISTS k1 a | CF.INFO k1
CF.MEXISTS k1 a | CF.SCANDUMP k1 0 | CF.RESERVE w1 9 | CF.ADD w1 a | CF.ADDNX w1 a | CF.COMPACT w1 | CF.DEL w1 a
CF.INSERT w1 ITEMS a | CF.INSERTNX w1 ITEMS a | CF.LOADCHUNK w1 1 data | CMS.INFO k1 | CMS.QUERY k1 a
CMS.INITBYDIM w1 9 9 | CMS.INITBYPROB w1 0.1 0.1 | CMS.INCRBY w1 a 1 | CMS.MERGE w1 2 k1 k2 WEIGHTS 1 2
TOPK.COUNT k1 a | TOPK.INFO k1 | TOPK.LIST k1 | TOPK.QUERY k1 a | TOPK.RESERVE w1 9 | TOPK.ADD w1 a
TOPK.INCRBY w1 a 1
TDIGEST.BYRANK k1 0 | TDIGEST.BYREVRANK k1 0 | TDIGEST.CDF k1 0 | TDIGEST.INFO k1 | TDIGEST.MAX k1 | TDIGEST.MIN k1
TDIGEST.QUANTILE k1 0 | TDIGEST.RANK k1 0 | TDIGEST.REVRANK k1 0 | TDIGEST.TRIMMED_MEAN k1 0 1 | TDIGEST.CREATE w1
TDIGEST.RESET w1 | TDIGEST.ADD w1 1 | TDIGEST.MERGE w1 2 k1 k2 OVERRIDE
TS.GET k1 | TS.INFO k1 | TS.RANGE k1 - + | TS.REVRANGE k1 - + | TS.READ k1 0 BLOCK 1 1 | TS.NRANGE 2 k1 k2 - +
TS.NREVRANGE 2 k1 k2 - + | TS.CREATE w1 | TS.ALTER w1 | TS.DEL w1 0 1 | TS.ADD w1 * 1 | TS.MADD w1 1 1 w2 * 1
TS.INCRBY w1 1 | TS.DECRBY w1 1 TIMESTAMP 5 | TS.DELETERULE w1 w2 | TS.CREATERULE k1 k2 AGGREGATION avg 5
VCARD k1 | VDIM k1 | VEMB k1 e | VGETATTR k1 e | VINFO k1 | VISMEMBER k1 e | VRANGE k1 - + | VLINKS k1 e
VSIM k1 ELE e | VRANDMEMBER k1 | VADD w1 VALUES 1 1 e | VADD w1 REDUCE 1 VALUES 2 1 1 e | VREM w1 e | VSETATTR w1 e a
PING | PUBLISH channel message | SPUBLISH channel message | FLUSHALL | SCRIPT LOAD x | CONFIG GET a | OBJECT HELP
"""


def calls_in(text: str) -> list[list[str]]:
    """The calls in a text like SAMPLES, as arguments."""
    calls = [call.split() for call in re.split(r"\n|\|", text.strip())]
    return [["" if argument == '""' else argument for argument in call] for call in calls]


def named_keys(call: Sequence[str], pattern: str) -> list[str]:
    return [operand for operand in call if re.fullmatch(pattern, operand)]


CALLS = calls_in(SAMPLES)
CALL_IDS = [" ".join(call) for call in CALLS]


# -- the table itself -----------------------------------------------------------------------------------------------


def test_no_command_has_two_rows() -> None:
    names = [row.name for row in (*CORE, *MODULES, *ADMIN)]
    assert len(names) == len(COMMANDS) == len(set(names))


def test_every_row_says_why_where_that_is_not_plain() -> None:
    plain = (Policy.READ, Policy.VERBATIM)
    assert [
        row.name for row in COMMANDS.values() if not row.note and (row.policy not in plain or row.policy_rule)
    ] == []
    assert [row.name for row in COMMANDS.values() if not row.group] == []


def test_only_writes_are_blind_and_reads_may_always_be_sent_again() -> None:
    for row in COMMANDS.values():
        assert row.idempotent or row.policy is not Policy.READ, row.name
        assert not row.blind or row.policy in (Policy.VERBATIM, Policy.TIMED), row.name


@pytest.mark.parametrize(
    ("of", "names"),
    [
        (Policy.TIMED, "EXPIRE PEXPIRE SETEX PSETEX GETEX HEXPIRE HPEXPIRE HGETEX"),
        (
            Policy.EFFECT,
            "SPOP INCRBYFLOAT HINCRBYFLOAT RENAME XADD XREADGROUP XCLAIM XAUTOCLAIM XGROUP:CREATE XGROUP:SETID",
        ),
        (Policy.BLOCKING, "BLPOP BRPOP BLMOVE BRPOPLPUSH BLMPOP BZPOPMIN BZPOPMAX BZMPOP"),
        (Policy.FLUSH, "FLUSHALL FLUSHDB"),
    ],
)
def test_commands_that_other_code_must_know_by_name(of: Policy, names: str) -> None:
    assert {row.name for row in COMMANDS.values() if row.policy is of} == {n.replace(":", " ") for n in names.split()}


def test_the_document_is_current() -> None:
    assert commands_doc.main(["--check"]) == 0


# -- looking up -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "name"),
    [
        (("GET", "k"), "GET"),
        (("get", "k"), "GET"),
        (("GeT", "k"), "GET"),
        ((b"gEt", b"k"), "GET"),
        ((bytearray(b"get"), b"k"), "GET"),
        ((memoryview(b"get"), b"k"), "GET"),
        (("SET k v",), "SET"),
        (("CONFIG GET", "a"), "CONFIG GET"),
        (("config", b"get", "a"), "CONFIG GET"),
        (("Config  Get", "a"), "CONFIG GET"),
        ((b"XGROUP", memoryview(b"create"), "k"), "XGROUP CREATE"),
        (("COMMAND",), "COMMAND"),
        (("COMMAND", "COUNT"), "COMMAND COUNT"),
        (("DEBUG SLEEP", 1), "DEBUG"),
        (("SENTINEL MASTERS",), "SENTINEL"),
        (("LOLWUT VERSION", 5), "LOLWUT"),
        (("JSON.DEBUG", "MEMORY", "k"), "JSON.DEBUG MEMORY"),
    ],
)
def test_lookup_takes_any_spelling(args: tuple[Any, ...], name: str) -> None:
    assert lookup(args) is COMMANDS[name]


@pytest.mark.parametrize("args", [("FOO", "bar"), ("CONFIG", "FOO"), ("CONFIG",), (), ("",), (12,), ("JSON.DEBUG",)])
def test_an_unknown_command_is_refused_by_name(args: tuple[Any, ...]) -> None:
    with pytest.raises(CommandRefused) as caught:
        lookup(args)
    assert caught.value.command == " ".join(map(str, args)).replace(" bar", "") or caught.value.command == "(nothing)"


def test_a_refusal_shows_no_operand() -> None:
    with pytest.raises(CommandRefused, match=r"^FOO is refused") as caught:
        lookup(("FOO hunter2", "hunter3"))
    assert "hunter" not in str(caught.value)


# -- what the arguments change --------------------------------------------------------------------------------------


POLICIES = {
    Policy.READ: """
GETEX k | SORT k | SORT k BY STORE | SORT_RO k | GEORADIUS k 1 2 3 m | XREAD BLOCK 0 STREAMS s $ | EVAL_RO x 0
HGETEX k FIELDS 1 EX | BITFIELD k GET u8 0 OVERFLOW SAT | FT.AGGREGATE i * | FCALL_RO f 0 | PFCOUNT k
""",
    Policy.VERBATIM: """
SET k v | SET k v NX | SET k EX | SET k v EXAT 9 | SET k v PXAT 9 | SET k v KEEPTTL | SET k v XX GET
GETEX k PERSIST | GETEX k EXAT 9 | HGETEX k PERSIST FIELDS 1 f | HSETEX k FIELDS 1 EX PX
HSETEX k KEEPTTL FIELDS 1 f v | MSETEX 1 EX PX | BITOP NOT a b | BITOP and a b c
XTRIM s MAXLEN 5 | XTRIM s MAXLEN = 5 | XTRIM s | BITFIELD k SET u8 0 GET | COPY a b REPLACE
COPY a DB | COPY a b DB | COPY | GEORADIUS k 1 2 3 m STORE d | TS.ADD t 5 1 LABELS a * | TS.MADD t 1 1 u 2 *
TS.INCRBY t 1 TIMESTAMP 5 | VADD v FP32 x e | FT.DROPINDEX i | FT.CREATE i SCHEMA TEMPORARY TEXT
FT.CREATE i PREFIX 1 a: SCHEMA t TEXT | GEOADD k 1 2 m | PFMERGE a b | EXPIREAT k 9
""",
    Policy.TIMED: """
SET k v EX 5 | set k v nx px 5 | GETEX k EX 5 | GETEX k PX 5 | HGETEX k EX 5 FIELDS 1 f
HSETEX k FNX PX 5 FIELDS 1 f v | HSETEX k FIELDS 1 f v EX 5 | MSETEX 1 k v PX 5 | SETEX k 5 v | EXPIRE k 5
""",
    Policy.EFFECT: """
XADD s * f v | XADD s 5-* f v | XADD s NOMKSTREAM KEEPREF MAXLEN ~ 5 LIMIT 9 1-1 f v | XADD s MINID ~ 5 1-1 f v
XTRIM s MINID ~ 5 | XTRIM s MAXLEN 5 ACKED | XTRIM s MAXLEN = 5 KEEPREF | SET k v NX GET | SET k v IFEQ EX
SET k v IFEQ NX EX 5 | BITOP DIFF a b c | XADD s 1-1 f * | XADD s 5 f v | XGROUP CREATE s g $ | XGROUP SETID s g 0
XREADGROUP GROUP g c STREAMS BLOCK > | XREADGROUP GROUP BLOCK c STREAMS s > | SPOP s
""",
    Policy.STATE: """
EVAL x 1 k | EVALSHA x 0 a | FCALL f 1 k | SORT k STORE d | SORT k ALPHA STORE d | RESTORE k 0 x | INCREX k
JSON.NUMPOWBY d $ 2
RESTORE k 0 x ABSTTL | TS.ADD t * 1 | TS.MADD t 1 1 u * 2 | TS.INCRBY t 1 | TS.DECRBY t 1 TIMESTAMP *
GEOSEARCHSTORE d k FROMMEMBER a BYRADIUS 1 m STOREDIST | GEORADIUS k 1 2 3 m STOREDIST d
TS.INCRBY t 1 LABELS TIMESTAMP 5 | VADD v REDUCE 2 FP32 x e | TOPK.ADD t a | TDIGEST.ADD t 1 | EVAL x
EVAL x 0 | FCALL f 0
""",
    Policy.BLOCKING: """
XREADGROUP GROUP g c COUNT 1 BLOCK 0 STREAMS s > | BLPOP k 0
""",
    Policy.ONE_STORE: """
PUBLISH c m | PING | FT.AGGREGATE i * WITHCURSOR COUNT 5 | DEBUG OBJECT k | SCRIPT EXISTS x
""",
    Policy.REFUSED: """
COPY a b DB 1 | COPY a b REPLACE DB 2 | COPY a b DB 0 | COPY a b db x | FT.DROPINDEX i DD
FT.CREATE i ON HASH TEMPORARY 5 SCHEMA t TEXT | FT.DEBUG DUMP_TERMS i | FT._CREATEIFNX i | SELECT 1
XADD s IDMPAUTO p * f v | XADD s NOMKSTREAM IDMP p i * f v | MIGRATE h 1 k 0 5 | CONFIG SET a b | DEBUG SLEEP 1
MULTI | SUBSCRIBE c | HIMPORT SET k s v | WAIT 1 0 | SHUTDOWN | SWAPDB 0 1 | CLIENT PAUSE 5 | BLMOVEM a b
""",
}


@pytest.mark.parametrize("expected", POLICIES)
def test_policy_of_this_call(expected: Policy) -> None:
    found = {" ".join(call): policy_of(lookup(call), call) for call in calls_in(POLICIES[expected])}
    assert found == dict.fromkeys(found, expected)


YES_IDEMPOTENT = """
SET k v | SET k v EX 5 | SET k v XX | SET k NX | SET k v KEEPTTL | DEL k | SADD k m | HSET k f v | EXPIRE k 5
EXPIRE k 5 XX | MSETEX 1 NX v | MSETEX 1 k NX XX | ZADD k 1 m | ZADD k GT CH 1 INCR | ZADD k XX 1 NX | GEOADD k 1 2 NX
LTRIM k 0 99 | LTRIM k -5 -1 | SUNIONSTORE d a b | ZUNIONSTORE d 2 a b | BITOP AND d a b | SORT k STORE d | SORT k
COPY a b REPLACE | RESTORE k 0 x REPLACE | GEORADIUS k 1 2 3 m STORE d | HSETEX k FIELDS 1 FNX v
HSETEX k FXX FIELDS 1 f v | XTRIM s MAXLEN 5 | BITFIELD k GET u8 0 | FUNCTION LOAD REPLACE x
FUNCTION RESTORE x FLUSH | JSON.SET k $ v | CMS.MERGE d 1 a | GETEX k EX 5 | FT.SUGADD k s 1 | SCRIPT LOAD x
FLUSHALL | GET k | PING | HEXPIRE k 5 FIELDS 1 f | XREAD STREAMS s 0 | ZRANGESTORE d a 0 1
"""
NOT_IDEMPOTENT = """
INCR k | LPUSH k v | SETNX k v | SET k v NX | SET k v GET | SET k v EX 5 nx | SET k v IFEQ x | GETDEL k | GETSET k v
SPOP k | MSETEX 1 k v NX EX 5 | ZADD k NX 1 m | ZADD k CH INCR 1 m | GEOADD k NX 1 2 m | LTRIM k 1 -1 | LTRIM k 0 -2
LTRIM k a b | SUNIONSTORE a a b | ZUNIONSTORE a 2 b a | BITOP NOT a a | SORT k STORE k | COPY a b | RESTORE k 0 x
EXPIRE k 5 NX | EXPIRE k 5 gt | GEORADIUS k 1 2 3 m STORE k | HSETEX k FNX EX 5 FIELDS 1 f v
HSETEX k NX FIELDS 1 f v | XADD s 1-1 f v | XADD s * f v | BITFIELD k INCRBY u8 0 1 | FUNCTION LOAD x
FUNCTION RESTORE x APPEND | JSON.SET k $ v NX | RENAME a b | CMS.MERGE a 1 a | FT.SUGADD k s 1 INCR | EVAL x 1 k
PUBLISH c m | XREADGROUP GROUP g c STREAMS s > | BLPOP k 0 | SETBIT k 0 1 | LREM k 1 x | ZPOPMIN k | HSETNX k f v
HINCRBY k f 1 | APPEND k v | MSETNX k v | XGROUP CREATE s g 0 | HEXPIRE k 5 NX FIELDS 1 f
"""
BLIND = """
SET k v | SET k NX | SET k v EX 5 | SET k v PXAT 9 | SETEX k 5 v | PSETEX k 5 v | MSET k v | MSETEX 1 k v EX 5
MSETEX 1 NX XX | DEL k | UNLINK k | RESTORE k 0 x REPLACE
"""
NOT_BLIND = """
SET k v NX | SET k v XX | SET k v GET | SET k v KEEPTTL | SET k v IFEQ EX | SET k v EX 5 GET | MSETEX 1 k v KEEPTTL
MSETEX 1 k v NX | HSET k f v | INCR k | EXPIRE k 5 | GET k | SADD k m | RESTORE k 0 x | FLUSHALL | COPY a b REPLACE
EVAL x 1 k
"""


@pytest.mark.parametrize(
    ("ask", "texts", "expected"),
    [
        (is_idempotent, YES_IDEMPOTENT, True),
        (is_idempotent, NOT_IDEMPOTENT, False),
        (is_blind, BLIND, True),
        (is_blind, NOT_BLIND, False),
    ],
)
@pytest.mark.parametrize("convert", [str, str.encode, lambda text: memoryview(text.encode())])
def test_what_may_be_sent_twice_and_what_is_blind(ask: Any, texts: str, expected: bool, convert: Any) -> None:
    answers = {" ".join(call): ask(lookup(call), [convert(part) for part in call]) for call in calls_in(texts)}
    assert answers == dict.fromkeys(answers, expected)


# -- keys -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", CALLS, ids=CALL_IDS)
def test_keys_and_written_keys(call: list[str]) -> None:
    command = lookup(call)
    joined = [command.name.lower(), *call[len(command.name.split()) :]]
    in_bytes = [operand.encode() for operand in call]
    assert keys_of(command, call) == keys_of(command, joined) == named_keys(call, r"[kw]\d")
    assert written_keys(command, call) == written_keys(command, joined) == named_keys(call, r"w\d")
    assert keys_of(command, in_bytes) == [key.encode() for key in keys_of(command, call)]
    assert written_keys(command, in_bytes) == [key.encode() for key in written_keys(command, call)]


def test_every_command_with_keys_is_sampled() -> None:
    sampled = {lookup(call).name for call in CALLS if named_keys(call, r"[kw]\d")}
    assert {row.name for row in COMMANDS.values() if row.keys != COMMANDS["PING"].keys} == sampled


def test_keys_keep_their_type_and_numbers_may_be_of_any_type() -> None:
    assert keys_of(COMMANDS["MGET"], ("mget", "a", b"b", 3, 4.5)) == ["a", b"b", 3, 4.5]
    for count in (2, "2", b"2", memoryview(b"2"), 2.0):
        assert keys_of(COMMANDS["EVAL"], ("EVAL", "x", count, "a", "b", "c")) == ["a", "b"]


MALFORMED = [[], ["a"], ["a", "b"], ["-1", "x", "y"], ["x", "-5"], ["a", "b", "STORE"], [None, object()], ["\xff"]]


@pytest.mark.parametrize("operands", MALFORMED)
def test_a_malformed_call_is_left_to_the_server(operands: list[Any]) -> None:
    for row in COMMANDS.values():
        args = (row.name, *operands)
        assert len(keys_of(row, args)) <= len(operands), args
        assert len(written_keys(row, args)) <= len(operands), args
        assert isinstance(is_idempotent(row, args), bool) and isinstance(is_blind(row, args), bool), args


# -- redis-py -------------------------------------------------------------------------------------------------------

# Methods that are handed the name (by callers that are looked at themselves), or part of it.
HANDED_THE_NAME = {"_eval", "_evalsha", "_fcall", "_georadiusgeneric", "_geosearchgeneric", "_zaggregate", "_zrange"}
HANDED_THE_NAME |= {"_execute_pipeline_by_slot", "_split_command_across_slots", "cluster", "execute"}


def sent_by_redis_py() -> tuple[set[str], set[str]]:
    """The command names in the source of redis-py's command methods, and the methods where none was found."""
    names: set[str] = set()
    nameless: set[str] = set()
    for module in pkgutil.walk_packages(redis.commands.__path__, "redis.commands."):
        loaded = importlib.import_module(module.name)
        for function in ast.walk(ast.parse(inspect.getsource(loaded))):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                found = {command_name(words, vars(loaded)) for words in sent_by(function)}
                names |= found - {""}
                if found == {""}:
                    nameless.add(function.name)
    return names, nameless


def sent_by(function: ast.AST) -> Iterator[list[ast.expr]]:
    """The first arguments of each call that sends a command, a list that is passed on as `*pieces` unpacked."""
    built = {ast.unparse(target): value for target, value in assignments(function)}
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            first = node.args[0]
            if node.func.attr in HANDED_THE_NAME - {"execute", "cluster"} | {"execute_command"}:
                yield built.get(ast.unparse(first.value), []) if isinstance(first, ast.Starred) else node.args


def assignments(function: ast.AST) -> Iterator[tuple[ast.expr, list[ast.expr]]]:
    for node in ast.walk(function):
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        value = getattr(node, "value", None)
        value = value.left if isinstance(value, ast.BinOp) else value
        if isinstance(node, ast.Assign | ast.AnnAssign) and target and isinstance(value, ast.List) and value.elts:
            yield target, value.elts


def command_name(parts: Sequence[ast.expr], constants: dict[str, Any]) -> str:
    """The name (of two words after a container) that these expressions begin with; empty if they hold none."""
    words: list[str] = []
    for part in parts[:2]:
        value = constants.get(part.id) if isinstance(part, ast.Name) else getattr(part, "value", None)
        if not isinstance(value, str):
            break
        words.append(value)
    contained = bool(words) and any(name.startswith(f"{words[0]} ") for name in COMMANDS)
    return " ".join(words if contained else words[:1])


def known(name: str) -> bool:
    try:
        return bool(lookup((name,)))
    except CommandRefused:  # `object_()` has its subcommand as an argument
        return any(listed.startswith(f"{name} ") for listed in COMMANDS)


def test_every_command_of_redis_py_is_in_the_table() -> None:
    names, nameless = sent_by_redis_py()
    assert nameless <= HANDED_THE_NAME
    assert {"EVALSHA_RO", "ZUNIONSTORE", "HIMPORT SET", "HOTKEYS START", "FT.CONFIG SET", "VADD", "SHUTDOWN"} <= names
    assert len(names) > 450
    assert sorted(name for name in names if not known(name)) == []


# -- servers --------------------------------------------------------------------------------------------------------


@pytest.fixture(params=KINDS)
def connection(request: pytest.FixtureRequest, server_pool: Pool) -> Iterator[redis.Redis]:
    with client(server_pool.get(request.param, "local").url, decode_responses=True) as connected:
        connected.response_callbacks.clear()
        yield connected


class Described(NamedTuple):
    """What the server itself says of a command."""

    flags: frozenset[str]
    has_keys: bool


WRONG_FLAGS = {"TOPK.COUNT", "CF.COMPACT", "FT.ALIASADD", "FT.ALIASDEL", "FT.ALIASUPDATE", "FT.DICTADD", "FT.DICTDEL"}
"""A read that its module calls a write, and writes that theirs call reads."""

ONLY_THE_FIRST_KEY = {"JSON.MGET", "TS.DELETERULE", "TS.CREATERULE", "TDIGEST.MERGE", "CMS.MERGE"}
"""Of several keys, their module names the first."""

HONEYPOTS = {"POST", "HOST:"}
"""Redis 6.2 lists these: it closes the connection of a web browser that was lured into speaking to it."""


def reported(connection: redis.Redis) -> dict[str, Described]:
    """The commands of the server by their names in the table. Containers are left out, and where the server lists no
    subcommands (Redis 6.2, modules) so are these."""
    rows: dict[str, Described] = {}
    for row in connection.execute_command("COMMAND"):
        subcommands = row[9] if len(row) > 9 else []
        for name, _, flags, first_key, *_ in subcommands or [row]:
            called = name.upper().replace("|", " ")
            if called not in HONEYPOTS and (subcommands or not is_container(called)):
                rows[lookup((called,)).name] = Described(frozenset(flags), first_key > 0)
    return rows


def is_container(name: str) -> bool:
    return name not in COMMANDS and any(listed.startswith(f"{name} ") for listed in COMMANDS)


def test_every_command_of_the_server_is_in_the_table(connection: redis.Redis) -> None:
    assert len(reported(connection)) > 190  # one that is not in the table raises


def test_writes_of_the_server_are_logged_or_refused(connection: redis.Redis) -> None:
    unlogged = (Policy.READ, Policy.ONE_STORE)
    rows = reported(connection)
    writes = {name for name, row in rows.items() if "write" in row.flags} - WRONG_FLAGS
    reads = {name for name, row in rows.items() if "readonly" in row.flags} - WRONG_FLAGS
    logged = {name for name in rows if COMMANDS[name].policy not in (*unlogged, Policy.REFUSED)} - WRONG_FLAGS
    assert {name for name in writes if COMMANDS[name].policy in unlogged} == set()
    assert reads & logged == set()
    # The server flags these as neither: what a script does is flagged when it does it, and scripts are no keys.
    assert logged - writes <= {"EVAL", "EVALSHA", "FCALL", "SCRIPT LOAD", "SCRIPT FLUSH"}


def test_commands_that_block_on_the_server(connection: redis.Redis) -> None:
    rows = reported(connection)
    blocking = {name for name, row in rows.items() if "blocking" in row.flags}
    waits_by_option = {"XREAD", "XREADGROUP"}
    if not blocking:
        return  # Redis 6.2 does not say
    policies = (Policy.BLOCKING, Policy.REFUSED)
    assert {name for name in blocking - waits_by_option if COMMANDS[name].policy not in policies} == set()
    assert {name for name in rows if COMMANDS[name].policy is Policy.BLOCKING} <= blocking


def test_keys_agree_with_the_server(connection: redis.Redis) -> None:
    rows = reported(connection)
    if "EXPIRETIME" not in rows:
        return  # Redis 6.2 tells some keys wrong, and understands no newer options
    calls = [call for call in CALLS if lookup(call).name in rows.keys() - ONLY_THE_FIRST_KEY]
    assert len(calls) > 150
    found = {" ".join(call): keys_of(lookup(call), call) for call in calls}
    assert found == {" ".join(call): keys_by_server(connection, call) for call in calls}


def keys_by_server(connection: redis.Redis, call: list[str]) -> list[str]:
    try:
        keys: list[str] = connection.execute_command("COMMAND GETKEYS", *call)
    except redis.ResponseError as error:
        # The second: PING alone is too short a call for 7.0.
        assert re.search("no key arguments|wrong number of arguments for .command.getkeys", str(error)), call
        return []
    return keys


def test_commands_with_keys_on_the_server_have_them_in_the_table(connection: redis.Redis) -> None:
    rows = reported(connection)
    without = {name for name, row in rows.items() if row.has_keys and COMMANDS[name].keys == COMMANDS["PING"].keys}
    # The server gives a place to what are channels, and to a cursor; search calls the name of an index a key.
    assert {name for name in without if not name.startswith("FT.")} <= {
        "SPUBLISH",
        "SSUBSCRIBE",
        "SUNSUBSCRIBE",
        "CLUSTERSCAN",
    }
