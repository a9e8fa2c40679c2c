"""The rules as a table to be edited, and the daily summary."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import time
from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from panel import actions as access
from panel import widgets
from panel.alerts import actions, queries
from panel.alerts.queries import Severity, Snapshot, Unit
from panel.alerts.words import SEVERITIES, UNITS, rule_word
from panel.i18n import _

__all__ = ["changed_values", "rules_part", "summary_part"]


def rules_part(found: Snapshot) -> None:
    """Every rule as a row to be edited; what differs is applied by a button."""
    viewer = not access.is_operator()
    st.caption(
        _(
            "A rule raises when its number is beyond the threshold for a while, and clears when it is back within the "
            "second one for a while: in between nothing changes, so that what hovers does not ring twice."
        )
    )
    table = pd.DataFrame([_rule_row(row.rule) for row in found.rules])
    fixed = ["rule", "unit", "raises", *([*table.columns] if viewer else [])]
    # The values in force are part of the key: when they are changed elsewhere, the table starts again from them.
    version = max((row.change.at_s for row in found.rules if row.change), default=0.0)
    edited = st.data_editor(
        table, hide_index=True, key=f"rules-{version}", disabled=fixed, num_rows="fixed", column_config=_columns(),
        height="content", placeholder="",
    )  # fmt: skip
    changes = changed_values(found, edited.to_dict("records"))
    changed = [row for row in found.rules if row.change and row.change.values]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            _("Apply"), icon=":material/check:", key="rules-apply", type="primary" if changes else "secondary",
            disabled=viewer or not changes, on_click=widgets.perform, args=(actions.change_rules, changes),
        )  # fmt: skip
        for row in changed:
            assert row.change is not None
            st.button(
                _("Reset: {rule}").format(rule=rule_word(row.rule.name)), key=f"reset-{row.rule.name}", disabled=viewer,
                type="tertiary", help=_("Changed by {author}").format(author=row.change.author),
                on_click=widgets.perform, args=(actions.reset_rule, row.rule.name),
            )  # fmt: skip


def _columns() -> dict[str, Any]:
    number = partial(st.column_config.NumberColumn, format="localized", min_value=0.0)
    return {
        "rule": st.column_config.TextColumn(_("Rule"), pinned=True),
        "enabled": st.column_config.CheckboxColumn(_("On")),
        "severity": st.column_config.SelectboxColumn(
            _("Severity"),
            options=[*map(str, Severity)],
            required=True,
            format_func=lambda value: _(SEVERITIES[Severity(str(value))][0]),
        ),
        "raises": st.column_config.TextColumn(_("Raises")),
        "threshold": number(_("at")),
        "clear_at": number(_("Clears at")),
        "unit": st.column_config.TextColumn(_("Unit")),
        "raise_after_s": number(_("Raises after, s"), required=True),
        "clear_after_s": number(_("Clears after, s"), required=True),
        "remind_after_h": number(_("Reminds after, h"), required=True),
    }


def _rule_row(rule: queries.Rule) -> dict[str, Any]:
    scale = 100.0 if rule.unit is Unit.SHARE else 1.0
    states = rule.unit is Unit.STATE
    return {
        "rule": rule_word(rule.name),
        "enabled": rule.enabled,
        "severity": str(rule.severity),
        "raises": _("when it is so") if states else _("below") if rule.below else _("above"),
        "threshold": None if states else round(rule.threshold * scale, 6),
        "clear_at": None if states else round(rule.clears_at * scale, 6),
        "unit": _(UNITS[rule.unit]),
        "raise_after_s": rule.raise_after_s,
        "clear_after_s": rule.clear_after_s,
        "remind_after_h": round(rule.remind_after_s / 3600.0, 6),
    }


def changed_values(found: Snapshot, edited: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """What the edited rows change, by rule and as the library names it."""
    changes: dict[str, dict[str, Any]] = {}
    for row, after in zip(found.rules, edited, strict=True):
        before, scale = _rule_row(row.rule), 100.0 if row.rule.unit is Unit.SHARE else 1.0
        for name in ("enabled", "severity", "threshold", "clear_at", "raise_after_s", "clear_after_s"):
            value = after[name]
            if value is None or value != value or value == before[name]:
                continue
            scaled = value / scale if name in ("threshold", "clear_at") else value
            changes.setdefault(row.rule.name, {})[name] = scaled
        if after["remind_after_h"] != before["remind_after_h"]:
            changes.setdefault(row.rule.name, {})["remind_after_s"] = after["remind_after_h"] * 3600.0
    return changes


def summary_part(found: Snapshot) -> None:
    """The daily summary: when, or not at all."""
    minute, viewer = found.summary_minute, not access.is_operator()
    with st.container(border=True, horizontal=True, vertical_alignment="bottom", key="summary"):
        wanted = st.toggle(_("Daily summary"), value=minute is not None, key=f"summary-on-{minute}", disabled=viewer)
        chosen = st.time_input(
            _("At (UTC)"), time((minute or 480) // 60, (minute or 480) % 60), key=f"summary-at-{minute}",
            disabled=viewer or not wanted, width=140, step=900,
        )  # fmt: skip
        asked = chosen.hour * 60 + chosen.minute if wanted and chosen is not None else None
        st.button(
            _("Save"), key="summary-save", disabled=viewer or asked == minute,
            on_click=widgets.perform, args=(actions.set_summary, asked),
        )  # fmt: skip
