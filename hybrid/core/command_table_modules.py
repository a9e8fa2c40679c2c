"""The commands of the JSON, search, probabilistic, time series and vector modules."""

from __future__ import annotations

from hybrid.core import command_rules as rules
from hybrid.core.command_rows import (
    ALL_BUT_LAST,
    BOTH,
    COUNTED,
    FIRST,
    NONE,
    STORED_COUNTED,
    TRIPLETS,
    counted_once,
    one_store,
    reads,
    refused,
    repeatable,
    rows,
    section,
)
from hybrid.core.command_types import Policy

__all__ = ["MODULES"]

_CLOCK = "copied when the server's clock gives the time stamp: send it to have the command logged"
_DRAWS = "the server draws at random which counters decay"
_COMPRESSES = "reads compress a digest too, so two stores compress at different moments"
_REMOVED = "servers dropped it in search 2.0; write the hash"

JSON = section(
    "JSON",
    reads(FIRST, "JSON.ARRINDEX, JSON.ARRLEN, JSON.GET, JSON.OBJKEYS, JSON.OBJLEN, JSON.RESP, JSON.STRLEN, JSON.TYPE"),
    reads(FIRST, "JSON.DEBUG MEMORY", "each store has its own answer"),
    reads(ALL_BUT_LAST, "JSON.MGET"),
    repeatable(FIRST, "JSON.SET", idempotent_rule=rules.lacks(3, "NX")),
    repeatable(FIRST, "JSON.CLEAR, JSON.MERGE"),
    repeatable(TRIPLETS, "JSON.MSET"),
    counted_once(FIRST, "JSON.ARRAPPEND, JSON.ARRINSERT, JSON.ARRPOP, JSON.ARRTRIM, JSON.STRAPPEND, JSON.TOGGLE"),
    counted_once(FIRST, "JSON.DEL, JSON.FORGET", note="a path to an array's element names another one the second time"),
    counted_once(FIRST, "JSON.NUMINCRBY, JSON.NUMMULTBY", note="numbers are IEEE doubles everywhere"),
    rows(Policy.STATE, FIRST, "JSON.NUMPOWBY", idempotent=False, note="each machine rounds powers its own way"),
    one_store("JSON.DEBUG HELP", "the server's own help"),
)

SEARCH = section(
    "Search",
    reads(
        NONE,
        "FT.SEARCH, FT.EXPLAIN, FT.EXPLAINCLI, FT.GET, FT.INFO, FT.MGET, FT.PROFILE, FT.SPELLCHECK, FT.SYNDUMP",
    ),
    reads(NONE, "FT.TAGVALS"),
    reads(NONE, "FT.ALIASLIST, FT.DICTDUMP, FT._LIST"),
    reads(NONE, "FT.AGGREGATE, FT.HYBRID", "one store with WITHCURSOR", policy_rule=rules.cursor_policy),
    reads(FIRST, "FT.SUGGET, FT.SUGLEN"),
    one_store("FT.CURSOR READ, FT.CURSOR DEL, FT.CURSOR GC", "a cursor is valid on the store that gave it only"),
    one_store("FT.CONFIG GET, FT.CONFIG HELP", "describes one store"),
    counted_once(
        NONE,
        "FT.CREATE",
        note="each store indexes its own keys; refused with TEMPORARY: each store would delete keys when it likes",
        policy_rule=rules.index_policy,
    ),
    counted_once(NONE, "FT.ALTER, FT.ALIASADD, FT.ALIASDEL", note="each store indexes its own keys"),
    counted_once(
        NONE,
        "FT.DROPINDEX",
        note="refused with DD: it deletes keys that are not named",
        policy_rule=rules.dropindex_policy,
    ),
    repeatable(NONE, "FT.ALIASUPDATE, FT.DICTADD, FT.DICTDEL, FT.SYNUPDATE"),
    repeatable(FIRST, "FT.SUGADD", idempotent_rule=rules.lacks(3, "INCR")),
    repeatable(FIRST, "FT.SUGDEL"),
    refused("FT.CONFIG SET", "it changes one store's set-up; connect to that store directly"),
    refused("FT.DEBUG", "it looks into one store's index, or changes it; connect to that store directly"),
    refused("FT.ADD, FT.ADDHASH, FT.DEL, FT.SAFEADD", _REMOVED),
    refused("FT.SYNADD", "servers dropped it in search 2.0; use FT.SYNUPDATE"),
    refused(
        "FT._CREATEIFNX, FT._ALTERIFNX, FT._ALIASADDIFNX, FT._ALIASDELIFX, FT._DROPIFX, FT._DROPINDEXIFX",
        "a cluster's shards send it to each other; use the name without _ and IF",
    ),
    refused("FT.DROP", "it deletes keys that are not named; use FT.DROPINDEX"),
)

PROBABILISTIC = section(
    "Probabilistic",
    reads(FIRST, "BF.CARD, BF.EXISTS, BF.INFO, BF.MEXISTS, BF.SCANDUMP"),
    reads(FIRST, "CF.COUNT, CF.EXISTS, CF.INFO, CF.MEXISTS, CF.SCANDUMP, CMS.INFO, CMS.QUERY"),
    reads(FIRST, "BF.DEBUG, CF.DEBUG", "each store has its own answer"),
    reads(FIRST, "TOPK.COUNT, TOPK.INFO, TOPK.LIST, TOPK.QUERY"),
    reads(FIRST, "TDIGEST.BYRANK, TDIGEST.BYREVRANK, TDIGEST.CDF, TDIGEST.INFO, TDIGEST.MAX, TDIGEST.MIN"),
    reads(FIRST, "TDIGEST.QUANTILE, TDIGEST.RANK, TDIGEST.REVRANK, TDIGEST.TRIMMED_MEAN"),
    repeatable(FIRST, "BF.ADD, BF.INSERT, BF.MADD"),
    counted_once(FIRST, "BF.RESERVE, BF.LOADCHUNK"),
    counted_once(FIRST, "CF.RESERVE, CF.ADD, CF.ADDNX, CF.COMPACT, CF.DEL, CF.INSERT, CF.INSERTNX, CF.LOADCHUNK"),
    counted_once(FIRST, "CMS.INITBYDIM, CMS.INITBYPROB, CMS.INCRBY, TOPK.RESERVE, TDIGEST.CREATE"),
    repeatable(STORED_COUNTED, "CMS.MERGE", writes=FIRST, idempotent_rule=rules.apart(STORED_COUNTED)),
    repeatable(FIRST, "TDIGEST.RESET"),
    rows(Policy.STATE, FIRST, "TOPK.ADD, TOPK.INCRBY", idempotent=False, note=_DRAWS),
    rows(Policy.STATE, FIRST, "TDIGEST.ADD", idempotent=False, note=_COMPRESSES),
    rows(Policy.STATE, STORED_COUNTED, "TDIGEST.MERGE", idempotent=False, writes=FIRST, note=_COMPRESSES),
)

TIME_SERIES = section(
    "Time series",
    reads(FIRST, "TS.GET, TS.INFO, TS.RANGE, TS.REVRANGE"),
    reads(FIRST, "TS.READ", "with BLOCK it waits and still changes nothing"),
    reads(COUNTED, "TS.NRANGE, TS.NREVRANGE"),
    reads(NONE, "TS.MGET, TS.MRANGE, TS.MREVRANGE, TS.QUERYINDEX, TS.QUERYLABELS"),
    counted_once(FIRST, "TS.CREATE"),
    repeatable(FIRST, "TS.ALTER, TS.DEL"),
    counted_once(FIRST, "TS.ADD", note=_CLOCK, policy_rule=rules.stamped_policy(slice(1, 2))),
    counted_once(TRIPLETS, "TS.MADD", note=_CLOCK, policy_rule=rules.stamped_policy(slice(1, None, 3))),
    counted_once(FIRST, "TS.INCRBY, TS.DECRBY", note=_CLOCK, policy_rule=rules.counted_series_policy),
    counted_once(BOTH, "TS.DELETERULE"),
    refused("TS.CREATERULE", "every later TS.ADD would write a second key that it does not name", BOTH),
    refused(
        "TIMESERIES.CLUSTERSET, TIMESERIES.CLUSTERSETFROMSHARD, TIMESERIES.FORCESHARDSCONNECTION, TIMESERIES.HELLO, "
        "TIMESERIES.INFOCLUSTER, TIMESERIES.INNERCOMMUNICATION, TIMESERIES.NETWORKTEST, TIMESERIES.REFRESHCLUSTER",
        "a cluster's shards send it to each other",
    ),
)

VECTOR_SETS = section(
    "Vector sets",
    reads(FIRST, "VCARD, VDIM, VEMB, VGETATTR, VINFO, VISMEMBER, VRANGE"),
    reads(FIRST, "VLINKS, VSIM", "each store has its own graph: near neighbours may differ a little"),
    reads(FIRST, "VRANDMEMBER", "each store draws for itself"),
    repeatable(
        FIRST, "VADD", note="copied with REDUCE: the projection is drawn at random", policy_rule=rules.vadd_policy
    ),
    repeatable(FIRST, "VREM, VSETATTR"),
)

MODULES = (*JSON, *SEARCH, *PROBABILISTIC, *TIME_SERIES, *VECTOR_SETS)
