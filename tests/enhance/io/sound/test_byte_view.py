"""A file seen otherwise than it lies on the disk reads as if the parts were one file."""

import os
from pathlib import Path

import pytest

from enhance.io.sound.byte_view import ByteView


@pytest.mark.parametrize("size", [1, 3, 100])
def test_parts_are_read_one_after_the_other(tmp_path: Path, size: int) -> None:
    (tmp_path / "a").write_bytes(b"0123456789")
    view = ByteView(tmp_path / "a", [b"head", (2, 5), b"", (8, 10)])
    found, buffer = b"", bytearray(size)
    while count := view.readinto(buffer):
        found += buffer[:count]
    assert found == b"head23489"
    view.close()


def test_places_count_in_the_view(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"0123456789")
    view = ByteView(tmp_path / "a", [b"head", (2, 5)])
    assert view.seek(-2, os.SEEK_END) == view.tell() == 5
    buffer = bytearray(4)
    assert view.readinto(buffer) == 2
    assert bytes(buffer[:2]) == b"34"
    assert view.seek(0) == 0
    assert view.seek(5, os.SEEK_CUR) == 5
    view.close()


def test_a_range_that_the_file_lacks_ends_it(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"0123")
    view = ByteView(tmp_path / "a", [(2, 100)])
    assert view.readinto(bytearray(10)) == 2
    view.close()
