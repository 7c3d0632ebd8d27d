"""What the shipped model promises on sound: clean speech, noise alone, levels, onsets, and no lag at any rate."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from helpers import lag, level_db, si_sdr_db

from enhance import Denoiser
from enhance.resampling import resample


def read_mono(path: Path) -> np.ndarray:
    """A file of the evaluation set, float32 [time] at 48 kHz."""
    audio, rate = soundfile.read(path, dtype="float32")
    assert rate == 48000
    assert audio.ndim == 1
    return audio


@pytest.fixture(scope="module")
def clean_speech(shared: Path) -> list[np.ndarray]:
    return [read_mono(path) for path in sorted((shared / "eval" / "clean").iterdir())[::4]]


def test_clean_speech_stays_as_it_is(shipped_denoiser: Denoiser, clean_speech: list[np.ndarray]) -> None:
    """On average over speakers: SI-SDR of at least 20 dB, and the level within 0.5 dB."""
    pairs = [(shipped_denoiser.denoise(clean, 48000), clean) for clean in clean_speech]
    assert np.mean([si_sdr_db(estimate, clean) for estimate, clean in pairs]) >= 20
    assert abs(np.mean([level_db(estimate) - level_db(clean) for estimate, clean in pairs])) <= 0.5


def test_noise_alone_is_lowered_by_20_db(shipped_denoiser: Denoiser, shared: Path) -> None:
    """On average over all recordings that are in no training file; the first second, in which it adapts, counts too."""
    lowered = []
    for path in sorted((shared / "data" / "noise" / "valid").iterdir()):
        with soundfile.SoundFile(path) as file:
            noise, rate = file.read(frames=10 * file.samplerate, dtype="float32"), file.samplerate
        lowered.append(level_db(noise) - level_db(shipped_denoiser.denoise(noise, rate)))
    assert np.mean(lowered) >= 20


def test_the_input_level_does_not_matter(shipped_denoiser: Denoiser, shared: Path) -> None:
    """The same mixture with its peak from -50 to 0 dBFS gives the same result, scaled, within -30 dB."""
    noisy = read_mono(sorted((shared / "eval" / "noisy").iterdir())[0])
    noisy = noisy / np.abs(noisy).max()
    loud = shipped_denoiser.denoise(noisy, 48000)
    for peak_dbfs in (-10, -20, -30, -40, -50):
        gain = 10 ** (peak_dbfs / 20)
        quiet = shipped_denoiser.denoise(gain * noisy, 48000)
        assert si_sdr_db(quiet, loud) >= 30
        assert level_db(quiet) - level_db(loud) == pytest.approx(peak_dbfs, abs=0.1)


def test_the_energy_of_onsets_is_kept(shipped_denoiser: Denoiser, clean_speech: list[np.ndarray]) -> None:
    """Speech that sets in after a second of faint noise loses less than 3 dB in its first 50 ms, in the median."""
    rng = np.random.default_rng(0)
    lost = []
    for clean in clean_speech:
        loud = np.abs(clean) > 0.1 * np.abs(clean).max()
        onset = int(np.argmax(loud))
        speech = np.concatenate([np.zeros(48000, np.float32), clean[onset : onset + 48000]])
        noise = 0.003 * np.sqrt(np.mean(speech**2)) * rng.standard_normal(speech.size)
        estimate = shipped_denoiser.denoise(speech + noise, 48000)
        first = slice(48000, 48000 + 2400)
        lost.append(level_db(speech[first]) - level_db(estimate[first]))
    assert np.median(lost) < 3


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 44100, 48000, 96000])
def test_the_shipped_model_has_no_lag(shipped_denoiser: Denoiser, shared: Path, rate: int) -> None:
    noisy = read_mono(sorted((shared / "eval" / "noisy").iterdir())[1])
    noisy = resample(noisy[np.newaxis], 48000, rate)[0]
    assert lag(shipped_denoiser.denoise(noisy, rate), noisy) == 0
