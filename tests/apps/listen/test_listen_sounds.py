"""Sounds of a listening test: matched in loudness by the named rule, never clipped, anchors within the mask."""

from pathlib import Path

import numpy as np
import pytest
from command import read, write
from helpers import lag, speech_like
from listening import open_session, write_sounds, write_toml
from scipy import signal

from apps.listen.serving.anchors import anchor, low_pass
from apps.listen.serving.loudness import HIGHEST_PEAK, integrated

LU = 0.1  # what a meter may be off (EBU Tech 3341)


def test_the_meter_reads_the_reference_tone() -> None:
    """BS.1770-4: a 997 Hz sine at full scale in one channel reads -3.01 LKFS; EBU Tech 3341 case 1: -23 dBFS stereo."""
    time = np.arange(48_000 * 5) / 48_000
    tone = np.sin(2 * np.pi * 997 * time)[:, np.newaxis]
    assert integrated(tone, 48_000) == pytest.approx(-3.01, abs=LU)
    stereo = 10 ** (-23 / 20) * np.sin(2 * np.pi * 1000 * time)[:, np.newaxis].repeat(2, axis=1)
    assert integrated(stereo, 48_000) == pytest.approx(-23.0, abs=LU)


def test_each_sound_is_brought_to_the_target(tmp_path: Path) -> None:
    toml = write_toml(write_sounds(tmp_path), method="mushra", target_lufs=-27.0, anchors_hz=[2000, 3500])
    _, plan, stimuli = open_session(toml)
    assert len(plan.on_a_page[0]) == 5
    for stimulus in plan.on_a_page[0]:
        assert integrated(stimuli.samples("all", "talk-1", stimulus), 16_000) == pytest.approx(-27.0, abs=LU)


def test_the_reference_rule_keeps_differences_in_level(tmp_path: Path) -> None:
    toml = write_toml(write_sounds(tmp_path), method="pairwise", loudness="bs1770-reference", target_lufs=-35.0)
    _, _, stimuli = open_session(toml)
    assert integrated(stimuli.samples("all", "talk-1", "reference"), 16_000) == pytest.approx(-35.0, abs=LU)
    gains = stimuli.gains["all", "talk-1"]
    assert gains["loud"] == gains["soft"] == gains["reference"]


def test_none_plays_the_files_as_they_are(tmp_path: Path) -> None:
    toml = write_toml(write_sounds(tmp_path), method="pairwise", loudness="none")
    _, _, stimuli = open_session(toml)
    np.testing.assert_array_equal(stimuli.samples("all", "talk-2", "soft").T, read(tmp_path / "soft" / "talk-2.wav"))


def test_nothing_clips_and_the_whole_item_is_lowered_together(tmp_path: Path) -> None:
    """A sound of short clicks would have to be raised over full scale: all of its item get softer by one factor."""
    folder = write_sounds(tmp_path)
    clicks = np.zeros(16_000, np.float32)
    clicks[::4_000] = 0.9
    write(folder / "soft" / "talk-1.wav", clicks + 0.001 * speech_like(1, 16_000)[0], 16_000)
    _, _, stimuli = open_session(write_toml(folder, method="pairwise"))
    levels = [integrated(stimuli.samples("all", "talk-1", name), 16_000) for name in ("reference", "loud", "soft")]
    assert max(levels) - min(levels) < LU
    assert max(levels) < -24
    peaks = [np.abs(stimuli.samples("all", "talk-1", name)).max() for name in ("reference", "loud", "soft")]
    assert max(peaks) == pytest.approx(HIGHEST_PEAK, rel=1e-4)


@pytest.mark.parametrize("sample_rate", [16_000, 44_100, 48_000])
@pytest.mark.parametrize("hertz", [3500, 7000])
def test_anchors_keep_the_mask_of_the_standard(hertz: int, sample_rate: int) -> None:
    """BS.1534-3, section 5.1: +-0.1 dB up to 3.5 kHz, -25 dB at 4 kHz, -50 dB from 4.5 kHz; for 7 kHz moved up."""
    frequency, response = signal.freqz(low_pass(hertz, sample_rate), worN=16_384, fs=sample_rate)
    level = 20 * np.log10(np.abs(response) + 1e-12)
    assert np.abs(level[frequency <= hertz]).max() < 0.1
    assert level[frequency >= hertz + 500].max() < -25
    assert level[frequency >= hertz + 1000].max(initial=-99) < -50


def test_anchors_are_aligned_to_the_sample() -> None:
    audio = speech_like(1, 48_000, channels=2).T
    low = anchor(audio, 3500, 48_000)
    assert low.shape == audio.shape
    assert lag(low[:, 0], audio[:, 0]) == 0
    assert lag(low[:, 1], audio[:, 1]) == 0
