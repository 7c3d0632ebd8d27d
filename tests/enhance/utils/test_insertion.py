"""Bytes put into the middle of a file."""

from pathlib import Path

import pytest

from enhance.utils import insertion


@pytest.mark.parametrize("place", [0, 1, 499, 1000])
@pytest.mark.parametrize("piece", [1, 7, 100, 10_000])
def test_what_follows_is_moved_piece_by_piece(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: int, piece: int
) -> None:
    monkeypatch.setattr(insertion, "_PIECE", piece)
    before, new = bytes(number % 251 for number in range(1000)), b"new content"
    (tmp_path / "a").write_bytes(before)
    with (tmp_path / "a").open("r+b") as file:
        insertion.insert(file, place, new)
    assert (tmp_path / "a").read_bytes() == before[:place] + new + before[place:]
