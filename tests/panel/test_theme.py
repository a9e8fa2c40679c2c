"""The colours of both themes have the contrast that WCAG AA asks of words: 4.5 to 1."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from panel.document import CONTRAST

THEMES = tomllib.loads((Path(__file__).resolve().parents[2] / ".streamlit" / "config.toml").read_text())["theme"]
ENOUGH = 4.5
CAPTION = 0.6
"""How much of the colour of words Streamlit gives to captions; the rest is background."""
TINT = 0.1
"""How much of the theme's main colour lies behind what is chosen of several."""


def channels(color: str) -> list[float]:
    return [int(color[at : at + 2], 16) for at in (1, 3, 5)]


def mixed(color: str, share: float, background: str) -> list[float]:
    return [share * c + (1 - share) * b for c, b in zip(channels(color), channels(background), strict=True)]


def luminance(found: list[float]) -> float:
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in (c / 255 for c in found)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: list[float], other: list[float]) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("name", ["light", "dark"])
def test_words_are_readable(name: str) -> None:
    theme = THEMES[name]
    for background in (theme["backgroundColor"], theme["secondaryBackgroundColor"], theme["codeBackgroundColor"]):
        behind = channels(background)
        for words in ("textColor", "codeTextColor", "linkColor", "grayTextColor", "redTextColor", "greenTextColor"):
            assert contrast(channels(theme[words]), behind) >= ENOUGH, (words, background)
    for words in ("textColor", "codeTextColor"):
        behind = channels(theme["backgroundColor"])
        assert contrast(mixed(theme[words], CAPTION, theme["backgroundColor"]), behind) >= ENOUGH, words
    assert contrast(channels("#ffffff"), channels(theme["primaryColor"])) >= ENOUGH


@pytest.mark.parametrize(("name", "place"), [("light", 0), ("dark", 1)])
def test_what_is_chosen_and_words_of_code_are_readable(name: str, place: int) -> None:
    theme = THEMES[name]
    pairs = re.findall(r"light-dark\((#\w{6}), (#\w{6})\)", CONTRAST)
    assert len(pairs) == 4
    tinted = mixed(theme["primaryColor"], TINT, theme["backgroundColor"])
    for pair in pairs:
        for behind in (tinted, channels(theme["codeBackgroundColor"])):
            assert contrast(channels(pair[place]), behind) >= ENOUGH, pair
