"""How the report of a drill is shown: verdict, figures, guarantees, steps, downloads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import pandas as pd
import streamlit as st

from panel import format
from panel.drills.queries import (
    DRILLS,
    GUARANTEES,
    DrillReport,
    Finding,
    Outcome,
    Step,
    StepState,
    Where,
    drills_json,
    drills_markdown,
)
from panel.i18n import N_, _
from panel.widgets import zone

__all__ = ["OUTCOMES", "PLACES", "badge", "downloads", "report", "rpo_text", "steps", "title_of"]

Color = Literal["red", "orange", "green", "gray"]
OUTCOMES: dict[Outcome, tuple[str, str, Color]] = {
    Outcome.PASSED: (N_("passed"), ":material/check_circle:", "green"),
    Outcome.FAILED: (N_("failed"), ":material/cancel:", "red"),
    Outcome.INCONCLUSIVE: (N_("too busy to judge"), ":material/hourglass_disabled:", "orange"),
    Outcome.SKIPPED: (N_("skipped"), ":material/remove_circle:", "gray"),
    Outcome.CANCELLED: (N_("cancelled"), ":material/stop_circle:", "gray"),
}
FINDINGS = {
    Finding.KEPT: N_(":green[:material/check_circle: kept]"),
    Finding.BROKEN: N_(":red[:material/cancel: broken]"),
    Finding.UNSURE: N_(":orange[:material/hourglass_disabled: too busy to judge]"),
    Finding.NOT_CHECKED: N_(":gray[:material/remove: not checked]"),
}
STEP_ICONS = {
    StepState.RUNNING: ":material/pending:",
    StepState.PASSED: ":green[:material/check_circle:]",
    StepState.FAILED: ":red[:material/cancel:]",
    StepState.INCONCLUSIVE: ":orange[:material/hourglass_disabled:]",
    StepState.SKIPPED: ":gray[:material/remove_circle:]",
}
PLACES = {Where.STORES: N_("the stores in use"), Where.SERVERS: N_("throwaway servers")}
ON_PLACES = {Where.STORES: N_("on the stores in use"), Where.SERVERS: N_("on throwaway servers")}


def title_of(name: str) -> str:
    """The title of a drill, in the reader's language; its name when this version does not know it."""
    return _(DRILLS[name].title) if name in DRILLS else name


def badge(outcome: Outcome) -> None:
    word, icon, color = OUTCOMES[outcome]
    st.badge(_(word), icon=icon, color=color)


def report(found: DrillReport, key: str, *, expanded: bool = False) -> None:
    """One report in a frame: what came of it at a glance, the rest to be opened."""
    with st.container(border=True, key=f"report-{key}"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{title_of(found.drill)}**", width="content")
            badge(found.outcome)
            st.space("stretch")
            st.caption(_head(found), width="content")
        if found.outcome is not Outcome.PASSED:
            st.caption(found.reason)
        _figures(found)
        with st.expander(_("Guarantees, steps, report"), expanded=expanded, key=f"more-{key}", type="compact"):
            st.table(_guarantees(found), border="horizontal", hide_index=True)
            steps(found.steps)
            downloads([found], key)


def _head(found: DrillReport) -> str:
    parts = [
        format.clock(found.started_at_s, zone()),
        _(ON_PLACES[found.where]),
        format.duration(found.finished_at_s - found.started_at_s),
    ]
    if found.attempts > 1:
        parts.append(_("attempt {n}").format(n=found.attempts))
    return " · ".join([*parts, found.author] if found.author else parts)


def _figures(found: DrillReport) -> None:
    figures = found.figures
    shown = (
        ("RTO", _seconds(figures.rto_s), _("The longest time without a confirmed write, from the fault on.")),
        ("RPO", rpo_text(found), _("Confirmed writes that the surviving store lacked when it took over.")),
        (_("In sync after"), _seconds(figures.in_sync_s), _("From the end of the fault to both stores being equal.")),
        (_("Longest stall"), format.latency(figures.longest_stall_ms), _("How long the slowest command took.")),
        (_("Failed"), _of(figures.failed, figures.commands), _("Commands of the drill's application that raised.")),
        (
            _("Stalled"),
            format.count(figures.stalled if figures.commands else None),
            _("Commands that took longer than the longer timeout."),
        ),
    )
    with st.grid(6, min_column_width=105):
        for label, value, help_ in shown:
            st.metric(label, value, help=help_)


def _seconds(value: float | None) -> str:
    return _("unknown") if value is None else format.seconds(value)


def rpo_text(found: DrillReport) -> str:
    """The writes that were lost; a dash where no store has to take over from another."""
    drill = DRILLS.get(found.drill)
    return "–" if drill is not None and drill.survivor is None else format.count(found.figures.rpo_writes)


def _of(part: int, whole: int) -> str:
    return _(format.UNKNOWN) if not whole else f"{format.number(part)} / {format.number(whole)}"


def _guarantees(found: DrillReport) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "": each.guarantee,
                _("Guarantee"): _(GUARANTEES[each.guarantee]),
                # Beside the verdict, not in a fourth column: on a phone that one would be a word wide.
                _("Verdict"): f"{_(FINDINGS[each.finding])} · {_plain(each.reason)}",
            }
            for each in found.judgements
        ]
    )


def steps(found: Sequence[Step]) -> None:
    """The steps in order, each in a line with what it found."""
    lines = []
    for step in found:
        took = "" if step.duration_ms is None else f" :gray[{format.latency(step.duration_ms)}]"
        detail = f" · :gray[{_plain(step.detail)}]" if step.detail else ""
        lines.append(f"{STEP_ICONS[step.state]} {step.name}{took}{detail}")
    st.markdown("  \n".join(lines))


def _plain(text: str) -> str:
    """A text of the library, so that nothing in it is taken for a mark."""
    return "".join(f"\\{char}" if char in "\\`*_[]$<" else char for char in text)


def downloads(found: Sequence[DrillReport], key: str) -> None:
    """The report as Markdown and JSON."""
    with st.container(horizontal=True, width="content"):
        for label, data, ending, mime in (
            (_("Report (Markdown)"), drills_markdown, "md", "text/markdown"),
            (_("Report (JSON)"), drills_json, "json", "application/json"),
        ):
            st.download_button(
                label, data(found), f"hybrid-drill-{key}.{ending}", mime, key=f"{ending}-{key}",
                icon=":material/download:", on_click="ignore",
            )  # fmt: skip
