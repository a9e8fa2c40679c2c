"""What a page offers for download, while pages are drawn again and again."""

from __future__ import annotations

import pytest
from streamlit.runtime.media_file_storage import MediaFileStorageError
from streamlit.runtime.memory_media_file_storage import MemoryMediaFileStorage

from panel.kept_files import KEPT_S, KeptFiles


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def storage() -> MemoryMediaFileStorage:
    return MemoryMediaFileStorage("/media")


@pytest.fixture
def files(storage: MemoryMediaFileStorage, clock: Clock) -> KeptFiles:
    return KeptFiles(storage, clock)


def offered(files: KeptFiles, content: str, place: str = "0.1", button: str = "csv") -> str:
    """The button as a page draws it, which is done then."""
    address = files.add_deferred(lambda: content, "text/csv", place, "rows.csv", element_id=button)
    files.remove_orphaned_files()
    return address


def fetched(files: KeptFiles, storage: MemoryMediaFileStorage, address: str) -> bytes:
    """As a click does: the file is made, then fetched."""
    url = files.execute_deferred(address)
    files.remove_orphaned_files()  # another part of the page was drawn meanwhile,
    files.remove_orphaned_files()  # and another tab
    return storage.get_file(url.removeprefix("/media/")).content


def test_a_click_on_a_button_that_was_drawn_again_meanwhile(files: KeptFiles, storage: MemoryMediaFileStorage) -> None:
    address = offered(files, "old")
    assert offered(files, "new") == address
    assert fetched(files, storage, address) == b"new"


def test_a_click_while_the_whole_page_is_drawn_again(files: KeptFiles, storage: MemoryMediaFileStorage) -> None:
    address = offered(files, "rows")
    files.clear_session_refs("dontcare")  # the page begins again, and has not come to the button
    files.remove_orphaned_files()
    assert fetched(files, storage, address) == b"rows"
    assert offered(files, "rows") == address


def test_two_buttons_have_two_addresses(files: KeptFiles, storage: MemoryMediaFileStorage) -> None:
    first, second = offered(files, "one"), offered(files, "two", "0.2", "json")
    assert fetched(files, storage, first) == b"one"
    assert fetched(files, storage, second) == b"two"


def test_content_that_changes_is_there_under_its_old_address_for_a_while(
    files: KeptFiles, storage: MemoryMediaFileStorage, clock: Clock
) -> None:
    old = files.add(b"old", "text/plain", "0.1", "report.txt", is_for_static_download=True)
    files.add(b"new", "text/plain", "0.1", "report.txt", is_for_static_download=True)
    for _ in range(2):
        files.remove_orphaned_files()
        assert storage.get_file(old.removeprefix("/media/")).content == b"old"
        clock.now_s += KEPT_S - 1
    clock.now_s += 1
    files.remove_orphaned_files()
    with pytest.raises(MediaFileStorageError):
        storage.get_file(old.removeprefix("/media/"))


def test_what_no_page_shows_any_more_is_forgotten(files: KeptFiles, clock: Clock) -> None:
    address = offered(files, "rows")
    files.clear_session_refs("dontcare")
    files.remove_orphaned_files()
    clock.now_s += KEPT_S
    files.remove_orphaned_files()
    with pytest.raises(MediaFileStorageError):
        files.execute_deferred(address)
