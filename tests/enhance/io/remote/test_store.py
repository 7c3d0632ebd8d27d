"""What a store holds: one file, those below a folder, those that a pattern means; by fsspec's store in memory."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from enhance.io.remote.store import Store, Stores
from enhance.utils.errors import FileError, UsageError

fsspec = pytest.importorskip("fsspec")
AT = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture
def store() -> Iterator[Store]:
    """A store with three files of 1, 2 and 3 bytes."""
    files = fsspec.filesystem("memory")
    for size, name in enumerate(("b.wav", "a.wav", "deep/c.flac"), 1):
        files.pipe(f"/talks/{name}", bytes(size))
        files.store[f"/talks/{name}"].created = AT
    yield Store("memory://talks")
    files.store.clear()


def test_files_below_and_directly_in_a_folder_come_by_name(store: Store) -> None:
    urls = ["memory://talks/a.wav", "memory://talks/b.wav", "memory://talks/deep/c.flac"]
    assert [entry.url for entry in store.below("memory://talks")] == urls
    assert [entry.url for entry in store.directly_in("memory://talks")] == urls[:2]
    assert store.below("memory://nothing") == store.directly_in("memory://nothing") == []


def test_a_pattern_means_files_alone(store: Store) -> None:
    assert [entry.url for entry in store.matching("memory://talks/*.wav")] == [
        "memory://talks/a.wav",
        "memory://talks/b.wav",
    ]
    assert [entry.size for entry in store.matching("memory://talks/*")] == [2, 1]  # and no folder
    assert store.matching("memory://talks/*.mp3") == []


def test_one_file_with_its_size_and_time(store: Store) -> None:
    entry = store.entry("memory://talks/a.wav")
    assert (entry.url, entry.size, entry.modified) == ("memory://talks/a.wav", 2, AT.timestamp())
    assert store.find("memory://talks/a.wav") == entry
    assert entry.version != ""
    store.files.store["/talks/a.wav"].created = AT.replace(year=2027)
    assert store.entry("memory://talks/a.wav").version != entry.version


def test_what_is_not_there(store: Store) -> None:
    assert [store.kind(f"memory://talks{rest}") for rest in ("/a.wav", "/deep", "/d.wav")] == [
        "file",
        "folder",
        "nothing",
    ]
    assert store.find("memory://talks/d.wav") is None
    assert store.find("memory://talks/deep") is None
    with pytest.raises(FileError, match=r"^memory://talks/d.wav cannot be read: there is no such bucket or file"):
        store.entry("memory://talks/d.wav")


def test_a_url_has_one_form_however_it_is_written(store: Store) -> None:
    stores = Stores()
    assert stores.normal("memory:///talks/a.wav") == stores.normal("memory://talks/a.wav") == "memory://talks/a.wav"


def test_a_store_that_nobody_knows_is_one_line() -> None:
    with pytest.raises(UsageError, match=r"^nowhere://a/b: fsspec knows no stores called nowhere://$"):
        Store("nowhere://a/b")
