"""The data commands of the Redis and Valkey servers, and how each is kept equal on two stores."""

from __future__ import annotations

from typing import Final

from hybrid.core import command_rules as rules
from hybrid.core.command_rows import (
    ALL,
    ALL_BUT_LAST,
    BOTH,
    COUNTED,
    COUNTED_SECOND,
    FIRST,
    NONE,
    PAIRS,
    SECOND,
    STORED_COUNTED,
    counted_once,
    one_store,
    reads,
    refused,
    repeatable,
    rows,
    section,
)
from hybrid.core.command_types import Keys, Policy

__all__ = ["CORE"]

_STREAMS: Final = Keys(find=rules.stream_keys)
_SORT: Final = Keys(find=rules.sort_keys)
_SOURCES_AFTER_OPERATION: Final = Keys(first=1, last=-1)

_OWN_CURSOR = "a cursor is valid on the store that gave it only"
_TIMED = "logged with the absolute time"
_IF_DONE = "logged as it was sent, and not where it is refused"
_ONE_DATABASE = "only the database that the URL names is kept on both stores"

STRINGS = section(
    "Strings",
    reads(FIRST, "GET, GETRANGE, SUBSTR, STRLEN, DIGEST"),
    reads(ALL, "MGET"),
    reads(BOTH, "LCS"),
    repeatable(
        FIRST,
        "SET",
        blind=True,
        note="timed with EX or PX; with NX and GET, or IFEQ and its like, logged as what it set",
        policy_rule=rules.set_policy,
        idempotent_rule=rules.set_idempotent,
        blind_rule=rules.set_blind,
    ),
    rows(Policy.TIMED, FIRST, "SETEX, PSETEX", idempotent=True, blind=True, note=_TIMED),
    repeatable(PAIRS, "MSET", blind=True),
    repeatable(
        Keys(count_at=0, step=2),
        "MSETEX",
        blind=True,
        note="timed with EX or PX",
        policy_rule=rules.msetex_policy,
        idempotent_rule=rules.msetex_idempotent,
        blind_rule=rules.msetex_blind,
    ),
    repeatable(FIRST, "SETRANGE"),
    counted_once(FIRST, "APPEND, DECR, DECRBY, INCR, INCRBY, GETDEL, GETSET, SETNX, DELEX, DELIFEQ"),
    counted_once(PAIRS, "MSETNX"),
    rows(Policy.EFFECT, FIRST, "INCRBYFLOAT", idempotent=False, note="logged as SET with the sum and KEEPTTL"),
    rows(
        Policy.STATE,
        FIRST,
        "INCREX",
        idempotent=False,
        note="bounds, time and float arithmetic make one value: it is copied",
    ),
    rows(
        Policy.TIMED,
        FIRST,
        "GETEX",
        idempotent=True,
        note="a read without options; logged as PEXPIREAT or PERSIST otherwise",
        policy_rule=rules.getex_policy,
    ),
    refused("STRALGO", "servers dropped it in 7.0; use LCS"),
)

BITMAPS = section(
    "Bitmaps and HyperLogLog",
    reads(FIRST, "BITCOUNT, BITFIELD_RO, BITPOS, GETBIT"),
    reads(ALL, "PFCOUNT"),
    counted_once(FIRST, "SETBIT"),
    counted_once(
        FIRST,
        "BITFIELD",
        note="a read when it only GETs",
        policy_rule=rules.bitfield_policy,
        idempotent_rule=rules.bitfield_idempotent,
    ),
    repeatable(
        _SOURCES_AFTER_OPERATION,
        "BITOP",
        writes=SECOND,
        note="with DIFF and its like logged as it was sent, and not where it is refused",
        policy_rule=rules.bitop_policy,
        idempotent_rule=rules.apart(_SOURCES_AFTER_OPERATION),
    ),
    repeatable(FIRST, "PFADD"),
    repeatable(ALL, "PFMERGE", writes=FIRST),
    refused("PFDEBUG", "it exists to test the server", SECOND),
    one_store("PFSELFTEST", "tests the server"),
)

GENERIC = section(
    "Keys",
    reads(FIRST, "DUMP, EXPIRETIME, PEXPIRETIME, PTTL, TTL, TYPE"),
    reads(ALL, "EXISTS, TOUCH"),
    reads(FIRST, "OBJECT ENCODING, OBJECT FREQ, OBJECT IDLETIME, OBJECT REFCOUNT", "each store has its own answer"),
    reads(NONE, "KEYS, RANDOMKEY, DBSIZE", "hybrid's own keys are among them"),
    reads(NONE, "SCAN", _OWN_CURSOR),
    repeatable(ALL, "DEL, UNLINK", blind=True),
    repeatable(FIRST, "PERSIST"),
    repeatable(FIRST, "EXPIREAT, PEXPIREAT", idempotent_rule=rules.expire_idempotent),
    rows(Policy.TIMED, FIRST, "EXPIRE, PEXPIRE", idempotent=True, note=_TIMED, idempotent_rule=rules.expire_idempotent),
    rows(Policy.EFFECT, BOTH, "RENAME", idempotent=False, note=_IF_DONE),
    counted_once(BOTH, "RENAMENX"),
    counted_once(
        BOTH,
        "COPY",
        writes=SECOND,
        note="DB may name no database but the one that the URL names: only that is kept on both stores",
        policy_rule=rules.copy_policy,
        idempotent_rule=rules.mentions(2, "REPLACE"),
    ),
    rows(
        Policy.STATE,
        FIRST,
        "RESTORE",
        idempotent=False,
        note="the other store may not read this payload's version",
        idempotent_rule=rules.mentions(3, "REPLACE"),
        blind_rule=rules.mentions(3, "REPLACE"),
    ),
    reads(_SORT, "SORT_RO"),
    rows(
        Policy.STATE,
        _SORT,
        "SORT",
        idempotent=True,
        writes=Keys(find=rules.sort_destination),
        note="a read without STORE; BY and GET read keys that are not named",
        policy_rule=rules.sort_policy,
        idempotent_rule=rules.sort_idempotent,
    ),
    rows(Policy.FLUSH, NONE, "FLUSHALL, FLUSHDB", idempotent=True, note="deletes the user's keys on both stores"),
    refused("MOVE", _ONE_DATABASE, FIRST),
    refused("SELECT", f"{_ONE_DATABASE}; to select that one changes nothing"),
    refused("SWAPDB", _ONE_DATABASE),
    refused("MIGRATE", "it moves keys to a server that hybrid does not know", Keys(find=rules.migrate_keys)),
    refused("RESTORE-ASKING", "it belongs to a cluster's own resharding", FIRST),
    one_store("OBJECT HELP", "the server's own help"),
)

HASHES = section(
    "Hashes",
    reads(FIRST, "HEXISTS, HGET, HGETALL, HKEYS, HLEN, HMGET, HSTRLEN, HVALS"),
    reads(FIRST, "HEXPIRETIME, HPEXPIRETIME, HPTTL, HTTL"),
    reads(FIRST, "HRANDFIELD", "each store draws for itself"),
    reads(FIRST, "HSCAN", _OWN_CURSOR),
    repeatable(FIRST, "HSET, HMSET, HDEL, HPERSIST"),
    repeatable(FIRST, "HEXPIREAT, HPEXPIREAT", idempotent_rule=rules.expire_idempotent),
    rows(
        Policy.TIMED, FIRST, "HEXPIRE, HPEXPIRE", idempotent=True, note=_TIMED, idempotent_rule=rules.expire_idempotent
    ),
    repeatable(
        FIRST,
        "HSETEX",
        note="timed with EX or PX",
        policy_rule=rules.hsetex_policy,
        idempotent_rule=rules.hsetex_idempotent,
    ),
    rows(
        Policy.TIMED,
        FIRST,
        "HGETEX",
        idempotent=True,
        note="a read without options, verbatim with an absolute time or PERSIST",
        policy_rule=rules.getex_policy,
    ),
    counted_once(FIRST, "HGETDEL, HINCRBY, HSETNX"),
    rows(Policy.EFFECT, FIRST, "HINCRBYFLOAT", idempotent=False, note="logged as HSET with the sum"),
    refused(
        "HIMPORT SET, HIMPORT PREPARE, HIMPORT DISCARD, HIMPORT DISCARDALL",
        "its field set lives in one connection of one store; use HSET",
    ),
    one_store("HIMPORT HELP", "the server's own help"),
)

LISTS = section(
    "Lists",
    reads(FIRST, "LINDEX, LLEN, LPOS, LRANGE"),
    repeatable(FIRST, "LSET"),
    counted_once(FIRST, "LINSERT, LPOP, LPUSH, LPUSHX, LREM, RPOP, RPUSH, RPUSHX"),
    counted_once(FIRST, "LTRIM", idempotent_rule=rules.ltrim_idempotent),
    counted_once(BOTH, "LMOVE, LMOVEM, RPOPLPUSH"),
    counted_once(COUNTED, "LMPOP"),
    rows(Policy.BLOCKING, ALL_BUT_LAST, "BLPOP", idempotent=False, note="logged as LPOP"),
    rows(Policy.BLOCKING, ALL_BUT_LAST, "BRPOP", idempotent=False, note="logged as RPOP"),
    rows(Policy.BLOCKING, BOTH, "BLMOVE", idempotent=False, note="logged as LMOVE"),
    rows(Policy.BLOCKING, BOTH, "BRPOPLPUSH", idempotent=False, note="logged as RPOPLPUSH"),
    rows(Policy.BLOCKING, COUNTED_SECOND, "BLMPOP", idempotent=False, note="logged as LMPOP"),
    refused("BLMOVEM", "it would have to wait inside one store; call LMOVEM until it moves something", BOTH),
)

SETS = section(
    "Sets",
    reads(FIRST, "SCARD, SISMEMBER, SMEMBERS, SMISMEMBER"),
    reads(FIRST, "SRANDMEMBER", "each store draws for itself"),
    reads(FIRST, "SSCAN", _OWN_CURSOR),
    reads(ALL, "SDIFF, SINTER, SUNION"),
    reads(COUNTED, "SDIFFCARD, SINTERCARD, SUNIONCARD"),
    repeatable(FIRST, "SADD, SREM"),
    repeatable(ALL, "SDIFFSTORE, SINTERSTORE, SUNIONSTORE", writes=FIRST, idempotent_rule=rules.apart(ALL)),
    counted_once(BOTH, "SMOVE"),
    rows(Policy.EFFECT, FIRST, "SPOP", idempotent=False, note="logged as SREM of the members that were drawn"),
)

SORTED_SETS = section(
    "Sorted sets and geo",
    reads(FIRST, "ZCARD, ZCOUNT, ZLEXCOUNT, ZMSCORE, ZRANGE, ZRANGEBYLEX, ZRANGEBYSCORE, ZRANK"),
    reads(FIRST, "ZREVRANGE, ZREVRANGEBYLEX, ZREVRANGEBYSCORE, ZREVRANK, ZSCORE"),
    reads(FIRST, "ZRANDMEMBER", "each store draws for itself"),
    reads(FIRST, "ZSCAN", _OWN_CURSOR),
    reads(FIRST, "GEODIST, GEOHASH, GEOPOS, GEORADIUS_RO, GEORADIUSBYMEMBER_RO, GEOSEARCH"),
    reads(COUNTED, "ZDIFF, ZINTER, ZINTERCARD, ZUNION"),
    repeatable(FIRST, "ZADD, GEOADD", idempotent_rule=rules.zadd_idempotent),
    repeatable(FIRST, "ZREM, ZREMRANGEBYLEX, ZREMRANGEBYSCORE"),
    counted_once(FIRST, "ZINCRBY, ZPOPMAX, ZPOPMIN, ZREMRANGEBYRANK"),
    counted_once(COUNTED, "ZMPOP"),
    repeatable(
        STORED_COUNTED,
        "ZDIFFSTORE, ZINTERSTORE, ZUNIONSTORE",
        writes=FIRST,
        idempotent_rule=rules.apart(STORED_COUNTED),
    ),
    repeatable(BOTH, "ZRANGESTORE", writes=FIRST, idempotent_rule=rules.apart(BOTH)),
    repeatable(
        BOTH,
        "GEOSEARCHSTORE",
        writes=FIRST,
        note="copied with STOREDIST: each generation of servers reckons distances its own way",
        policy_rule=rules.geosearch_policy,
        idempotent_rule=rules.apart(BOTH),
    ),
    *(
        repeatable(
            Keys(find=rules.radius_keys(start)),
            name,
            writes=Keys(find=rules.radius_destination(start)),
            note="a read without STORE or STOREDIST, copied with the latter",
            policy_rule=rules.radius_policy(start),
            idempotent_rule=rules.radius_idempotent(start),
        )
        for name, start in (("GEORADIUS", 5), ("GEORADIUSBYMEMBER", 4))
    ),
    rows(Policy.BLOCKING, ALL_BUT_LAST, "BZPOPMAX", idempotent=False, note="logged as ZPOPMAX"),
    rows(Policy.BLOCKING, ALL_BUT_LAST, "BZPOPMIN", idempotent=False, note="logged as ZPOPMIN"),
    rows(Policy.BLOCKING, COUNTED_SECOND, "BZMPOP", idempotent=False, note="logged as ZMPOP"),
)

STREAMS = section(
    "Streams",
    reads(FIRST, "XLEN, XPENDING, XRANGE, XREVRANGE"),
    reads(FIRST, "XINFO CONSUMERS, XINFO GROUPS, XINFO STREAM", "idle times are each store's own"),
    reads(_STREAMS, "XREAD", "with BLOCK it waits and still changes nothing"),
    rows(
        Policy.EFFECT,
        FIRST,
        "XADD",
        idempotent=False,
        note="logged with its id and an exact trim; "
        "refused with IDMP or IDMPAUTO: the producers' ids stay in one store",
        policy_rule=rules.xadd_policy,
    ),
    repeatable(
        FIRST, "XTRIM", note="with ~, or KEEPREF and its like, logged as what it left", policy_rule=rules.xtrim_policy
    ),
    rows(
        Policy.EFFECT,
        _STREAMS,
        "XREADGROUP",
        idempotent=False,
        note="logged as what it changed in the group; with BLOCK it waits first",
        policy_rule=rules.xreadgroup_policy,
    ),
    rows(Policy.EFFECT, FIRST, "XCLAIM, XAUTOCLAIM", idempotent=False, note="logged as what it changed in the group"),
    repeatable(FIRST, "XACK, XDEL, XACKDEL, XDELEX, XSETID, XGROUP DESTROY, XGROUP CREATECONSUMER"),
    counted_once(FIRST, "XNACK, XGROUP DELCONSUMER"),
    rows(Policy.EFFECT, FIRST, "XGROUP CREATE", idempotent=False, note=_IF_DONE),
    rows(Policy.EFFECT, FIRST, "XGROUP SETID", idempotent=True, note=_IF_DONE),
    refused("XCFGSET, XIDMPRECORD", "the producers' ids stay in one store", FIRST),
    one_store("XGROUP HELP, XINFO HELP", "the server's own help"),
)

ARRAYS = section(
    "Arrays",
    reads(FIRST, "ARCOUNT, ARGET, ARGETRANGE, ARGREP, ARINFO, ARLASTITEMS, ARLEN, ARMGET, ARNEXT, AROP, ARSCAN"),
    repeatable(FIRST, "ARDEL, ARDELRANGE, ARMSET, ARSEEK, ARSET"),
    counted_once(FIRST, "ARINSERT, ARRING"),
)

SCRIPTS = section(
    "Scripts and functions",
    reads(COUNTED_SECOND, "EVAL_RO, EVALSHA_RO, FCALL_RO"),
    rows(
        Policy.STATE,
        COUNTED_SECOND,
        "EVAL, EVALSHA",
        idempotent=False,
        note="its keys are copied as it left them, and others that it writes; EVALSHA knows what this process has seen",
    ),
    rows(
        Policy.STATE,
        COUNTED_SECOND,
        "FCALL",
        idempotent=False,
        note="its keys are copied as it left them, and others that it writes; load its library through hybrid",
    ),
    repeatable(NONE, "SCRIPT LOAD, SCRIPT FLUSH, FUNCTION FLUSH"),
    counted_once(NONE, "FUNCTION DELETE"),
    counted_once(NONE, "FUNCTION LOAD", idempotent_rule=rules.mentions(0, "REPLACE")),
    counted_once(
        NONE,
        "FUNCTION RESTORE",
        note="the other store may not read this payload's version",
        idempotent_rule=rules.mentions(1, "REPLACE", "FLUSH"),
    ),
    one_store("SCRIPT EXISTS, SCRIPT SHOW, FUNCTION DUMP, FUNCTION LIST, FUNCTION STATS", "describes one store"),
    one_store("SCRIPT KILL, FUNCTION KILL", "stops what runs there"),
    one_store("SCRIPT HELP, FUNCTION HELP", "the server's own help"),
    refused("SCRIPT DEBUG", "it would stop the store that others write to"),
)

PUBSUB = section(
    "Publish and subscribe",
    one_store("PUBLISH, SPUBLISH", "subscribers listen on the authority; a message is not data", idempotent=False),
    one_store("PUBSUB CHANNELS, PUBSUB NUMPAT, PUBSUB NUMSUB", "describes one store"),
    one_store("PUBSUB SHARDCHANNELS, PUBSUB SHARDNUMSUB", "describes one store"),
    one_store("PUBSUB HELP", "the server's own help"),
    refused(
        "SUBSCRIBE, PSUBSCRIBE, SSUBSCRIBE, UNSUBSCRIBE, PUNSUBSCRIBE, SUNSUBSCRIBE",
        "it changes what its connection is; use pubsub()",
    ),
)

TRANSACTIONS = section(
    "Transactions and connection",
    refused("WATCH", "it needs a connection of its own; use pipeline()", ALL),
    refused("MULTI, EXEC, DISCARD, UNWATCH", "it needs a connection of its own; use pipeline()"),
    refused("AUTH, HELLO", "credentials and protocol belong to the connection settings"),
    refused("QUIT, RESET", "hybrid owns its connections; use close()"),
    refused("MONITOR", "it changes what its connection is; use monitor()"),
    refused(
        "CLIENT CACHING, CLIENT CAPA, CLIENT IMPORT-SOURCE, CLIENT REPLY, CLIENT TRACKING",
        "it changes what the pooled connection of one store answers",
    ),
    refused("CLIENT PAUSE, CLIENT UNPAUSE", "it would stop one store's writers, hybrid's own among them"),
    one_store("PING, ECHO", "answers for one store; see the status for both"),
    one_store(
        "CLIENT GETNAME, CLIENT GETREDIR, CLIENT ID, CLIENT INFO, CLIENT LIST, CLIENT TRACKINGINFO, CLIENT SETINFO, "
        "CLIENT SETNAME, CLIENT NO-EVICT, CLIENT NO-TOUCH, CLIENT KILL, CLIENT UNBLOCK",
        "is about the connections of one store",
    ),
    one_store("CLIENT HELP", "the server's own help"),
)

CORE = (
    *STRINGS,
    *GENERIC,
    *HASHES,
    *LISTS,
    *SETS,
    *SORTED_SETS,
    *STREAMS,
    *BITMAPS,
    *ARRAYS,
    *SCRIPTS,
    *PUBSUB,
    *TRANSACTIONS,
)
