"""Tables with a heading, and the numbers behind them as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import pandas as pd
import streamlit as st

from panel import format
from panel.i18n import _
from panel.queries import defused

__all__ = ["ONE_CLICK", "THREE_DIGITS", "clicked", "csv_button", "csv_of", "heading", "numbered", "table_height"]

ONE_CLICK: Literal["single-cell"] = "single-cell"
"""The selection of a table whose rows open by a click anywhere on them, not on a box in front of them alone."""

THREE_DIGITS = "three digits"
WHOLE = ","
ROW_PX = 33  # at the theme's font size
Rows = Sequence[Mapping[str, Any]]


def clicked(selection: Mapping[str, Any], rows: int) -> int | None:
    """Which of so many rows was clicked, in a table that selects with ONE_CLICK."""
    cells = selection.get("cells", ())
    return int(cells[0][0]) if cells and cells[0][0] < rows else None


def csv_of(rows: Rows) -> str:
    """Rows as CSV, none of which a spreadsheet takes for a formula; what has a Unix time `at_s` also gets it as people
    write it (UTC)."""
    if not rows:
        return ""
    out = io.StringIO()
    timed = [defused({**_utc(row), **row}) for row in rows]
    writer = csv.DictWriter(out, list(timed[0]))
    writer.writeheader()
    writer.writerows(timed)
    return out.getvalue()


def _utc(row: Mapping[str, Any]) -> dict[str, str]:
    return {"time": f"{format.local_time(row['at_s'], 'UTC'):%Y-%m-%dT%H:%M:%SZ}"} if "at_s" in row else {}


def csv_button(rows: Rows, name: str, title: str) -> None:
    """The numbers behind a chart or table, to be opened elsewhere."""
    st.download_button(
        "CSV", lambda: csv_of(rows), f"hybrid-{name}.csv", "text/csv", key=f"csv-{name}", type="tertiary",
        icon=":material/download:", on_click="ignore", disabled=not rows,
        help=_("Download: {title}").format(title=title),
    )  # fmt: skip


def heading(title: str, note: str, rows: Rows, name: str) -> None:
    """The title of a frame, a quiet word about it, and its CSV."""
    with st.container(horizontal=True, vertical_alignment="center"):
        with st.container():  # gives way on a narrow screen, where a long text alone would push the button below it
            st.markdown(f"**{title}** :gray[{note}]")
        csv_button(rows, name, title)


def numbered(rows: Rows, specs: Mapping[str, tuple[str, str]]) -> pd.DataFrame:
    """A table whose numbers are written as the reader's language does, and still sorted as numbers: by column, how
    `format()` writes them (or THREE_DIGITS, never as 1.7e+03) and the unit behind."""

    def writer(spec: str, unit: str) -> Callable[[float], str]:
        if spec == THREE_DIGITS:
            return lambda value: f"{format.number(float(f'{value:.3g}'), ',.10g')}{unit}"
        if spec == WHOLE:  # pandas makes fractions of a whole column where one is missing
            return lambda value: f"{format.number(round(value))}{unit}"
        return lambda value: f"{format.number(value, spec)}{unit}"

    frame = pd.DataFrame(rows)
    known = {name: writer(*spec) for name, spec in specs.items() if name in frame}
    return frame.style.format(known, na_rep="")


def table_height(rows: int, most: int = 9) -> int:
    """Pixels of a table that shows up to `most` rows without scrolling."""
    return ROW_PX * (min(max(rows, 1), most) + 1) + 2
