"""The commands that administer one server: nothing of theirs is data, so they stay on one store or are refused."""

from __future__ import annotations

from hybrid.core.command_rows import FIRST, one_store, reads, refused, section

__all__ = ["ADMIN"]

_DIRECTLY = "it changes one store's set-up; connect to that store directly"
_TOPOLOGY = "hybrid owns which store replicates what"
_CLUSTER = "it changes a cluster's topology; connect to that cluster directly"

SERVER = section(
    "Server",
    reads(FIRST, "MEMORY USAGE", "each store has its own answer"),
    one_store("INFO, TIME, ROLE, LASTSAVE, LOLWUT", "describes one store"),
    one_store("SAVE, BGSAVE, BGREWRITEAOF", "writes one store's disk, no data"),
    one_store(
        "COMMAND, COMMAND COUNT, COMMAND DOCS, COMMAND GETKEYS, COMMAND GETKEYSANDFLAGS, COMMAND INFO, COMMAND LIST",
        "describes one store",
    ),
    one_store("CONFIG GET, MODULE LIST", "describes one store"),
    one_store("MEMORY DOCTOR, MEMORY MALLOC-STATS, MEMORY STATS, MEMORY PURGE", "is about one store's memory"),
    one_store("SLOWLOG GET, SLOWLOG LEN, SLOWLOG RESET", "is about one store's slow log"),
    one_store("COMMANDLOG GET, COMMANDLOG LEN, COMMANDLOG RESET", "is about one store's command log"),
    one_store(
        "LATENCY DOCTOR, LATENCY GRAPH, LATENCY HISTOGRAM, LATENCY HISTORY, LATENCY LATEST, LATENCY RESET",
        "is about one store's latency",
    ),
    one_store("HOTKEYS START, HOTKEYS STOP, HOTKEYS GET, HOTKEYS RESET", "samples one store"),
    one_store("CONFIG RESETSTAT", "resets one store's counters, no data"),
    one_store("DEBUG OBJECT", "describes one store", FIRST),
    one_store(
        "COMMAND HELP, COMMANDLOG HELP, CONFIG HELP, HOTKEYS HELP, LATENCY HELP, MEMORY HELP, MODULE HELP, "
        "SLOWLOG HELP",
        "the server's own help",
    ),
    refused("CONFIG SET, CONFIG REWRITE", _DIRECTLY),
    refused("MODULE LOAD, MODULE LOADEX, MODULE UNLOAD", _DIRECTLY),
    refused("DEBUG", "it can change or stop one store behind the other's back"),
    refused("SHUTDOWN", "it would stop one store; stop its server instead"),
    refused("BACKUP", "it changes one store's files; connect to that store directly"),
    refused("REPLICAOF, SLAVEOF, FAILOVER, PSYNC, SYNC, REPLCONF", _TOPOLOGY),
    refused("WAIT, WAITAOF", "it waits for one server's replicas or disk; ack=both waits for both stores"),
    refused("SENTINEL", "a sentinel is no store; connect to it directly"),
)

ACL = section(
    "Access control",
    one_store(
        "ACL CAT, ACL DRYRUN, ACL GENPASS, ACL GETUSER, ACL LIST, ACL LOG, ACL USERS, ACL WHOAMI",
        "describes one store",
    ),
    one_store("ACL HELP", "the server's own help"),
    refused("ACL DELUSER, ACL LOAD, ACL SAVE, ACL SETUSER", _DIRECTLY),
)

CLUSTER = section(
    "Cluster",
    one_store(
        "CLUSTER COUNT-FAILURE-REPORTS, CLUSTER COUNTKEYSINSLOT, CLUSTER GETKEYSINSLOT, CLUSTER GETSLOTMIGRATIONS, "
        "CLUSTER INFO, CLUSTER KEYSLOT, CLUSTER LINKS, CLUSTER MYID, CLUSTER MYSHARDID, CLUSTER NODES, "
        "CLUSTER REPLICAS, CLUSTER SHARDS, CLUSTER SLAVES, CLUSTER SLOT-STATS, CLUSTER SLOTS, CLUSTERSCAN",
        "describes one store",
    ),
    one_store("CLUSTER HELP", "the server's own help"),
    refused(
        "CLUSTER ADDSLOTS, CLUSTER ADDSLOTSRANGE, CLUSTER BUMPEPOCH, CLUSTER CANCELSLOTMIGRATIONS, CLUSTER DELSLOTS, "
        "CLUSTER DELSLOTSRANGE, CLUSTER FAILOVER, CLUSTER FLUSHSLOT, CLUSTER FLUSHSLOTS, CLUSTER FORGET, CLUSTER MEET, "
        "CLUSTER MIGRATESLOTS, CLUSTER MIGRATION, CLUSTER REPLICATE, CLUSTER RESET, CLUSTER SAVECONFIG, "
        "CLUSTER SET-CONFIG-EPOCH, CLUSTER SETSLOT, CLUSTER SYNCSLOTS",
        _CLUSTER,
    ),
    refused("ASKING, READONLY, READWRITE", "it changes what the pooled connection of one store answers"),
)

ADMIN = (*SERVER, *ACL, *CLUSTER)
