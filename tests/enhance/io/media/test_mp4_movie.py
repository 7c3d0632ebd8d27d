"""The movie header of a new MP4 shows exactly the new sound."""

from pathlib import Path

import pytest
from helpers import speech_like

from enhance.io.media.edit_list import read_edits
from enhance.io.media.mp4_boxes import extents, read_movie
from enhance.io.media.mp4_movie import NewSound, finish_movie

pytest.importorskip("av")
from media import make


def test_the_edit_list_leaves_out_delay_and_padding_of_the_encoder(tmp_path: Path) -> None:
    """24,000 samples behind a delay of 1024, begun 0.1 s late, at the 1000 ticks a second of the movie."""
    sound = [speech_like(0.5, 48_000)]
    source = make(tmp_path / "a.mp4", "mp4", "aac", None, 48_000, sound)
    target = make(tmp_path / "b.mp4", "mp4", "aac", None, 48_000, sound)
    movie = read_movie(source)
    assert movie is not None
    finish_movie(source, target, {0: 1}, {0: NewSound(24_000, 48_000, 4800, 1024)})
    movie = read_movie(target)
    assert movie is not None
    edits = read_edits(movie.all(b"trak")[0])
    assert edits is not None
    assert [(edit.duration, edit.media_time) for edit in edits] == [(100, -1), (500, 1024)]
    with target.open("rb") as file:
        assert sum(extent.size for extent in extents(file)) == target.stat().st_size
