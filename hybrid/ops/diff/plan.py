"""Before a diff: what the stores can do and charge, and what comparing them will cost."""

from __future__ import annotations

from dataclasses import dataclass, replace
from zlib import crc32

import redis

from hybrid.core.cost import FREE, UPSTASH, Cost, Strategy, is_billed, is_sampled, usd_of
from hybrid.core.drift import Scope
from hybrid.core.estimate import diff_cost
from hybrid.core.spending import Price
from hybrid.ops.diff.line import Line
from hybrid.ops.diff.options import DiffOptions
from hybrid.ops.diff.readers import FactsReader, PlainReader, ScriptReader, can_run_scripts, has_digest
from hybrid.ops.diff.sample import census_of
from hybrid.stores.capabilities import capabilities_of

__all__ = ["DiffPlan", "plan_diff"]


@dataclass(frozen=True, slots=True)
class DiffPlan:
    """How a diff will be made, and its estimated cost. `keys_total` is about how many keys of the local store are to be
    looked at, and `cloud_total` of the cloud store."""

    strategy: Strategy
    price: Price
    estimated: Cost
    keys_total: int
    cloud_total: int
    local: FactsReader
    cloud: FactsReader
    strict_cloud: FactsReader  # reads what the first look leaves out


def plan_diff(local: Line, cloud: Line, scope: Scope, options: DiffOptions) -> DiffPlan:
    """Ask both stores what is needed to choose, about fifteen commands; raises as commands do."""
    price = options.price or price_of(cloud)
    counted = all(capabilities_of(line).has_stream_counters for line in (local, cloud))
    here: FactsReader
    here = ScriptReader(local, counted=counted) if can_run_scripts(local) else PlainReader(local, counted)
    plain = PlainReader(cloud, counted)
    strict: FactsReader = plain
    if is_billed(price):
        strategy = Strategy.BILLED
    elif isinstance(here, ScriptReader) and has_exact_times(local, cloud) and can_run_scripts(cloud):
        strategy, strict = Strategy.DIGEST, ScriptReader(cloud, counted=counted)
    else:
        strategy = Strategy.READ
    if strict is plain and has_digest(local) and has_digest(cloud):
        plain.twin = local
    there = strict
    if strategy is Strategy.BILLED and not options.all_ttls:
        there = replace(plain, wants_ttl=lambda key: is_sampled(crc32(key), options.rotation or 0))
    census = census_of(local, cloud, here, scope)
    estimated = diff_cost(
        census,
        strategy,
        price,
        all_ttls=options.all_ttls,
        listed=scope.keys is not None,
        digests=plain.twin is not None,
    )
    estimated = spent_on(local, cloud, price) + estimated
    cloud_total = census.cloud_keys if scope == Scope() else census.local_keys
    return DiffPlan(strategy, price, estimated, census.local_keys, cloud_total, here, there, strict)


def spent_on(local: Line, cloud: Line, price: Price) -> Cost:
    """What planning took: it is part of the estimate, as it is of what will be counted."""
    here, there = local.account, cloud.account
    usd = usd_of(price, there.commands, there.size_bytes)
    return Cost(here.commands, there.commands, here.size_bytes, there.size_bytes, usd=usd)


def price_of(line: Line) -> Price:
    """What the store charges, as far as it says who it is."""
    try:
        [info] = line.ask((b"INFO", b"server"))
    except redis.ResponseError:
        return FREE
    return UPSTASH if b"upstash" in info.lower() else FREE


def has_exact_times(*lines: Line) -> bool:
    """Whether digests of whole slices can be equal: an expiry only known as time left is never the same twice."""
    return all(capabilities_of(line).has_pexpiretime for line in lines)
