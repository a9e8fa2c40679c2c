"""Rows of results, as plain text, Markdown or JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

__all__ = ["Row", "as_json", "markdown", "plain"]

HEADER: Final = ("what", "measured", "beside it, in the same rounds", "result", "target", "verdict")


@dataclass(frozen=True, slots=True)
class Row:
    """One result. `result` is judged against `target`: at most that, or with `at_least` at least. Without a target it
    is only shown. `beyond` marks a result that is a lower bound: the measurement was cut off there."""

    what: str
    measured: str
    result: float
    unit: str
    beside: str = ""
    target: float | None = None
    at_least: bool = False
    beyond: bool = False

    @property
    def met(self) -> bool | None:
        if self.target is None:
            return None
        return self.result >= self.target if self.at_least else self.result <= self.target and not self.beyond

    @property
    def verdict(self) -> str:
        return {True: "met", False: "MISSED", None: "shown"}[self.met]

    @property
    def cells(self) -> tuple[str, ...]:
        sign = "≥" if self.at_least else "≤"
        target = "" if self.target is None else f"{sign} {number(self.target, self.unit)}"
        result = ("> " if self.beyond else "") + number(self.result, self.unit)
        return (self.what, self.measured, self.beside, result, target, self.verdict)


def number(value: float, unit: str) -> str:
    """A value as people read it."""
    match unit:
        case "times":
            return f"{value:.2f} ×"
        case "more ms":
            return f"{value:+.1f} ms"
        case "µs":
            return f"{value:,.2f} µs"
        case "ms":
            return f"{value:,.0f} ms"
        case "round trips":
            return f"{value:.2f} {unit}"
        case "a write":
            return f"{value:.3f}"
        case "keys" | "entries":
            return f"{value:,.0f} {unit}"
        case _:
            return f"{value:,.0f}{unit}"


def plain(rows: Sequence[Row], facts: Sequence[str]) -> str:
    cells = [HEADER, *(row.cells for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join([*facts, "", *lines])


def markdown(rows: Sequence[Row], facts: Sequence[str]) -> str:
    lines = [_line(HEADER), _line("---" for _ in HEADER), *(_line(row.cells) for row in rows)]
    return "\n".join([*(f"* {fact}" for fact in facts), "", *lines])


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def as_json(rows: Sequence[Row], facts: Sequence[str]) -> str:
    found: list[dict[str, Any]] = [asdict(row) | {"met": row.met} for row in rows]
    return json.dumps({"facts": list(facts), "rows": found}, indent=2, ensure_ascii=False)
