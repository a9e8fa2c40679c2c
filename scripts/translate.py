"""Collect the panel's texts into its gettext catalogues, and compile these; or only say what is missing (`--check`).

Run it in the project's folder: `python -m scripts.translate`. Translate what it lists in
`panel/locale/<language>/LC_MESSAGES/panel.po`, and run it again: the compiled `.mo` beside it is what the panel reads.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from string import Formatter
from typing import Final

from babel.messages.catalog import Catalog, Message
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from panel.i18n import DOMAIN, LANGUAGES, LOCALE

ROOT = Path(__file__).resolve().parent.parent
TRANSLATED = list(LANGUAGES)[1:]
FOLDERS = ("panel", "pages")
KEYWORDS: Final = {"_": 1, "N_": 1, "ngettext": 2}
"""How many of the arguments are texts."""


def main(arguments: list[str]) -> int:
    problems: list[str] = []
    texts = extracted()
    for language in TRANSLATED:
        if "--check" not in arguments:
            update(language, texts)
        problems += problems_of(language, texts)
    sys.stdout.write("".join(f"{problem}\n" for problem in problems))
    return bool(problems)


def extracted() -> Catalog:
    """Every text that the sources mark, without line numbers: they would change the catalogues with every commit.

    Read from the syntax tree: before Python 3.12 an f-string is one token, and hides the calls inside it.
    """
    found = Catalog()
    for path in sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")):
        for texts in marked(ast.parse(path.read_text())):
            found.add(texts, locations=[(path.relative_to(ROOT).as_posix(), 0)])
    return found


def marked(tree: ast.AST) -> Iterator[str | tuple[str, ...]]:
    """The literals of each marking call, in the order of the source."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    for call in sorted(calls, key=lambda call: (call.lineno, call.col_offset)):
        count = KEYWORDS.get(ast.unparse(call.func), 0)
        literals = [part.value for part in call.args[:count] if isinstance(part, ast.Constant)]
        texts = [text for text in literals if isinstance(text, str) and text]
        if count and len(texts) == count:
            yield texts[0] if count == 1 else tuple(texts)


def po_path(language: str) -> Path:
    return LOCALE / language / "LC_MESSAGES" / f"{DOMAIN}.po"


def read(language: str) -> Catalog:
    """A language's catalogue; an empty one for a new language."""
    path = po_path(language)
    if not path.exists():
        return Catalog(locale=language, project="Hybrid Redis", fuzzy=False)
    with path.open("rb") as file:
        return read_po(file, locale=language, domain=DOMAIN)


def update(language: str, texts: Catalog) -> None:
    """Bring a catalogue to the sources: new texts in, stale ones out, translations kept; then compile it."""
    catalogue = read(language)
    catalogue.update(texts, no_fuzzy_matching=True, update_creation_date=False)
    catalogue.obsolete.clear()
    path = po_path(language)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        write_po(file, catalogue, width=120, include_lineno=False, sort_output=True)
    path.with_suffix(".mo").write_bytes(compiled(read(language)))


def compiled(catalogue: Catalog) -> bytes:
    target = BytesIO()
    write_mo(target, catalogue)
    return target.getvalue()


def problems_of(language: str, texts: Catalog) -> Iterator[str]:
    """Each text that is not translated, is stale, or whose translation names other values; and a stale `.mo`."""
    catalogue, name = read(language), po_path(language).relative_to(ROOT)
    wanted = {message.id for message in texts if message.id}
    present = {message.id: message for message in catalogue if message.id}
    yield from (f"{name}: stale: {key!r}" for key in present.keys() - wanted)
    for key in sorted(wanted, key=str):
        if key not in present or not translated(present[key]):
            yield f"{name}: not translated: {key!r}"
        elif fields(key) != fields(present[key].string):
            yield f"{name}: other values than in: {key!r}"
    mo = po_path(language).with_suffix(".mo")
    if not mo.exists() or mo.read_bytes() != compiled(catalogue):
        yield f"{mo.relative_to(ROOT)}: not compiled from its .po"


def translated(message: Message) -> bool:
    return all(message.string) if isinstance(message.string, tuple) else bool(message.string)


def fields(text: object) -> set[str]:
    """The names in braces."""
    parts = text if isinstance(text, (tuple, list)) else (text,)
    return {name for part in parts for _text, name, _spec, _conversion in Formatter().parse(str(part)) if name}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
