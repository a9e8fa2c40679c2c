"""A page that is drawn anew by itself at a price: only while somebody can see it. What costs nothing is a fragment's
work; its clock runs in a tab that is hidden, too."""

from __future__ import annotations

import streamlit as st

__all__ = ["beat"]

SCRIPT = """
let stop = () => {}
export default function({data, setTriggerValue}) {
  stop()
  const timer = setInterval(() => { if (!document.hidden) setTriggerValue('beat', true) }, data.every_ms)
  const end = () => clearInterval(timer)
  stop = end
  return end
}
"""


def beat(every_s: float) -> None:
    """Draw the page anew in `every_s`, and so on, while its tab is the one in front."""
    component = st.components.v2.component("hybrid-heartbeat", html="<span hidden></span>", js=SCRIPT)
    component(data={"every_ms": every_s * 1000}, key="heartbeat", height=0, on_beat_change=lambda: None)
