"""The one table of pages: file, title, icon, address, who may see it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from panel.i18n import N_, _

__all__ = ["PAGES", "PageEntry", "page", "pages_for"]

FOLDER = Path(__file__).resolve().parent.parent / "pages"
EVERYONE = frozenset({"viewer", "operator"})


@dataclass(frozen=True, slots=True)
class PageEntry:
    """A page script, relative to `pages/`. The first entry of the table is the start page."""

    path: str
    title: str
    icon: str
    roles: frozenset[str] = EVERYONE
    in_menu: bool = True


# The name is the address of the page. It must be no address of app.py: /metrics is what Prometheus reads.
PAGES: Mapping[str, PageEntry] = MappingProxyType(
    {
        "overview": PageEntry("watch/overview.py", N_("Overview"), ":material/dashboard:"),
        "keys": PageEntry("data/keys.py", N_("Keys"), ":material/key:"),
        "diff": PageEntry("repair/diff.py", N_("Diff"), ":material/difference:"),
        "sync": PageEntry("repair/sync.py", N_("Sync"), ":material/sync:"),
        "tests": PageEntry("watch/tests.py", N_("Tests"), ":material/fact_check:"),
        "measurements": PageEntry("watch/metrics.py", N_("Metrics"), ":material/monitoring:"),
        "insights": PageEntry("data/insights.py", N_("Insights"), ":material/query_stats:"),
        "console": PageEntry("admin/console.py", N_("Console"), ":material/terminal:"),
        "alerts": PageEntry("watch/alerts.py", N_("Alerts"), ":material/notifications:"),
        "settings": PageEntry("admin/settings.py", N_("Settings"), ":material/settings:"),
        "setup": PageEntry("admin/setup.py", N_("Connect your stores"), ":material/cable:", in_menu=False),
    }
)


def page(name: str) -> StreamlitPage:
    """The page of this name, for `st.navigation` and for links to it."""
    entry = PAGES[name]
    first = name == next(iter(PAGES))
    return st.Page(
        FOLDER / entry.path, title=_(entry.title), icon=entry.icon, url_path=name, default=first,
        visibility="visible" if entry.in_menu else "hidden",
    )  # fmt: skip


def pages_for(role: str) -> list[StreamlitPage]:
    """What somebody of this role sees in the menu. Actions check the role again."""
    return [page(name) for name, entry in PAGES.items() if role in entry.roles]
