"""Numbers and times as people read them. None is always "unknown", never zero."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from panel import i18n
from panel.i18n import N_, _

__all__ = [
    "change",
    "clock",
    "code",
    "count",
    "currency",
    "duration",
    "escaped",
    "latency",
    "local_time",
    "money",
    "ms_text",
    "number",
    "plural",
    "seconds",
    "sentence",
    "share",
    "size",
]

UNKNOWN = N_("unknown")
SIZES = ("B", "KB", "MB", "GB", "TB")
MARKS = {"pt_BR": str.maketrans(",.", ".,")}
"""Between thousands and before decimals, where a language has others than English."""


def number(value: float | str, spec: str = ",") -> str:
    """1,234.5, or 1.234,5 where the reader's language writes it so. `spec` as for `format()`; a text is a number in
    English."""
    text = value if isinstance(value, str) else f"{value:{spec}}"
    return text.translate(MARKS.get(i18n.language(), {}))


def latency(value_ms: float | None) -> str:
    """0.33 ms, 1.1 ms, 62 ms, 1.4 s."""
    if value_ms is None:
        return _(UNKNOWN)
    if value_ms >= 1000:
        return f"{number(value_ms / 1000, '.1f')} s"
    return f"{number(value_ms, '.2f' if value_ms < 1 else '.1f' if value_ms < 10 else '.0f')} ms"


def ms_text(value_ms: float) -> str:
    """A round value at an axis: 0.05 ms, 20 ms, 5 s."""
    return f"{number(value_ms / 1000, 'g')} s" if value_ms >= 1000 else f"{number(value_ms, 'g')} ms"


def count(value: int | None) -> str:
    """1,286,891."""
    return _(UNKNOWN) if value is None else number(value)


def size(value_bytes: float | None) -> str:
    """3.06 GB; three digits that matter."""
    if value_bytes is None:
        return _(UNKNOWN)
    value, unit = float(value_bytes), 0
    while value >= 1000 and unit < len(SIZES) - 1:
        value, unit = value / 1024, unit + 1
    digits = 0 if unit == 0 or value >= 100 else 1 if value >= 10 else 2
    return f"{number(value, f'.{digits}f')} {SIZES[unit]}"


def duration(value_s: float | None) -> str:
    """41 d, 3 h, 12 min, 40 s: one unit, as in "up 41 d"."""
    if value_s is None:
        return _(UNKNOWN)
    for unit, length_s in (("d", 86400), ("h", 3600), ("min", 60)):
        if value_s >= length_s:
            return f"{value_s // length_s:.0f} {unit}"
    return f"{max(value_s, 0):.0f} s"


def seconds(value_s: float | None) -> str:
    """40 ms, 0.4 s, 12 s, 3 min."""
    if value_s is None:
        return _(UNKNOWN)
    if 0 < value_s < 0.1:
        return latency(value_s * 1000)
    return f"{number(value_s, '.1f')} s" if value_s < 10 else duration(value_s)


def change(values: list[float]) -> float | None:
    """How the last value differs from the first one shown."""
    return values[-1] - values[0] if len(values) > 1 else None


def share(part: float | None, whole: float | None) -> str | None:
    """61%; None when there is no whole."""
    return None if part is None or not whole else f"{100 * part / whole:.0f}%"


def plural(number: int, word: str, words: str | None = None) -> str:
    """1 entry, 2 entries."""
    return f"{number:,} {word if number == 1 else words or word + 's'}"


def sentence(error: Exception | str) -> str:
    """An error, or what the library says, as a sentence."""
    text = str(error).strip() or type(error).__name__
    return f"{text[:1].upper()}{text[1:]}".rstrip(".") + "."


def money(value_usd: float | None) -> str:
    """$0.0004, $12.30: two digits that matter; nothing is $0."""
    if value_usd is None:
        return _(UNKNOWN)
    if value_usd == 0 or value_usd >= 0.1:
        return f"{currency()}{number(value_usd, ',.2f')}" if value_usd else f"{currency()}0"
    return f"{currency()}{number(value_usd, '.4f')}" if value_usd >= 0.0001 else _("under $0.0001")


def currency() -> str:
    """What stands before an amount of US dollars: where the reader's own money is written with $ too, which ones."""
    return _("$")


def clock(at_s: float | None, zone: str | None = None, *, with_seconds: bool = False) -> str:
    """10:31 in the reader's time zone; with the day when that is another one than today there."""
    if at_s is None:
        return _(UNKNOWN)
    at = local_time(at_s, zone)
    today = datetime.now(UTC).astimezone(_zone(zone)).date()
    text = at.strftime("%H:%M:%S" if with_seconds else "%H:%M")
    return text if at.date() == today else f"{at.strftime(day_pattern())} {text}"


def day_pattern() -> str:
    """How a day without its year is written, for `strftime` and for charts: a name of a month would be English."""
    return _("%d %b")


def date_pattern() -> str:
    """The same with its year."""
    return _("%d %b %Y")


def local_time(at_s: float, zone: str | None = None) -> datetime:
    """A Unix time in the reader's time zone."""
    return datetime.fromtimestamp(at_s, UTC).astimezone(_zone(zone))


def _zone(name: str | None) -> ZoneInfo | None:
    try:
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError):
        return None


def escaped(text: str) -> str:
    """Anyone's data as plain text within a line of Markdown."""
    return "".join(f"\\{mark}" if mark in "\\`*_[]|~$:<>" else mark for mark in text)


def code(text: str) -> str:
    """Anyone's data as a code span of Markdown, whatever is in it; what is empty as quotes."""
    fence = "`"
    while fence in text:
        fence += "`"
    padding = " " if text[:1] in ("`", " ") or text[-1:] in ("`", " ") else ""
    return f"{fence}{padding}{text or chr(34) * 2}{padding}{fence}"
