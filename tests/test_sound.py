"""What the shipped model promises on sound: clean speech, noise alone, levels, onsets, and no lag at any rate."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from helpers import lag, level_db, si_sdr_db

from enhance import Denoiser, find_model, list_models
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


def test_promise_19_clean_speech_stays_as_it_is(shipped_denoiser: Denoiser, clean_speech: list[np.ndarray]) -> None:
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


def test_promise_13_the_input_level_does_not_matter(shipped_denoiser: Denoiser, shared: Path) -> None:
    """The same mixture with its peak from -50 to 0 dBFS gives the same result, scaled, within -30 dB."""
    noisy = read_mono(sorted((shared / "eval" / "noisy").iterdir())[0])
    noisy = noisy / np.abs(noisy).max()
    loud = shipped_denoiser.denoise(noisy, 48000)
    for peak_dbfs in (-10, -20, -30, -40, -50):
        gain = 10 ** (peak_dbfs / 20)
        quiet = shipped_denoiser.denoise(gain * noisy, 48000)
        assert si_sdr_db(quiet, loud) >= 30
        assert level_db(quiet) - level_db(loud) == pytest.approx(peak_dbfs, abs=0.1)


def test_promise_14_the_energy_of_onsets_is_kept(shipped_denoiser: Denoiser, clean_speech: list[np.ndarray]) -> None:
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
def test_promise_06_the_shipped_model_has_no_lag(shipped_denoiser: Denoiser, shared: Path, rate: int) -> None:
    noisy = read_mono(sorted((shared / "eval" / "noisy").iterdir())[1])
    noisy = resample(noisy[np.newaxis], 48000, rate)[0]
    assert lag(shipped_denoiser.denoise(noisy, rate), noisy) == 0


def test_promise_17_telephone_speech_is_kept(shipped_denoiser: Denoiser, clean_speech: list[np.ndarray]) -> None:
    """Clean speech limited to 300 to 3400 Hz at 8 kHz comes back with an SI-SDR of at least 15 dB on average."""
    kept = []
    for clean in clean_speech:
        narrow = resample(clean[None], 48_000, 8_000)[0]
        spectrum = np.fft.rfft(narrow)
        frequency = np.fft.rfftfreq(narrow.size, 1 / 8_000)
        spectrum[(frequency < 300) | (frequency > 3_400)] = 0
        telephone = np.fft.irfft(spectrum, narrow.size).astype(np.float32)
        kept.append(si_sdr_db(shipped_denoiser.denoise(telephone, 8_000), telephone))
    assert np.mean(kept) >= 15


def test_promise_18_nothing_is_invented(shipped_denoiser: Denoiser, shared: Path) -> None:
    """No tenth of a second of the output is louder than its input by 1 dB, and silence stays silent."""
    for path in sorted((shared / "eval" / "noisy").iterdir())[::4]:
        noisy = read_mono(path)
        estimate = shipped_denoiser.denoise(noisy, 48_000)
        before, after = (
            np.square(x[: x.size // 4800 * 4800].reshape(-1, 4800)).mean(axis=1) for x in (noisy, estimate)
        )
        assert np.all(after <= before * 10**0.1 + 1e-9)
    assert not shipped_denoiser.denoise(np.zeros(48_000, np.float32), 48_000).any()


def test_promise_34_no_shipped_model_is_quantised() -> None:
    """A quantised model would need a table that shows it pays; none is shipped."""
    for entry in list_models():
        content = find_model(entry.name).read_bytes()
        assert not any(operator in content for operator in (b"QuantizeLinear", b"MatMulInteger", b"QLinearMatMul"))


def test_the_evaluation_on_record_reaches_the_floors() -> None:
    """The committed scores of the default model, made by `python -m enhance.evaluate`."""
    name = list_models()[0].name
    folder = Path(__file__).parent.parent / "checkpoints"
    metrics = json.loads((folder / "evaluation" / f"{name}_eval.json").read_text())["metrics"]
    floors = {"pesq": 1.62, "estoi": 0.68, "si_sdr": 9.5, "ovrl": 2.35, "clean_si_sdr": 20.0}
    assert {key: metrics[key]["mean"] for key, floor in floors.items() if metrics[key]["mean"] < floor} == {}
    assert abs(metrics["clean_level"]["mean"]) <= 0.5
    assert metrics["noise_level"]["mean"] <= -20
