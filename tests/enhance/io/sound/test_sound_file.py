"""Sound files are read by block and written as libsndfile names their encoding."""

from pathlib import Path

import numpy as np
import pytest
from command import read, write
from helpers import speech_like

from enhance.io.bitrate import Compression
from enhance.io.formats import Encoding
from enhance.io.sound.sound_file import SoundReader, SoundWriter, UnreadableError
from enhance.utils.errors import FileError


def test_blocks_are_the_file(tmp_path: Path) -> None:
    audio = speech_like(5.5, 48_000, channels=2)
    reader = SoundReader(write(tmp_path / "a.wav", audio, subtype="FLOAT"))
    assert (reader.sample_rate, reader.channels, reader.frames) == (48_000, 2, 264_000)
    assert reader.encoding.subtype == "FLOAT"
    found = [block.copy() for block in reader.blocks()]  # the next one comes in the same memory
    reader.close()
    assert len(found) == 3, "two seconds of stereo at a time"
    np.testing.assert_array_equal(np.concatenate(found, axis=1), audio)


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
def test_what_is_written_is_rounded_to_the_nearest_step(tmp_path: Path, subtype: str) -> None:
    audio = speech_like(0.5, 44_100, channels=2)
    writer = SoundWriter(
        tmp_path / "a.wav", Encoding("WAV", subtype), 44_100, 2, Compression(), {"title": "Title"}, b""
    )
    for start in range(0, audio.shape[1], 1000):
        writer.write(audio[:, start : start + 1000])
    writer.close()
    half = {"PCM_16": 2.0**-16, "PCM_24": 2.0**-24, "FLOAT": 0.0}[subtype]
    np.testing.assert_allclose(read(tmp_path / "a.wav"), audio, rtol=0, atol=half * 1.001)
    reader = SoundReader(tmp_path / "a.wav")
    assert reader.strings()["title"] == "Title"
    reader.close()


def test_files_that_are_no_sound_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_text("no sound " * 100)
    with pytest.raises(UnreadableError, match="not a sound file that can be read"):
        SoundReader(tmp_path / "a.wav")
    cut = write(tmp_path / "b.flac", speech_like(1, 48_000))
    cut.write_bytes(cut.read_bytes()[:-5000])
    with pytest.raises(FileError):
        list(SoundReader(cut).blocks())
