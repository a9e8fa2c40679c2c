"""Keys that work on every page: `/` searches, `?` helps (`r` refreshes: Streamlit's own). And the page's language. On a
phone, where what was opened stands below the list that it was opened from, the way there, and the menu out of the
way of a page chosen in it. And in words for screen readers what the small charts of numbers show, which Streamlit
leaves without any.

It asks nothing of any server.
"""

from __future__ import annotations

from urllib.parse import urlsplit

import streamlit as st

from panel.i18n import LANGUAGE_KEY, N_, _

__all__ = ["keyboard"]

COOKIE_S = 365 * 86400
COURSE = N_("Course of {label}: {value} now, {change}")
SCRIPT = """
const NARROW = 640
const PATIENCE_MS = 10000
let shown = ''
let place = ''
let stop = () => {}  // Streamlit calls again for new data, and what was returned last only at the end
const typing = (target) => target.closest?.('input, textarea, select, [contenteditable="true"], [role="dialog"]')
const textOf = (metric, part) => metric.querySelector(`[data-testid="stMetric${part}"]`)?.textContent.trim() ?? ''
const describe = (words) => {
  for (const line of document.querySelectorAll('[data-testid="stMetricChart"]')) {
    const metric = line.closest('[data-testid="stMetric"]')
    const values = {
      label: textOf(metric, 'Label'), value: textOf(metric, 'Value'),
      change: `${textOf(metric, 'Delta')} ${textOf(metric, 'DeltaDescription')}`.trim(),
    }
    const course = words.course.replace(/{(\\w+)}/g, (_, name) => values[name])
    line.firstElementChild?.setAttribute('aria-hidden', 'true')
    if (line.getAttribute('aria-label') === course) continue
    line.setAttribute('role', 'img')
    line.setAttribute('aria-roledescription', words.kind)
    line.setAttribute('aria-label', course)
  }
}
const search = () => {
  const field = document.querySelector('[data-testid="stMain"] input[type="search"]')
  field?.focus()
  return field
}
const seek = (until) => {  // on the page that is on its way
  if (!typing(document.activeElement) && !search() && Date.now() < until) setTimeout(seek, 100, until)
}
export default function({data, setTriggerValue}) {
  stop()
  document.documentElement.lang = data.language.replace('_', '-')
  document.cookie = `${data.cookie}=${data.language}; path=/; max-age=${data.age}; SameSite=Strict`
  if (data.opened && data.opened !== shown && window.innerWidth < NARROW) {
    const opened = document.querySelector('.st-key-keys-detail')
    if (opened) opened.style.scrollMarginTop = '4rem'
    opened?.scrollIntoView({behavior: 'smooth'})
  }
  shown = data.opened
  const menuIsOpen = !document.querySelector('[data-testid="stExpandSidebarButton"]')
  if (data.place !== place && menuIsOpen && window.innerWidth < NARROW)
    document.querySelector('[data-testid="stSidebarCollapseButton"] button')?.click()
  place = data.place
  const pressed = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return
    if (event.key === '?') setTriggerValue('help', true)
    if (event.key !== '/') return
    event.preventDefault()
    if (!search()) {
      document.querySelector('a[href$="/keys"]')?.click()
      seek(Date.now() + PATIENCE_MS)
    }
  }
  document.addEventListener('keydown', pressed)
  describe(data.words)
  const drawn = new MutationObserver(() => describe(data.words))
  drawn.observe(document.body, {subtree: true, attributeFilter: ['aria-label']})
  const end = () => {
    document.removeEventListener('keydown', pressed)
    drawn.disconnect()
  }
  stop = end
  return end
}
"""


def keyboard(language: str, opened: str) -> bool:
    """Listen to the keys, and tell the browser which language the page is in, and which key it shows. True when help is
    asked for."""
    component = st.components.v2.component("hybrid-keyboard", html="<span hidden></span>", js=SCRIPT)
    heard = component(
        data={
            "language": language, "cookie": LANGUAGE_KEY, "age": COOKIE_S, "opened": opened,
            "place": urlsplit(st.context.url or "").path,
            "words": {"kind": _("small line chart"), "course": _(COURSE)},
        },
        key="keyboard", height=0, on_help_change=lambda: None,
    )  # fmt: skip
    return bool(heard.help)
