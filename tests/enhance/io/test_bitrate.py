"""Lossy files come back at about their bitrate."""

from pathlib import Path
from typing import Any

import pytest
import soundfile
from denoised import denoised
from helpers import speech_like
from mutagen.mp3 import MP3, BitrateMode

from enhance.io.bitrate import match_compression


@pytest.mark.parametrize("kilobits", [64, 128, 320])
def test_mp3_comes_back_at_its_bitrate(tmp_path: Path, tiny_model: Path, kilobits: int) -> None:
    level = (320 - kilobits) / 288
    with soundfile.SoundFile(
        tmp_path / "a.mp3", "w", 44_100, 2, format="MP3", compression_level=level, bitrate_mode="CONSTANT"
    ) as file:
        file.write(speech_like(3, 44_100, 2).T)
    before: Any = MP3(tmp_path / "a.mp3").info
    after: Any = MP3(denoised(tmp_path / "a.mp3", tiny_model)).info
    assert (before.bitrate, after.bitrate) == pytest.approx((1000 * kilobits,) * 2, rel=1e-3)
    assert after.bitrate_mode is BitrateMode.CBR


@pytest.mark.parametrize(("suffix", "subtype"), [("ogg", "VORBIS"), ("opus", "OPUS")])
def test_ogg_comes_back_at_about_its_bitrate(tmp_path: Path, tiny_model: Path, suffix: str, subtype: str) -> None:
    sizes = []
    for level in (0.1, 0.9):
        source = tmp_path / f"{level}.{suffix}"
        with soundfile.SoundFile(
            source, "w", 48_000, 1, format="OGG", subtype=subtype, compression_level=level
        ) as file:
            file.write(speech_like(5, 48_000)[0])
        output = denoised(source, tiny_model)
        assert 0.7 < output.stat().st_size / source.stat().st_size < 1.4
        sizes.append(output.stat().st_size)
        output.unlink()
    assert sizes[0] > 2 * sizes[1]


def test_variable_bitrate_follows_the_input() -> None:
    levels = [match_compression("MPEG_LAYER_III", rate, 2, 44_100, "VARIABLE").level for rate in (64e3, 130e3, 245e3)]
    assert levels == sorted(levels, reverse=True)  # type: ignore[type-var]
    assert levels[0] == pytest.approx(0.9)
