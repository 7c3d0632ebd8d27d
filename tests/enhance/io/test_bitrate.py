"""Lossy files come back at about their bitrate."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from command import mpeace, read, write
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


@pytest.mark.parametrize("channels", [3, 6])
@pytest.mark.parametrize("suffix", ["ogg", "opus"])
def test_sound_of_many_channels_keeps_its_treble_in_another_codec(
    tmp_path: Path, tiny_model: Path, suffix: str, channels: int
) -> None:
    noise = 0.1 * np.random.default_rng(0).standard_normal((channels, 48_000)).astype(np.float32)
    source, output = write(tmp_path / "a.wav", noise), tmp_path / f"b.{suffix}"
    command = ("denoise", source, "-o", output, "--format", suffix, "--mix", 0, "--model", tiny_model)
    assert mpeace(*command).status == 0
    above = [np.abs(np.fft.rfft(sound[:, :48_000]))[:, 9_000:16_000].mean() for sound in (noise, read(output))]
    assert 20 * np.log10(above[1] / above[0]) > -3


def test_variable_bitrate_follows_the_input() -> None:
    levels = [match_compression("MPEG_LAYER_III", rate, 2, 44_100, "VARIABLE").level for rate in (64e3, 130e3, 245e3)]
    assert levels == sorted(levels, reverse=True)  # type: ignore[type-var]
    assert levels[0] == pytest.approx(0.9)
