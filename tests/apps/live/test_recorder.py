"""Recordings of a live session: both sides aligned, and there when the program is killed."""

from pathlib import Path

import numpy as np
import pytest
from command import read
from helpers import speech_like
from livepath import RATE

from apps.live.session.recorder import Recorder
from enhance.io.sound.sound_file import SoundReader
from enhance.utils.errors import FileError


def test_recorder_writes_both_sides_aligned(tmp_path: Path) -> None:
    audio = speech_like(1, RATE, 2).T
    recorder = Recorder(tmp_path / "new", RATE, 2, delay=500)
    late = np.concatenate([np.zeros((500, 2), np.float32), audio])[: len(audio)]
    for start in range(0, len(audio), 700):
        recorder.write(audio[start : start + 700], late[start : start + 700])
    recorder.close()
    given, out = (read(path) for path in recorder.paths)
    assert given.shape == out.shape == (2, len(audio) - 500)
    np.testing.assert_array_equal(given, out)
    again = Recorder(tmp_path / "new", RATE, 2, delay=0)
    again.close()
    assert len(set(recorder.paths + again.paths)) == 4


def test_a_recording_that_is_killed_is_there_but_for_its_last_second(tmp_path: Path) -> None:
    audio = np.random.default_rng(0).normal(0, 0.1, (5 * RATE, 1)).astype(np.float32)
    recorder = Recorder(tmp_path, RATE, 1, delay=0)
    for start in range(0, len(audio), 480):
        recorder.write(audio[start : start + 480], audio[start : start + 480])
    for path in recorder.paths:  # as they are on the disk at this moment
        killed = SoundReader(path, salvage=True)
        there = np.concatenate([block.copy() for block in killed.blocks()], axis=1)
        killed.close()
        assert there.shape[1] > 4 * RATE - 2 * 4096
        np.testing.assert_allclose(there[0], audio[: there.shape[1], 0], atol=2**-23)
    recorder.close()


def test_recording_to_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="cannot record to"):
        Recorder(tmp_path / "file" / "folder", RATE, 1, delay=0)
