"""Keys that work on every page: `/` searches, `?` helps (`r` refreshes: Streamlit's own). And the page's language; and
on a phone, where what was opened stands below the list that it was opened from, the way there.

The one script of the panel's own. It asks nothing of any server.
"""

from __future__ import annotations

import streamlit as st

from panel.i18n import LANGUAGE_KEY

__all__ = ["keyboard"]

COOKIE_S = 365 * 86400
SCRIPT = """
const NARROW = 640
let shown = ''
const typing = (target) => target.closest?.('input, textarea, select, [contenteditable="true"], [role="dialog"]')
export default function({data, setTriggerValue}) {
  document.documentElement.lang = data.language.replace('_', '-')
  document.cookie = `${data.cookie}=${data.language}; path=/; max-age=${data.age}; SameSite=Strict`
  if (data.opened && data.opened !== shown && window.innerWidth < NARROW) {
    const opened = document.querySelector('.st-key-keys-detail')
    if (opened) opened.style.scrollMarginTop = '4rem'
    opened?.scrollIntoView({behavior: 'smooth'})
  }
  shown = data.opened
  const pressed = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return
    if (event.key === '?') setTriggerValue('help', true)
    if (event.key !== '/') return
    event.preventDefault()
    const field = document.querySelector('[data-testid="stMain"] input[type="search"]')
    if (field) field.focus()
    else document.querySelector('a[href$="/keys"]')?.click()
  }
  document.addEventListener('keydown', pressed)
  return () => document.removeEventListener('keydown', pressed)
}
"""


def keyboard(language: str, opened: str) -> bool:
    """Listen to the keys, and tell the browser which language the page is in, and which key it shows. True when help is
    asked for."""
    component = st.components.v2.component("hybrid-keyboard", html="<span hidden></span>", js=SCRIPT)
    heard = component(
        data={"language": language, "cookie": LANGUAGE_KEY, "age": COOKIE_S, "opened": opened},
        key="keyboard", height=0, on_help_change=lambda: None,
    )  # fmt: skip
    return bool(heard.help)
