"""A sound track of a media file is read whole, as a source of blocks."""

from pathlib import Path

import numpy as np
import pytest
from helpers import speech_like

pytest.importorskip("av")
from media import make

from enhance.io.media.decoder import TrackReader
from enhance.utils.errors import FileError


def test_samples_come_as_they_were_written(tmp_path: Path) -> None:
    audio = speech_like(1.3, 48_000)
    reader = TrackReader(make(tmp_path / "a.mov", "mov", "pcm_f32le", "mpeg4", 48_000, [audio]))
    found = np.concatenate(list(reader.blocks()), axis=1)
    np.testing.assert_array_equal(found, audio)
    assert (reader.sample_rate, reader.channels, reader.codec) == (48_000, 1, "pcm_f32le")
    assert reader.is_fine
    assert reader.has_picture
    reader.close()


def test_of_several_tracks_one_is_taken_and_it_is_said_which(tmp_path: Path) -> None:
    tracks = [speech_like(0.5, 48_000, seed=seed) for seed in (0, 1)]
    path = make(tmp_path / "a.mka", "matroska", "flac", None, 48_000, tracks)
    reader = TrackReader(path, tracks=("2",))
    found = np.concatenate(list(reader.blocks()), axis=1)
    np.testing.assert_allclose(found, tracks[1], rtol=0, atol=2.0**-15)
    assert reader.notes[-1].startswith("track 2 of 2 was taken (--track: 1")
    reader.close()
    with pytest.raises(FileError, match="it has no sound track '3'"):
        TrackReader(path, tracks=("3",))
