"""Chunks of one file put into another."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from command import read, write
from helpers import speech_like

from enhance.io.sound.chunk_copy import append, gather
from enhance.io.sound.chunk_values import Change
from enhance.io.sound.riff_chunks import loss


@pytest.mark.parametrize("suffix", ["wav", "aiff", "caf", "w64", "rf64"])
def test_chunks_survive_the_copy(tmp_path: Path, suffix: str) -> None:
    """A copy into a file of the same kind leaves it whole and readable."""
    source = write(tmp_path / f"a.{suffix}", speech_like(0.1, 48_000))
    target = write(tmp_path / f"b.{suffix}", speech_like(0.1, 48_000, seed=1))
    with soundfile.SoundFile(tmp_path / f"c.{suffix}", "w", 48_000, 1) as file:
        if suffix != "w64":
            file.title = "Title"
        file.write(speech_like(0.1, 48_000)[0])
    before = read(target)
    for other in (source, tmp_path / f"c.{suffix}"):
        append(gather(other, Change(48_000, 48_000)), target, front_is_written=False)
        np.testing.assert_array_equal(read(target), before)
        assert loss(target) == loss(source)
        assert loss(target).absent == 0
    with soundfile.SoundFile(target) as file:
        assert suffix in ("w64", "caf") or file.title == "Title"
