"""The file that libsndfile writes into: errors are kept, and bytes put in are hidden from it."""

import io
import os
from pathlib import Path

from enhance.io.sound.checked_file import CheckedFile


class Full(io.BytesIO):
    """A disk without room."""

    def write(self, data: bytes) -> int:  # type: ignore[override]
        raise OSError(28, "No space left on device")


def test_the_first_error_is_kept_to_be_raised_later() -> None:
    file = CheckedFile(Full())
    assert file.write(b"abc") == 0
    assert isinstance(file.error, OSError)
    assert file.error.errno == 28


def test_bytes_that_were_put_in_are_not_seen(tmp_path: Path) -> None:
    with (tmp_path / "a").open("w+b") as disk:
        file = CheckedFile(disk)
        file.write(b"HEADdata")
        file.insert(4, b"<own>")
        assert file.seek(0, os.SEEK_END) == 8
        file.write(b"more")
        file.seek(0)
        file.write(b"head")  # libsndfile writes its header anew at the end
        buffer = bytearray(8)
        file.seek(4)
        assert file.readinto(buffer) == 8
        assert bytes(buffer) == b"datamore"
        assert file.head() == b"head<own>datamore"
    assert (tmp_path / "a").read_bytes() == b"head<own>datamore"


def test_nothing_is_put_in_where_there_is_no_place(tmp_path: Path) -> None:
    with (tmp_path / "a").open("w+b") as disk:
        file = CheckedFile(disk)
        file.write(b"abc")
        file.insert(-1, b"<own>")
        assert file.head() == b"abc"
