"""The split of an estimate: parts that are known come back, a gain is no distortion, bands are told apart."""

import numpy as np
import pytest
from helpers import speech_like
from scipy import signal

from enhance.evaluation.decomposition import BANDS_HZ, decompose

SECONDS = 3.0


def signals(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Speech with a pause of a second at its end, and white noise, `[time]` at 48 kHz."""
    speech = speech_like(SECONDS, 48_000, seed=seed)[0].astype(float)
    speech[-48_000:] = 0
    return speech, 0.05 * np.random.default_rng(seed).standard_normal(speech.size)


def test_parts_that_are_known_come_back() -> None:
    """The input lowered by 6 dB keeps all noise at -6 dB; and a level is not a distortion."""
    speech, noise = signals()
    parts = decompose(0.5 * (speech + noise), speech, speech + noise, 48_000)
    assert parts.noise_left == pytest.approx([-6.02] * 4, abs=0.1)
    assert parts.pause_left == pytest.approx([-6.02] * 4, abs=0.1)
    assert parts.distortion < -100


def test_noise_and_distortion_are_kept_apart() -> None:
    """Noise at a tenth and speech with a level that moves by +-3 dB: -20 dB left, and what the movement is of it."""
    speech, noise = signals()
    noise *= 10  # as loud as the speech, or chance makes a part of the distorted speech look like it
    moving = 10 ** (3 * np.sign(np.sin(2 * np.pi * np.arange(speech.size) / 19_200)) / 20)
    parts = decompose(moving * speech + 0.1 * noise, speech, speech + noise, 48_000)
    assert parts.noise_left == pytest.approx([-20] * 4, abs=2)
    assert -12 < parts.distortion < -8  # (10 ** .15 - 10 ** -.15) / (10 ** .15 + 10 ** -.15) is -9.5 dB


def test_bands_are_kept_apart() -> None:
    speech, noise = signals()
    for number, (low, high) in enumerate(BANDS_HZ):
        edges = [low or 1.0, min(high, 23_900)]
        kept = signal.sosfiltfilt(signal.butter(8, edges, "bandpass", fs=48_000, output="sos"), noise)
        left = decompose(speech + kept, speech, speech + noise, 48_000).noise_left
        assert left[number] == max(left)
        assert left[number] > -2
        others = [level for place, level in enumerate(left) if abs(place - number) > 1]
        assert max(others, default=-60) < -15


def test_what_is_not_there_is_nan_and_no_warning(recwarn: pytest.WarningsRecorder) -> None:
    speech, noise = signals()
    endless = decompose(noise, noise, noise + noise[::-1], 48_000)
    assert np.isnan(endless.pause_left).all()
    clean = decompose(speech, speech, speech, 48_000)
    assert clean.distortion < -100
    assert np.isnan(clean.noise_left).all()
    assert not recwarn.list


def test_shapes_that_differ_are_refused() -> None:
    speech, noise = signals()
    with pytest.raises(ValueError, match="three signals of one shape"):
        decompose(speech[1:], speech, speech + noise, 48_000)
