"""What the shipped model promises on sound: clean speech, noise alone, levels, onsets, and no lag at any rate."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from helpers import lag, level_db, si_sdr_db

from enhance import Denoiser, find_model, list_models, model_for_files
from enhance.dsp.resampling import resample

EXCERPTS = Path(__file__).parents[2] / "data"
EVALUATION = Path(__file__).parents[4] / "shared" / "eval"


def read_mono(path: Path) -> np.ndarray:
    """A recording, float32 [time] at 48 kHz."""
    audio, rate = soundfile.read(path, dtype="float32")
    assert audio.ndim == 1
    return audio if rate == 48_000 else resample(audio[np.newaxis], rate, 48_000)[0]


def recordings(kind: str) -> list[np.ndarray]:
    """The excerpt of this repository, and every fourth file of the evaluation set where that lies beside it."""
    found = sorted((EVALUATION / kind).iterdir())[::4] if EVALUATION.is_dir() else []
    return [read_mono(path) for path in (EXCERPTS / f"{kind}.flac", *found)]


@pytest.fixture(scope="module", params=sorted({list_models()[0].name, model_for_files()}))
def default_model(request: pytest.FixtureRequest) -> Denoiser:
    """The default model of streams, and that of files."""
    return Denoiser(request.param)


@pytest.fixture(scope="module")
def clean_speech() -> list[np.ndarray]:
    return recordings("clean")


@pytest.fixture(scope="module")
def noisy_speech() -> list[np.ndarray]:
    return recordings("noisy")


def test_promise_19_clean_speech_stays_as_it_is(default_model: Denoiser, clean_speech: list[np.ndarray]) -> None:
    """On average over speakers: SI-SDR of at least 20 dB, and the level within 0.5 dB."""
    pairs = [(default_model.denoise(clean, 48000), clean) for clean in clean_speech]
    assert np.mean([si_sdr_db(estimate, clean) for estimate, clean in pairs]) >= 20
    assert abs(np.mean([level_db(estimate) - level_db(clean) for estimate, clean in pairs])) <= 0.5


def test_noise_alone_is_lowered_by_20_db(default_model: Denoiser, shared: Path) -> None:
    """On average over all recordings that are in no training file; the first second, in which it adapts, counts too."""
    lowered = []
    for path in sorted((shared / "data" / "noise" / "valid").iterdir()):
        with soundfile.SoundFile(path) as file:
            noise, rate = file.read(frames=10 * file.samplerate, dtype="float32"), file.samplerate
        lowered.append(level_db(noise) - level_db(default_model.denoise(noise, rate)))
    assert np.mean(lowered) >= 20


def test_promise_13_the_input_level_does_not_matter(default_model: Denoiser, noisy_speech: list[np.ndarray]) -> None:
    """The same mixture with its peak from -50 to 0 dBFS gives the same result, scaled, within -30 dB."""
    noisy = noisy_speech[0] / np.abs(noisy_speech[0]).max()
    loud = default_model.denoise(noisy, 48000)
    for peak_dbfs in (-10, -20, -30, -40, -50):
        gain = 10 ** (peak_dbfs / 20)
        quiet = default_model.denoise(gain * noisy, 48000)
        assert si_sdr_db(quiet, loud) >= 30
        assert level_db(quiet) - level_db(loud) == pytest.approx(peak_dbfs, abs=0.1)


@pytest.mark.parametrize(("snr_db", "median", "nine_of_ten"), [(50, 0.5, 1.5), (15, 0.5, 1.5), (5, 1.0, 3.0)])
def test_promise_14_the_energy_of_onsets_is_kept(
    default_model: Denoiser, clean_speech: list[np.ndarray], snr_db: float, median: float, nine_of_ten: float
) -> None:
    """Speech that sets in after a second of white noise loses little in its first 50 ms, dB."""
    rng, lost = np.random.default_rng(0), []
    for clean in clean_speech:
        onset = int(np.argmax(np.abs(clean) > 0.1 * np.abs(clean).max()))
        speech = np.concatenate([np.zeros(48000, np.float32), clean[onset : onset + 48000]])
        noise = 10 ** (level_db(speech[48000:]) / 20 - snr_db / 20) * rng.standard_normal(speech.size)
        estimate = default_model.denoise(speech + noise, 48000)
        first = slice(48000, 48000 + 2400)
        lost.append(level_db(speech[first]) - level_db(estimate[first]))
    assert np.median(lost) < median
    assert np.quantile(lost, 0.9) < nine_of_ten


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 44100, 48000, 96000])
def test_promise_06_the_shipped_model_has_no_lag(
    default_model: Denoiser, noisy_speech: list[np.ndarray], rate: int
) -> None:
    noisy = resample(noisy_speech[0][np.newaxis], 48000, rate)[0]
    assert lag(default_model.denoise(noisy, rate), noisy) == 0


@pytest.mark.parametrize(("snr_db", "least"), [(None, 15.0), (10.0, 12.0)])
def test_promise_17_telephone_speech_is_kept(
    default_model: Denoiser, clean_speech: list[np.ndarray], snr_db: float | None, least: float
) -> None:
    """Speech of 300 to 3400 Hz at 8 kHz, clean or in noise: SI-SDR on average, dB, and its level within 1.5 dB."""
    rng, kept, gains = np.random.default_rng(0), [], []
    for clean in clean_speech:
        narrow = resample(clean[None], 48_000, 8_000)[0]
        telephone, noise = (telephone_band(audio) for audio in (narrow, rng.standard_normal(narrow.size)))
        share = 0.0 if snr_db is None else 10 ** ((level_db(telephone) - level_db(noise) - snr_db) / 20)
        estimate = default_model.denoise((telephone + share * noise).astype(np.float32), 8_000)
        kept.append(si_sdr_db(estimate, telephone))
        gains.append(20 * np.log10(estimate @ telephone / (telephone @ telephone)))
    assert np.mean(kept) >= least
    assert min(gains) > -1.5


def telephone_band(audio: np.ndarray) -> np.ndarray:
    """`[time]` at 8 kHz without what a telephone does not carry."""
    spectrum, frequency = np.fft.rfft(audio), np.fft.rfftfreq(audio.size, 1 / 8_000)
    spectrum[(frequency < 300) | (frequency > 3_400)] = 0
    return np.fft.irfft(spectrum, audio.size)


def band_power(audio: np.ndarray) -> np.ndarray:
    """`[time]` at 48 kHz to the power in about four bands an octave and windows of 100 ms, half overlapping."""
    edges = np.unique(np.round(np.geomspace(10, 2400, 25)).astype(int))
    frames = np.lib.stride_tricks.sliding_window_view(audio, 4800)[::2400] * np.hanning(4800)
    return np.add.reduceat(np.square(np.abs(np.fft.rfft(frames))), edges, axis=1)


def test_promise_18_nothing_is_invented(default_model: Denoiser, noisy_speech: list[np.ndarray]) -> None:
    """No tenth of a second of the output is louder than its input by 1 dB, in no band by 4 dB; silence stays silent."""
    for noisy in noisy_speech:
        before, after = band_power(noisy), band_power(default_model.denoise(noisy, 48_000))
        assert np.all(after.sum(axis=1) <= before.sum(axis=1) * 10**0.1 + 1e-9)
        assert np.all(after <= before * 10**0.4 + 1e-5 * before.max())
    assert not default_model.denoise(np.zeros(48_000, np.float32), 48_000).any()


def test_promise_34_no_shipped_model_is_quantised() -> None:
    """A quantised model would need a table that shows it pays; none is shipped."""
    for entry in list_models():
        content = find_model(entry.name).read_bytes()
        assert not any(operator in content for operator in (b"QuantizeLinear", b"MatMulInteger", b"QLinearMatMul"))


@pytest.mark.parametrize("name", sorted({list_models()[0].name, model_for_files()}))
def test_the_evaluation_on_record_reaches_the_floors(name: str) -> None:
    """The committed scores of the default models, made by `python -m enhance.evaluate`."""
    folder = Path(__file__).parents[3] / "checkpoints"
    metrics = json.loads((folder / "evaluation" / f"{name}_eval.json").read_text())["metrics"]
    floors = {"pesq": 1.62, "estoi": 0.68, "si_sdr": 9.5, "ovrl": 2.35, "clean_si_sdr": 20.0}
    assert {key: metrics[key]["mean"] for key, floor in floors.items() if metrics[key]["mean"] < floor} == {}
    assert abs(metrics["clean_level"]["mean"]) <= 0.5
    assert metrics["noise_level"]["mean"] <= -20
