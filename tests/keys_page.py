"""What tests of the page Keys do with it."""

from __future__ import annotations

from typing import Any

from streamlit.testing.v1 import AppTest

from hybrid.types import Store

KEYS_PAGE = "data/keys.py"


def settled(at: AppTest) -> AppTest:
    """Drawn anew until no answer is awaited."""
    for _ in range(40):
        assert not at.exception, at.exception[0].message
        if not any("asking the stores" in caption.value for caption in at.caption):
            break
        at.run()
    return at


def opened_key(at: AppTest, key: str) -> AppTest:
    at.session_state["keys-open-key"] = key
    return settled(settled(at.run()).run())


def grid(at: AppTest, column: str) -> Any:
    """The table that has this column."""
    return next(frame.value for frame in at.dataframe if column in frame.value.columns)


def press(at: AppTest, key: str) -> AppTest:
    return settled(at.button(key=key).click().run())


def said(at: AppTest) -> str:
    """What came of the last edit, as it is read: marks of Markdown in it are escaped."""
    found = next(text.value for text in at.markdown if "check_circle" in text.value or "material/error" in text.value)
    return str(found).replace("\\", "")


def values(sides: dict[Store, Any], command: str, *arguments: Any) -> list[Any]:
    return [store.execute_command(command, *arguments) for store in sides.values()]
