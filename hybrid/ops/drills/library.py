"""The drills: what each does to which store, and which guarantees that puts to the test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

from hybrid.core.schedule import Rule
from hybrid.errors import ConfigurationError
from hybrid.ops.drills.rig import PORTS
from hybrid.settings import Settings
from hybrid.types import Store

__all__ = ["DRILLS", "Drill", "Fault", "Where", "named_drills", "require_known", "where_of"]


class Fault(StrEnum):
    """What is done to a store. SLOW: answers take twice its timeout. CUT: connections break, again and again, and open
    again at once. MOVE is no fault: an operator lets the cloud store take the writes, then the local one again."""

    SLOW = "slow"
    CUT = "cut"
    HUNG = "hung"
    REFUSING = "refusing"
    WIPED = "wiped"
    LOST_REPLY = "lost reply"
    MOVE = "moved"


class Where(StrEnum):
    """STORES: the stores in use, with the fault at the drill's own links. SERVERS: two throwaway servers on this
    machine, which are really killed, stopped and emptied."""

    STORES = "stores"
    SERVERS = "servers"


@dataclass(frozen=True, slots=True)
class Drill:
    """One scenario. `checks` are the guarantees that it puts to the test."""

    name: str
    title: str
    about: str
    fault: Fault
    stores: tuple[Store, ...]
    checks: tuple[str, ...]

    @property
    def survivor(self) -> Store | None:
        """Who serves meanwhile; None when nobody does, or nothing is lost."""
        is_lost = self.fault not in (Fault.MOVE, Fault.LOST_REPLY)
        return self.stores[0].other if len(self.stores) == 1 and is_lost else None

    @property
    def needs_servers(self) -> bool:
        """Whether it destroys data, so that it never runs on stores in use."""
        return self.fault is Fault.WIPED


LOCAL, CLOUD, BOTH = (Store.LOCAL,), (Store.CLOUD,), (Store.LOCAL, Store.CLOUD)
OUTAGE: Final = ("G1", "G2", "G3", "G4", "G5", "G6")

_LIBRARY = (
    Drill(
        "cloud-slow",
        "Cloud slow",
        "Answers of the cloud store take twice its timeout. The application must go on at the local store's speed.",
        Fault.SLOW,
        CLOUD,
        OUTAGE,
    ),
    Drill(
        "cloud-cut",
        "Cloud cut",
        "Every connection to the cloud store breaks, five times; a new one opens at once. Nobody should notice.",
        Fault.CUT,
        CLOUD,
        (*OUTAGE, "G7"),
    ),
    Drill(
        "cloud-hung",
        "Cloud hung",
        "The cloud store keeps its connections open and says nothing more, the outage that stalls most clients.",
        Fault.HUNG,
        CLOUD,
        OUTAGE,
    ),
    Drill(
        "cloud-refusing",
        "Cloud refusing",
        "The cloud store is gone: its connections are reset, new ones are refused.",
        Fault.REFUSING,
        CLOUD,
        OUTAGE,
    ),
    Drill(
        "local-cut",
        "Local cut",
        "The local store is gone: its connections are reset, new ones are refused. The cloud store takes over.",
        Fault.REFUSING,
        LOCAL,
        (*OUTAGE, "G7"),
    ),
    Drill(
        "local-hung",
        "Local hung",
        "The local store keeps its connections open and says nothing more. The cloud store takes over.",
        Fault.HUNG,
        LOCAL,
        (*OUTAGE, "G7"),
    ),
    Drill(
        "local-wiped",
        "Local wiped",
        "The local store is killed and comes back empty. It must be refilled, and its emptiness must not spread.",
        Fault.WIPED,
        LOCAL,
        OUTAGE,
    ),
    Drill(
        "cloud-wiped",
        "Cloud wiped",
        "The cloud store is killed and comes back empty. It must be refilled, and its emptiness must not spread.",
        Fault.WIPED,
        CLOUD,
        OUTAGE,
    ),
    Drill(
        "lost-reply",
        "Lost replies",
        "The local store carries out commands whose replies never arrive, five times. None may count twice.",
        Fault.LOST_REPLY,
        LOCAL,
        ("G1", "G3", "G4", "G5", "G6", "G7"),
    ),
    Drill(
        "both-down",
        "Both down",
        "No store answers. Commands must fail at once, the loader must serve, and all must be well afterwards.",
        Fault.HUNG,
        BOTH,
        ("G1", "G3", "G4", "G5", "G6", "G8"),
    ),
    Drill(
        "failover-failback",
        "Failover and failback",
        "An operator lets the cloud store take the writes, and then the local one again. Nothing fails meanwhile.",
        Fault.MOVE,
        LOCAL,
        ("G1", "G3", "G4", "G5", "G6"),
    ),
)
DRILLS: Final[Mapping[str, Drill]] = MappingProxyType({drill.name: drill for drill in _LIBRARY})
"""Every drill by name, in the order in which all are run."""


def where_of(drill: Drill, settings: Settings, wanted: Where | None = None) -> Where:
    """Where a drill runs: on the stores in use unless something else is wanted, it destroys data, or there are not two
    with a TCP address. Raises ConfigurationError when it cannot run where it is wanted."""
    obstacle = _obstacle(drill, settings)
    if wanted is Where.STORES and obstacle:
        raise ConfigurationError(f"{drill.name} does not run on the stores in use: {obstacle}")
    return wanted or (Where.SERVERS if obstacle else Where.STORES)


def _obstacle(drill: Drill, settings: Settings) -> str:
    """Why a drill cannot run on the stores in use; "" when it can."""
    if drill.needs_servers:
        return "it destroys data, and runs on servers of its own"
    if settings.local_url is None or not settings.replicated:
        return "it needs two stores, and writes to both"
    schemes = (urlsplit(url).scheme for url in (settings.local_url, settings.cloud_url) if url)
    odd = next((scheme for scheme in schemes if scheme not in PORTS), None)
    return f"no fault can be injected in front of a {odd}:// address" if odd else ""


def named_drills(names: tuple[str, ...]) -> tuple[Drill, ...]:
    """The drills of these names, all for none or `all`. Raises ConfigurationError for one that does not exist."""
    wanted = DRILLS if not names or "all" in names else names
    if unknown := [name for name in wanted if name not in DRILLS]:
        raise ConfigurationError(f"there is no drill {unknown[0]!r}; there are: all, {', '.join(DRILLS)}")
    return tuple(DRILLS[name] for name in wanted)


def require_known(rules: tuple[Rule, ...]) -> None:
    """Raises ConfigurationError when a schedule names a drill that does not exist."""
    for rule in rules:
        named_drills(rule.names)
