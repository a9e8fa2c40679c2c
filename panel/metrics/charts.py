"""Rows of measurements as charts: lines, bars and marks, without a word about how they are drawn. Pure.

What nobody reported is a gap, never a zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from panel.charts import STORE_COLORS
from panel.i18n import N_, _
from panel.metrics import queries
from panel.metrics.queries import ALL, EventRow, Measured
from panel.queries import Store
from panel.said import said

__all__ = [
    "HEIGHT", "LEGEND_LINE_PX", "UNCROWDED", "Chart", "Line", "Mark", "Unit", "error_chart", "gauge_chart",
    "lag_chart", "latency_chart", "marks", "throughput_chart",
]  # fmt: skip

Point = tuple[float, float | None]
QUANTILES = (("p99", "solid"), ("p95", "dash"), ("p50", "dot"))
PROBED = (("p99", "longdash"), ("p50", "dashdot"))
LEAST_MS = 0.001  # a log axis has no zero
NEUTRAL = "#7d8aa3"
KIND_COLORS = ("#d9480f", "#b91c5c", "#a16207", "#7c2d12", "#9f1239", "#57534e")
MARKED: Mapping[str, str] = {
    "AuthorityMoved": N_("Failover"),
    "StoreDown": N_("Store down"),
    "Recovered": N_("Recovered"),
    "Degraded": N_("No store answers"),
    "WipeDetected": N_("Lost its data"),
    "SettingsChanged": N_("Configuration"),
    "DualWriteResumed": N_("Dual write"),
    "ConflictsArchived": N_("Conflicts"),
}
MOST_MARKS = 60
HEIGHT = 270
LEGEND_LINE_PX = 19
UNCROWDED = 2  # lines whose names take one line of a legend on a phone


class Unit(StrEnum):
    """What an axis counts."""

    MS = "ms"
    PER_S = "per s"
    COUNT = "count"
    BYTES = "bytes"
    SECONDS = "s"


@dataclass(frozen=True, slots=True)
class Line:
    """One series: Unix times and values, None for a gap. `style` is as Plotly names it."""

    name: str
    color: str
    points: tuple[Point, ...]
    style: str = "solid"
    shown: bool = True


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened, at the same place on every chart. `level` is info, warning or error."""

    at_s: float
    title: str
    text: str
    level: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Everything that is drawn in one frame, from `since_s` to `until_s`. `slot_s` is the width of a bar."""

    lines: tuple[Line, ...]
    unit: Unit
    since_s: float
    until_s: float
    slot_s: int
    marks: tuple[Mark, ...] = ()
    log: bool = False
    bars: bool = False

    @property
    def height(self) -> int:
        """In pixels: what the lines' names take from a narrow screen is added, so that the lines keep their room."""
        return HEIGHT + LEGEND_LINE_PX * max(len(self.lines) - UNCROWDED, 0)

    @property
    def highest(self) -> float:
        """The highest value, of bars the highest pile of them; 0.0 where nothing is known."""
        tops: dict[float, float] = {}
        for line in self.lines:
            for at_s, value in line.points:
                known, below = value or 0.0, tops.get(at_s, 0.0)
                tops[at_s] = below + known if self.bars else max(below, known)
        return max(tops.values(), default=0.0)

    @property
    def is_empty(self) -> bool:
        return not any(value is not None for line in self.lines for _at, value in line.points)


def marks(rows: Sequence[EventRow]) -> tuple[Mark, ...]:
    """Failovers, outages and changes of the configuration; the latest, if there are very many."""
    return tuple(
        Mark(row["at_s"], _(MARKED[row["event"]]), said(row["message"]), row["level"])
        for row in rows
        if row["event"] in MARKED
    )[-MOST_MARKS:]


def latency_chart(found: Measured, group: str = ALL, marked: tuple[Mark, ...] = ()) -> Chart:
    """p50, p95 and p99 of both stores on a log axis."""
    rows = queries.latency(found, group)
    lines = []
    for store in Store:
        for name, style in QUANTILES:
            known = {row["at_s"]: row[f"{name}_ms"] for row in rows if row["store"] == store.value}  # type: ignore[literal-required]
            points = _with_gaps({at_s: max(ms, LEAST_MS) for at_s, ms in known.items() if ms is not None}, found.slot_s)
            if points:
                lines.append(Line(f"{_(store.title())} {name}", STORE_COLORS[store], points, style, name != "p95"))
        asked = sum(row["store"] == store.value for row in rows)
        if asked < len(found.slots) / 2:
            lines += _probes(found, store)
    return _chart(found, lines, Unit.MS, marked, log=True)


def _probes(found: Measured, store: Store) -> list[Line]:
    """How a store that applications do not ask answers the agent: the cloud, say, while local serves all reads."""
    title = _("{store} probe {name}")
    named = (
        (title.format(store=_(store.title()), name=name), f"{name}_ms.{store.value}", style) for name, style in PROBED
    )
    lines = [replace(_gauge(found, gauge, title, STORE_COLORS[store]), style=style) for title, gauge, style in named]
    return [line for line in lines if line.points]


def throughput_chart(found: Measured, group: str = ALL, marked: tuple[Mark, ...] = ()) -> Chart:
    """Exchanges per second with each store."""
    rows = queries.throughput(found, group)
    lines = []
    for store in Store:
        known = {row["at_s"]: row["per_s"] for row in rows if row["store"] == store.value}
        if known:
            filled = {at_s: known.get(at_s, 0.0) for at_s in found.slots}
            lines.append(Line(_(store.title()), STORE_COLORS[store], _with_gaps(filled, found.slot_s)))
    return _chart(found, lines, Unit.PER_S, marked)


def error_chart(found: Measured, marked: tuple[Mark, ...] = ()) -> Chart:
    """Errors by where they occurred and of what kind."""
    counts: dict[tuple[str, str], dict[int, float]] = {}
    for row in queries.errors(found):
        slots = counts.setdefault((row["where"], row["kind"]), {})
        slots[row["at_s"]] = slots.get(row["at_s"], 0) + row["count"]
    lines = [
        Line(f"{_('application' if where == 'client' else where)}: {kind}", color, tuple(sorted(slots.items())))
        for ((where, kind), slots), color in zip(sorted(counts.items()), _colors(), strict=False)
    ]
    return _chart(found, lines, Unit.COUNT, marked, bars=True)


def _colors() -> Iterable[str]:
    while True:
        yield from KIND_COLORS


def lag_chart(found: Measured, marked: tuple[Mark, ...] = ()) -> Chart:
    """Entries of the replication log that the other store has not got yet."""
    return _chart(found, [_gauge(found, "lag_entries", _("Entries waiting"), NEUTRAL)], Unit.COUNT, marked)


def gauge_chart(found: Measured, name: str, unit: Unit, marked: tuple[Mark, ...] = ()) -> Chart:
    """Keys, memory or clients of both stores, as `name` says."""
    lines = [_gauge(found, f"{name}.{store.value}", _(store.title()), STORE_COLORS[store]) for store in Store]
    return _chart(found, [line for line in lines if line.points], unit, marked)


def _gauge(found: Measured, name: str, title: str, color: str) -> Line:
    known = {row["at_s"]: row["value"] for row in queries.gauges(found, name)}
    return Line(title, color, _with_gaps(known, found.slot_s))


def _with_gaps(known: Mapping[int, float], slot_s: int) -> tuple[Point, ...]:
    """The points in order; where more than one slot is missing the line breaks."""
    points: list[Point] = []
    for at_s, value in sorted(known.items()):
        if points and at_s - points[-1][0] > 2 * slot_s:
            points.append((points[-1][0] + slot_s, None))
        points.append((at_s, value))
    return tuple(points)


def _chart(
    found: Measured,
    lines: Sequence[Line],
    unit: Unit,
    marked: tuple[Mark, ...],
    *,
    log: bool = False,
    bars: bool = False,
) -> Chart:
    return Chart(tuple(lines), unit, found.shown_since_s, found.until_s, found.slot_s, marked, log, bars)
