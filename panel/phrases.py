"""What the library and background jobs say, marked for translation; `panel.said` recognises it. A test tells when the
library says something new."""

from __future__ import annotations

from typing import Final

from panel.i18n import N_

__all__ = ["EXACT", "TEMPLATES"]

EVENTS: Final = (
    N_("hybrid started: local {local}, cloud {cloud}, sync {sync}"),
    N_("hybrid stopped: entries still to ship: {entries}"),
    N_("{store} store unavailable: {reason}; the {other} store carries on"),
    N_("{store} store up"),
    N_("{store} store recovered after {seconds} s"),
    N_("{store} store catching up: {n} keys to copy"),
    N_("{store} store in sync"),
    N_("failover: the {store} store has the authority now (epoch {n})"),
    N_("failback: the {store} store has the authority now (epoch {n})"),
    N_("degraded: no store can serve; the application runs on its own data source"),
    N_("{store} store lost its data (identity missing or changed): it serves nothing until it is refilled"),
    N_("{n} keys were written on both stores while apart: newest kept, the other value archived"),
    N_("this process ships the {store} store's log"),
    N_("this process's shipper is stuck for {seconds} s; another process takes over, if there is one"),
    N_("{store} store cannot hold the key {key}: {reason}"),
    N_("{store} store does not know {command}: it was run on the other store only"),
    N_("{store} store refuses what is shipped to it ({reason}): {advice}"),
    N_("{store} store's log folded: {n} entries are now the keys they name"),
    N_("settings changed: {changes} (version {n}, by {author})"),
    N_("settings changed: {changes} (version {n})"),
    N_("dual write is on again after {seconds} s: the cloud store is made equal to the local one first"),
)
FINDINGS: Final = (
    N_("no store answers"),
    N_("a store serves"),
    N_("no cloud store is configured"),
    N_("{store} store ({address}) does not answer: {reason}"),
    N_("the {store} store ({address}) is back and in sync"),
    N_("{store} store ({address}) lost its data: its identity is missing or changed"),
    N_("the {store} store has its data again"),
    N_("the {store} store is {time} behind, {n} entries wait"),
    N_("the {store} store is {time} behind, entries wait"),
    N_("nothing waits for the other store"),
    N_("no values that lost a conflict are in the archive"),
    N_("{n} values that lost a conflict are in the archive"),
    N_("no keys wait besides the log of the other store"),
    N_("{n} keys wait besides the log of the other store"),
    N_("no process ships the log"),
    N_("{process} ships it"),
    N_("the {store} store uses {share} of its memory limit"),
    N_("{n} keys differ, the oldest for {time}"),
    N_("both stores agree as far as they were compared"),
    N_("no budget is set"),
    N_("{spent} of {budget} USD spent in {month}, {projected} projected"),
    N_("{n} commands were refused in the last minute and {keys} keys cannot be held by the {store} store"),
    N_("{n} commands were refused in the last minute"),
    N_("{keys} keys cannot be held by the {store} store"),
    N_("commands are taken again"),
    N_("the {store} store's certificate ends in {days} days"),
)
WORDS: Final = (
    N_("local"), N_("cloud"), N_("up"), N_("down"), N_("catching up"), N_("wiped"), N_("unknown"), N_("on"), N_("off"),
    N_("not configured"), N_("no reason known"),
)  # fmt: skip
REASONS: Final = (
    N_("it answers"),
    N_("connection refused"),
    N_("no answer in time"),
    N_("no answer in time while sending"),
    N_("connection lost"),
    N_("it has everything"),
    N_("entries are waiting for it"),
    N_("its data is gone"),
    N_("it has its mark again"),
    N_("its mark is gone"),
    N_("no word of it yet"),
    N_("TLS handshake failed"),
    N_("its certificate is for another name"),
    N_("its certificate has expired"),
    N_("its certificate is not from an authority that is trusted here"),
    N_("it wants a certificate from its clients"),
    N_("a file that its URL names is not there"),
    N_("its user may not touch hybrid's own keys (hybrid:*)"),
    N_("host name not found"),
    N_("wrong user name or password"),
    N_("password required"),
    N_("still loading its data"),
    N_("it is a read-only replica"),
    N_("its user lacks a permission"),
    N_("it is busy with itself, and will answer later"),
    N_("it is full, or its quota is used up: free space or raise the limit"),
    N_("its configuration or this user's permissions forbid it: change them"),
    N_("it cannot hold this key as it is"),
    N_(
        "it holds data and was never paired with the other store, which holds data too: nothing is overwritten; run "
        "`python -m hybrid pair` to compare them and to say whose data counts, or give another URL"
    ),
    N_(
        "the two stores are halves of different pairs: nothing is overwritten; give URLs of stores that belong "
        "together, or run `python -m hybrid pair` to say whose data counts"
    ),
)
DETAILS: Final = (
    N_("not compared yet"),
    N_("the {store} store cannot be asked now"),
    N_("a write of it waits for the other store"),
    N_("it is gone by now"),
    N_("{n} and {other} long"),
    N_("too big to be compared in a list; both are {n} long"),
    N_("consumer groups differ"),
    N_("written on both stores while they were apart; the newer value was kept"),
    N_(
        "written on both stores while they were apart; the later value may have been sent before, so it does not count "
        "as newer"
    ),
    N_("replaced when {author} restored {id}"),
    N_("expires only in the cloud"),
    N_("expires only on local"),
    N_("expires {seconds} s later on {store}"),
    N_("{kind} of {n} and {other} bytes"),
    N_("{kind}, {n} bytes"),
    N_("fields: {values}"),
    N_("field ttl: {values}"),
    N_("value: {values}"),
    N_("stream entries: {values}"),
    N_("stream last id: {values}"),
    N_("stream counters: {values}"),
    N_("stream group: {values}"),
    N_("stream consumer: {values}"),
    N_("stream pending: {values}"),
)
ADVICE: Final = (
    N_("Bring back either store; applications run on their own data source meanwhile."),
    N_("Bring the store back; the other one carries on, and it catches up by itself."),
    N_("It serves nothing until the other store has filled it again. If nobody emptied it, check its persistence."),
    N_("Start an agent, or an application that uses both stores: what was written waits in the log."),
    N_("Look at the kind of error: memory limit, read-only mode or missing permissions of the user."),
    N_("Look at the link to the other store, and at how much is written."),
    N_("Compare them on the Diff page or with `python -m hybrid diff`, and choose which value counts."),
    N_("Look at both values, keep or restore: `python -m hybrid conflicts list`."),
    N_("The outage is so long that only the keys written are remembered. Bring the store back."),
    N_("Raise the store's memory limit or delete keys: a full store refuses writes."),
    N_("At this rate the month ends above the share of the budget; see what is sent on the Metrics page."),
    N_("This month's budget is spent. Raise HYBRID_CLOUD_BUDGET or send less."),
    N_("Renew the store's TLS certificate: when it has ended, no connection is made."),
)
ERRORS: Final = (
    N_("the {store} store is down"),
    N_("the {store} store does not answer"),
    N_("no {store} store is configured"),
    N_("the {store} store did not answer: {error}"),
    N_("the {store} store was lost: {error}"),
    N_("the {store} store refuses: {error}"),
    N_("the {store} store refuses to be read: {error}"),
    N_("the {store} store takes no writes now: try again in a moment"),
    N_("a sync needs both stores: the {store} store is {state}"),
    N_("no store takes writes now"),
    N_("no store takes the change now"),
    N_("no store can be asked for the audit trail now"),
    N_("no store can be asked for the alerts now"),
    N_("the history of drills is unknown: no store can be asked"),
    N_("The user that hybrid signs in with may not run {command} on this store."),
    N_("This store does not offer {command}."),
    N_("This store does not count how often a key is used (OBJECT FREQ, with an LFU eviction policy)."),
    N_("This store keeps no statistics of commands (INFO commandstats)."),
    N_("The measurements are kept in the local store, and that one does not answer."),
    N_("connection closed"),
    N_("connection closed by the store"),
    N_("the panel's client is not running"),
    N_("nothing was changed: the key is another one by now; look again"),
    N_("nothing was changed: there is a key of this name already"),
    N_(
        "nothing was changed: the {store} store cannot let single fields of a hash expire (Redis 7.4, Valkey 9 and "
        "newer can)"
    ),
    N_("nothing was changed: the {store} store keeps no JSON documents"),
    N_("nothing was changed: the key was written at the same moment; look again"),
    N_("nothing was changed: the key is being written just now; look again"),
    N_("nothing was changed: writes to this key are on their way; try again in a moment"),
    N_("nothing was changed: the {store} store's value is another one by now; look again"),
    N_("nothing was changed: the server refuses: {error}"),
    N_("nothing was changed: the {store} store does not answer ({error})"),
    N_("nothing was undone: the key is being written just now; look again"),
)
JOBS: Final = (
    N_("starting"), N_("looking for keys"), N_("reading"), N_("checking"), N_("writing"), N_("copying"),
    N_("undoing"), N_("listening"), N_("planning"), N_("comparing"), N_("looking for keys only in the cloud"),
    N_("confirming"), N_("finished"), N_("cancelled"), N_("failed"), N_("budget used up"), N_("undo bundle full"),
    N_("about {n} looked at"), N_("{n} left alone"), N_("{n} differ"), N_("{n} suspected"), N_("not ended"),
    N_("about {n} cloud commands"), N_("{n} put back"), N_("{n} copied"), N_("{n} deleted"), N_("{n} kept"),
    N_("{n} undecided"), N_("{n} changed meanwhile and left alone"), N_("{n} being written and left alone"),
    N_("{n} equal by now"), N_("{n} cannot be copied"), N_("{n} written"), N_("{n} being written by others"),
    N_("{n} created"), N_("{n} overwritten"), N_("{n} skipped"), N_("{n} key compared"), N_("{n} keys compared"),
    N_("{n} not confirmed yet"), N_("{ending} after {n} keys: {different} differ, {suspected} not confirmed yet"),
    N_("{n} keys"), N_("{n} keys scanned"), N_("{n} measured"), N_("{n} commands"), N_("{n} lines"),
    N_("ended by {ending}"), N_("The {store} store refuses it: {error}"),
    N_("The {store} store was lost meanwhile ({error})."), N_("The answer is still awaited."),
    N_("It could not be read; the panel's log says why."),
)  # fmt: skip
TITLES: Final = (
    N_("Sync, {direction}"), N_("local to cloud"), N_("cloud to local"), N_("both ways"), N_("Undo of {id}"),
    N_("Copy a key, {direction}"), N_("Merge a key by field"), N_("Look for keys"), N_("Delete {count} keys"),
    N_("Set the expiry of {count} keys"), N_("Export keys"), N_("Preview of an import"), N_("Import keys"),
    N_("Broke off: {counts}. {error}"), N_("nothing written"),
    N_("Broke off after {counts}. {error} Import the file again, or take back what was written."),
    N_("Rename {count} keys"),
    N_("would be: {counts}"), N_("Cancelled after {n} keys; those are written."), N_("Cancelled: nothing was kept."),
    N_("Cancelled: nothing was written."),
    N_("More than 256 MB: narrow the filter, or use `python -m hybrid keys export`."),
    N_("Scan of the {store} store"), N_("MONITOR of the local store, for {time}"),
    N_("Channels {pattern} of the {store} store"), N_("Compare both stores"), N_("Make one pair of both stores"),
    N_("{n} drills"), N_("Compare {what}"), N_("everything"), N_("everything ({kind})"), N_("{n} listed key"),
    N_("{n} listed keys"), N_("{n} equal"), N_("{n} only local"), N_("{n} only cloud"), N_("one pair now"),
    N_("the rest follows by itself"),
)  # fmt: skip
DEEDS: Final = (
    N_("create a {kind}"), N_("delete the key"), N_("rename"), N_("keep the key for ever"), N_("set the expiry"),
    N_("change the value"), N_("change the document"), N_("set field {field}"), N_("delete field {field}"),
    N_("set the expiry of field {field}"), N_("change item {index}"), N_("add an item"), N_("delete item {index}"),
    N_("add a member"), N_("remove member {member}"), N_("score {member}"), N_("add an entry"),
    N_("delete entry {entry}"), N_("undo of {words}"), N_("undo {id}"), N_("set"), N_("override"), N_("override ended"),
    N_("superseded"), N_("equalized"), N_("test started"), N_("demo traffic started"), N_("demo traffic stopped"),
    N_("drills started: {names}"), N_("message posted to {channel}"), N_("keep conflict {id}"),
    N_("restore conflict {id}"), N_("discard all"), N_("discard {n} conflicts"), N_("local-to-cloud"),
    N_("cloud-to-local"), N_("merge"), N_("periodic"), N_("periodic sync"), N_("import"), N_("delete keys"),
    N_("rename keys"), N_("set expiry"),
)  # fmt: skip
"""What people and processes did, in the audit trail and in the history of syncs."""
CONSOLE: Final = (
    N_("type a command, such as: GET some:key"),
    N_("{command} is refused: {reason}"),
    N_("each line has a connection of its own here, so this would have no effect"),
    N_("it never stops answering; Insights shows it within limits"),
    N_("a viewer reads data; this takes an operator"),
    N_("hybrid does not know it, so it could not be replicated; ask one store directly"),
    N_("it cannot be replicated"),
    N_("it would wait; use its form that does not block"),
    N_("keys that begin with 'hybrid:' are hybrid's own"),
    N_("the other store would not learn of it; choose Replicated, and it reaches both"),
    N_(
        "the other store would not learn of it; choose Replicated, and it reaches both, or allow writes to this store "
        "only"
    ),
    N_("its answer would have {n} bytes; read a part of it: {instead}"),
    N_("its answer would have {n} elements; read a part of it: {instead}"),
    N_("{danger} This is {command} on both stores."),
    N_("{danger} This is {command} on the local store."),
    N_("{danger} This is {command} on the cloud store."),
    N_("{danger} This is {command} on each store, directly."),
    N_("It walks through every key in one go, and the server answers nobody else meanwhile. SCAN does not."),
    N_("It deletes every key."),
    N_("It deletes every key of the database."),
    N_("It ends the server."),
    N_("It can stop or break the server."),
    N_("It exchanges two databases under everybody's feet."),
    N_("It moves keys to another server."),
    N_("It ends connections of applications."),
    N_("It makes every application wait."),
    N_("The server answers nobody until its data is on its disk."),
    N_("It forgets every script."),
    N_("It ends the script that runs."),
    N_("It deletes every function."),
    N_("It deletes a library of functions."),
    N_("It ends the function that runs."),
    N_("It can replace functions."),
    N_("It moves the server's role to a replica."),
    N_("It makes the server a replica: its own data is lost."),
    N_("It changes how the server works."),
    N_("It changes who may do what on the server."),
    N_("It changes what the server can do."),
    N_("It changes the cluster."),
)
EXACT: Final = frozenset(
    text
    for text in (*WORDS, *REASONS, *ADVICE, *FINDINGS, *DETAILS, *EVENTS, *ERRORS, *JOBS, *TITLES, *DEEDS, *CONSOLE)
    if "{" not in text
)
TEMPLATES: Final = tuple(
    text for text in (*EVENTS, *FINDINGS, *DETAILS, *ERRORS, *JOBS, *TITLES, *DEEDS, *CONSOLE) if "{" in text
)
