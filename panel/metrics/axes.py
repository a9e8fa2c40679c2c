"""Axes and colours that both ways of drawing share. Pure."""

from __future__ import annotations

from math import ceil, floor, log10
from typing import Any

from panel.format import date_pattern, day_pattern, local_time, number
from panel.metrics.charts import Unit

__all__ = [
    "DAY_MS", "LEVEL_COLORS", "MUTED", "PLAIN", "SUFFIXES", "byte_ticks", "log_ticks", "moment", "round_values",
    "time_formats", "value_ticks",
]  # fmt: skip

MINUTE_MS, DAY_MS = 60_000, 86_400_000
MUTED = "#7d8aa3"
LEVEL_COLORS = {"error": "#d12c38", "critical": "#d12c38", "warning": "#c2620a"}
PLAIN = ",~r"
"""How an axis of Plotly writes numbers: whole. Left to itself, or to SI, it makes 15k ms of 15 s."""
SUFFIXES = {Unit.MS: " ms", Unit.PER_S: "/s", Unit.COUNT: "", Unit.BYTES: "", Unit.SECONDS: " s"}
BYTE_STEPS = ((1024**3, "GB"), (1024**2, "MB"), (1024, "KB"), (1, "B"))


def moment(at_s: float, zone: str | None) -> str:
    """Local wall-clock time for Plotly, which knows no time zones."""
    return f"{local_time(at_s, zone):%Y-%m-%d %H:%M:%S}"


def time_formats() -> dict[str, Any]:
    """How a time axis of Plotly writes its ticks, the date below the first of each day, and what is pointed at. Left to
    itself it writes English."""
    date, day = date_pattern(), day_pattern()
    stops = [
        {"dtickrange": [None, MINUTE_MS - 1], "value": f"%H:%M:%S\n{date}"},
        {"dtickrange": [MINUTE_MS, DAY_MS - 1], "value": f"%H:%M\n{date}"},
        {"dtickrange": [DAY_MS, None], "value": f"{day}\n%Y"},
    ]
    return {"tickformatstops": stops, "hoverformat": f"{date} %H:%M:%S"}


def log_ticks(least: float, most: float) -> list[float]:
    """Round values around both: 1, 2 and 5 of each power of ten, or powers alone when there are many."""
    low, high = floor(log10(least)), ceil(log10(max(most, least * 1.01)))
    steps = (1, 2, 5) if high - low <= 3 else (1,)
    ticks = [step * 10.0**power for power in range(low, high + 1) for step in steps]
    below = [tick for tick in ticks if tick <= least]
    above = [tick for tick in ticks if tick >= most]
    return [tick for tick in ticks if below[-1] <= tick <= above[0]]


def byte_ticks(most: float) -> tuple[list[float], list[str]]:
    """About five round values from zero to beyond `most`."""
    size, unit = next(step for step in BYTE_STEPS if most >= step[0] or step[0] == 1)
    values = round_values(most / size)
    return [value * size for value in values], [f"{number(value, 'g')} {unit}" for value in values]


def value_ticks(most: float, unit: Unit) -> tuple[list[float], list[str]]:
    """The same for what is counted in `unit`."""
    if unit is Unit.BYTES:
        return byte_ticks(most or 1024.0)
    values = round_values(most or 1.0, least_step=float(unit is Unit.COUNT))
    return values, [f"{number(value, ',.10g')}{SUFFIXES[unit]}" for value in values]


def round_values(most: float, least_step: float = 0.0, least: float = 0.0) -> list[float]:
    """About five round values from below `least` to beyond `most`, equally far apart."""
    wanted = max((most - least) / 4, least_step) or abs(most) or 1.0
    power = 10.0 ** floor(log10(wanted))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= wanted)
    first = floor(least / step)
    return [step * number for number in range(first, first + 7) if number < first + 2 or step * (number - 1) < most]
