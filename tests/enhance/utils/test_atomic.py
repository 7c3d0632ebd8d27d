"""Files and folders are replaced in one step, or stay what they were."""

from pathlib import Path

import pytest

from enhance.utils.atomic import replacing, replacing_folder, write_bytes, write_text


def test_a_file_is_replaced_in_one_step(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "first")
    with replacing(path) as partial:
        partial.write_text("second")
        assert path.read_text() == "first"
        assert partial.parent == path.parent
        assert partial.name.startswith(".")
    assert path.read_text() == "second"
    assert list(tmp_path.iterdir()) == [path]


def test_what_fails_half_way_leaves_the_former_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    write_bytes(path, b"\x00\xff")

    def fail() -> None:
        with replacing(path, durable=True) as partial:
            partial.write_bytes(b"half")
            raise RuntimeError("the disk is full")

    with pytest.raises(RuntimeError, match="the disk is full"):
        fail()
    assert path.read_bytes() == b"\x00\xff"
    assert list(tmp_path.iterdir()) == [path]


def test_text_is_utf_8_and_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "größer\n")
    assert (tmp_path / "a.txt").read_bytes() == "größer\n".encode()
    with pytest.raises(FileNotFoundError):
        write_text(tmp_path / "none" / "a.txt", "")


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "cache"
    for text in ("first", "second"):
        (tmp_path / "cache.partial").mkdir()  # of a process that was killed
        (tmp_path / "cache.partial" / "rest").touch()
        with replacing_folder(path) as partial:
            (partial / "a.txt").write_text(text)
        assert [file.name for file in path.iterdir()] == ["a.txt"]
        assert (path / "a.txt").read_text() == text
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_fails_half_way_leaves_the_former_one_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "cache"
    with replacing_folder(path) as partial:
        (partial / "a.txt").write_text("whole")

    def fail() -> None:
        with replacing_folder(path) as partial:
            (partial / "a.txt").write_text("half")
            raise RuntimeError("the disk is full")

    with pytest.raises(RuntimeError, match="the disk is full"):
        fail()
    assert (path / "a.txt").read_text() == "whole"
    assert list(tmp_path.iterdir()) == [path]
