"""The frames of an MP3 are counted, so that its length is known to the sample."""

import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from command import write

from enhance.io.sound.mp3_frames import bitrate, is_mp3, scan


def mp3(path: Path, rate: int, channels: int, seconds: float = 1.0) -> Path:
    with soundfile.SoundFile(
        path, "w", rate, channels, format="MP3", compression_level=0.0, bitrate_mode="CONSTANT"
    ) as file:
        file.write(0.1 * np.random.default_rng(0).standard_normal((round(seconds * rate), channels)))
    return path


@pytest.mark.parametrize(("rate", "each"), [(44_100, 1152), (48_000, 1152), (22_050, 576), (8_000, 576)])
@pytest.mark.parametrize("channels", [1, 2])
def test_a_recording_is_as_long_as_what_was_encoded(tmp_path: Path, rate: int, each: int, channels: int) -> None:
    found = scan(mp3(tmp_path / "a.mp3", rate, channels))
    (recording,) = found.recordings
    assert (recording.sample_rate, recording.channels, recording.layer) == (rate, channels, 3)
    assert recording.samples_per_frame == each
    assert recording.declared == recording.frames
    assert recording.samples == rate
    assert (found.junk, found.cut) == (0, False)


def test_a_large_file_of_zeros_is_no_mp3_and_soon_told_from_one(tmp_path: Path) -> None:
    """An empty image of a disk, say; zeros before the first frame are let be."""
    frames = mp3(tmp_path / "a.mp3", 48_000, 1).read_bytes()
    for content, found in ((b"", False), (frames, True)):
        with (tmp_path / "zeros").open("wb") as file:
            file.seek(2**26)
            file.write(content or b"\0")
        begin = time.process_time()
        assert is_mp3(tmp_path / "zeros") is found
        assert time.process_time() - begin < 1.5


def test_the_bitrate_is_that_of_the_frames(tmp_path: Path) -> None:
    bits, constant = bitrate(scan(mp3(tmp_path / "a.mp3", 44_100, 2, 3.0)))
    assert bits == pytest.approx(320e3, rel=2e-3)
    assert constant


def test_junk_and_a_cut_last_frame_are_reported(tmp_path: Path) -> None:
    content = mp3(tmp_path / "a.mp3", 44_100, 1).read_bytes()
    (tmp_path / "b.mp3").write_bytes(content[:-10])
    assert scan(tmp_path / "b.mp3").cut
    (tmp_path / "c.mp3").write_bytes(content + b"no frame" * 4 + content)
    found = scan(tmp_path / "c.mp3")
    assert len(found.recordings) == 2
    assert found.junk == 32


def test_other_files_are_no_mp3(tmp_path: Path) -> None:
    assert is_mp3(mp3(tmp_path / "a.mp3", 44_100, 1))
    assert not is_mp3(write(tmp_path / "a.flac", np.zeros(100)))
    (tmp_path / "a.txt").write_text("text " * 100)
    assert not is_mp3(tmp_path / "a.txt")
