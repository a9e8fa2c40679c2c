"""What a page has offered for download is there for whoever clicks, however often the page is drawn meanwhile.

Streamlit forgets what was offered as soon as a page, or a part of one, is drawn again. The browser learns the new
address only after that: a click between the two, on a page that ticks, found nothing. And a page that is drawn anew
from the top offers nothing until it comes to the button; when another tab's page was done then, the offer was gone.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from streamlit.runtime import get_instance
from streamlit.runtime.media_file_manager import MediaFileManager, _get_session_id
from streamlit.runtime.media_file_storage import MediaFileStorage

__all__ = ["KEPT_S", "KeptFiles", "keep_files"]

KEPT_S: Final = 30.0
"""How long after the last page that showed it a file can still be fetched: longer than a slow connection is behind."""


class KeptFiles(MediaFileManager):
    """Streamlit's, but it takes away only what no page has shown for `KEPT_S`; `now` is a monotonic clock."""

    def __init__(self, storage: MediaFileStorage, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__(storage)
        self._now = now
        self._unused_since: dict[str, float] = {}

    def add_deferred(
        self,
        data_callable: Callable[[], Any],
        mimetype: str | None,
        coordinates: str,
        file_name: str | None = None,
        *,
        element_id: str = "",
    ) -> str:
        """A button that is drawn again keeps its address, and has the new content there."""
        session = _get_session_id()
        with self._lock:
            for file in self._deferred_ids_by_session.get(session, ()):
                offer = self._deferred_callables[file]
                if element_id and offer["element_id"] == element_id:
                    self._deferred_callables[file] = {
                        "callable": data_callable, "mimetype": mimetype, "filename": file_name,
                        "coordinates": coordinates, "session_id": session, "element_id": element_id,
                    }  # fmt: skip
                    self._files_by_session_and_coord[session][coordinates] = file
                    return file
        return super().add_deferred(data_callable, mimetype, coordinates, file_name, element_id=element_id)

    def remove_orphaned_files(self) -> None:
        with self._lock:
            now = self._now()
            shown = {file for files in self._files_by_session_and_coord.values() for file in files.values()}
            held = self._file_metadata.keys() | self._deferred_callables.keys()
            self._unused_since = {file: self._unused_since.get(file, now) for file in held - shown}
            for file in [file for file, since in self._unused_since.items() if now - since >= KEPT_S]:
                self._take_away(file)

    def _take_away(self, file: str) -> None:
        if file in self._file_metadata:
            self._delete_file(file)
        else:
            self._drop_deferred_id(file)
        del self._unused_since[file]


def keep_files() -> None:
    """Have the running Streamlit keep files so."""
    served: Any = get_instance()
    served._media_file_mgr = KeptFiles(served.media_file_mgr._storage)
