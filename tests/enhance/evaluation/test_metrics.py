"""`enhance.evaluation.metrics` and `enhance.evaluation.composite`: the published figures, closed forms, and what is
refused."""

import math

import numpy as np
import pytest
import soundfile
from scipy.linalg import solve_toeplitz, toeplitz

from enhance.evaluation import metrics
from enhance.evaluation.composite import composite, log_likelihood_ratio, segmental_snr, weighted_spectral_slope
from enhance.evaluation.pairs import find_pairs, read_pair
from enhance.evaluation.scoring import score

RATE = 16000


@pytest.fixture(scope="module")
def pair(shared) -> tuple[np.ndarray, np.ndarray]:
    """Three seconds of clean speech and of the same in noise, at 48 kHz."""
    name = "04_gcompris-ca_moodist-ceiling-fan_10dB.flac"
    clean, _ = soundfile.read(shared / "eval" / "clean" / name, dtype="float32", frames=3 * 48000)
    noisy, _ = soundfile.read(shared / "eval" / "noisy" / name, dtype="float32", frames=3 * 48000)
    return noisy, clean


def noise(seconds: float, rate: int = RATE, seed: int = 0) -> np.ndarray:
    return 0.1 * np.random.default_rng(seed).standard_normal(round(seconds * rate))


@pytest.mark.long
def test_the_noisy_input_gets_the_published_figures(shared):
    """All 32 mixtures; the tolerance is half a unit of the last digit in which the figures are given."""
    expected = {"pesq": (1.243, 3), "stoi": (0.819, 3), "estoi": (0.611, 3), "si_sdr": (2.9, 1), "lsd": (2.29, 2)}
    expected |= {"sig": (2.47, 2), "bak": (1.96, 2), "ovrl": (1.83, 2), "covl": (1.83, 2)}
    rows = []
    for files in find_pairs(shared / "eval"):
        clean, noisy, rate = read_pair(*files)
        rows.append(score(noisy, clean, noisy, rate))
    assert len(rows) == 32
    for name, (figure, digits) in expected.items():
        assert np.mean([row[name] for row in rows]) == pytest.approx(figure, abs=0.5 * 10**-digits + 1e-6), name


def test_si_sdr_ignores_scale_and_snr_does_not():
    target, other = noise(1), noise(1, seed=1)
    other -= (other @ target) / (target @ target) * target  # orthogonal: the ratio is known
    other *= np.sqrt((target @ target) / (other @ other) / 100)
    assert metrics.si_sdr(target + other, target, RATE) == pytest.approx(20)
    assert metrics.si_sdr(0.1 * (target + other), target, RATE) == pytest.approx(20)
    assert metrics.snr(target + other, target, RATE) == pytest.approx(20)
    assert metrics.snr(0.1 * (target + other), target, RATE) < 1


def test_metrics_compare_at_16_khz(pair):
    """Noise above 8 kHz must not count: the measures of speech see the band up to 8 kHz only."""
    _, clean = pair
    high = 0.1 * np.sin(2 * np.pi * 15000 * np.arange(clean.size) / 48000)
    assert metrics.si_sdr(clean + high, clean, 48000) > 40
    assert metrics.pesq_wb(clean + high, clean, 48000) > 4.5
    assert metrics.lsd(clean + high, clean, 48000) > 0.1


def test_pesq_of_silence_is_nan_and_so_are_the_ratings_built_on_it(pair):
    _, clean = pair
    silence = np.zeros_like(clean)
    assert math.isnan(metrics.pesq_wb(silence, clean, 48000))
    assert math.isnan(metrics.pesq_wb(clean, silence, 48000))
    ratings = score(silence, clean, clean, 48000)
    assert all(math.isnan(ratings[name]) for name in ("pesq", "csig", "cbak", "covl"))
    assert all(math.isfinite(ratings[name]) for name in ("stoi", "estoi", "si_sdr", "sig", "bak", "ovrl", "lsd"))


def test_a_silent_target_has_no_ratio_and_no_intelligibility(pair):
    """They would be -168 dB and 0, and move every mean over files."""
    _, clean = pair
    silence = np.zeros_like(clean)
    for metric in (metrics.si_sdr, metrics.snr, metrics.stoi, metrics.estoi):
        assert math.isnan(metric(clean, silence, 48000))
        assert math.isnan(metric(silence, silence, 48000))


@pytest.mark.parametrize("samples", [1, 300, 4800])
def test_intelligibility_of_too_little_speech_is_nan(samples: int):
    """Not 1e-5, which pystoi gives and which would count in a mean; less than a frame is no error."""
    target = noise(samples / RATE)
    assert math.isnan(metrics.stoi(target, target, RATE))
    assert math.isnan(metrics.estoi(target, target, RATE))
    assert metrics.stoi(noise(0.5), noise(0.5), RATE) == pytest.approx(1)


def test_better_estimates_get_better_scores(pair):
    """Halving the noise improves every measure that has a direction."""
    noisy, clean = pair
    better, worse = (score(clean + gain * (noisy - clean), clean, noisy, 48000) for gain in (0.25, 1.0))
    for name in ("pesq", "stoi", "estoi", "si_sdr", "snr", "sig", "bak", "ovrl", "csig", "cbak", "covl"):
        assert better[name] > worse[name], name
    assert better["lsd"] < worse["lsd"]
    assert better["pause_residual"] < worse["pause_residual"] - 10


def test_dnsmos_doubles_short_recordings_until_they_fill_the_network(pair):
    noisy = metrics.at_metric_rate(pair[0], 48000)
    once, four_times = metrics.dnsmos(noisy, RATE), metrics.dnsmos(np.tile(noisy, 4), RATE)
    assert once == four_times  # 3 s become 12 s either way
    with pytest.raises(ValueError, match="at least one sample"):
        metrics.dnsmos([], RATE)


def test_dnsmos_takes_the_windows_of_the_published_script():
    """10.2 s are one window there, though a second one would fit; 11 s are two."""
    audio = noise(11)
    first, second = (metrics.dnsmos(audio[start : start + int(9.01 * RATE)], RATE) for start in (0, RATE))
    assert metrics.dnsmos(audio[: int(9.5 * RATE)], RATE) == first
    assert metrics.dnsmos(audio[: int(10.2 * RATE)], RATE) == first
    assert metrics.dnsmos(audio, RATE).ovrl == pytest.approx((first.ovrl + second.ovrl) / 2)


def test_lsd_covers_the_band_above_16_khz_and_is_nan_where_there_is_none():
    full = noise(1, 48000)
    spectrum = np.fft.rfft(full)
    spectrum[20000:] = 0  # Hz: everything above 20 kHz
    assert metrics.lsd(np.fft.irfft(spectrum, full.size), full, 48000) > 1
    assert metrics.lsd(full, full, 48000) == 0
    assert math.isnan(metrics.lsd(full, full, 32000))


def test_speech_gain_sees_suppressed_speech_and_no_noise():
    speech = noise(4) * (np.arange(4 * RATE) // RATE % 2)  # a second of pause, a second of speech, twice
    assert metrics.speech_gain_db(0.5 * speech, speech, RATE) == pytest.approx(-6.02, abs=0.01)
    assert metrics.speech_gain_db(0.5 * speech + noise(4, seed=1), speech, RATE) == pytest.approx(-6, abs=0.5)
    assert math.isnan(metrics.speech_gain_db(speech, np.zeros_like(speech), RATE))


def test_pause_residual_sees_noise_in_pauses_and_no_speech():
    speech = noise(4) * (np.arange(4 * RATE) // RATE % 2)
    noisy = speech + noise(4, seed=1)
    estimate = 3 * speech + 0.01 * noise(4, seed=1)
    assert metrics.pause_residual_db(estimate, speech, noisy, RATE) == pytest.approx(-40, abs=0.01)
    assert metrics.pause_residual_db(speech, speech, noisy, RATE) == -120  # nothing is left
    assert math.isnan(metrics.pause_residual_db(noisy, noise(4), noisy, RATE))  # no pause


def test_composite_terms_of_a_perfect_estimate():
    speech = noise(1)
    assert np.all(log_likelihood_ratio(speech, speech, RATE) == 0)
    assert np.all(weighted_spectral_slope(speech, speech, RATE) == 0)
    assert np.all(segmental_snr(speech, speech, RATE) == 35)
    ratings = composite(speech, speech, RATE, pesq=4.644)
    assert (ratings.csig, ratings.cbak, ratings.covl) == (5, 5, 5)


def test_log_likelihood_ratio_agrees_with_a_direct_solution():
    """Against the Toeplitz solver of scipy, frame by frame. 1e-8: both are exact but for rounding in 16 equations."""
    target, estimate = noise(0.5), noise(0.5) + noise(0.5, seed=1)
    window = np.hanning(482)[1:-1]

    def predictor(frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        lags = np.correlate(frame, frame, "full")[479 : 479 + 17]
        return lags, np.concatenate([[1], -solve_toeplitz(lags[:16], lags[1:])])

    expected = []
    for start in range(0, target.size - 480 - 119, 120):
        lags, of_target = predictor(target[start : start + 480] * window)
        _, of_estimate = predictor(estimate[start : start + 480] * window)
        matrix = toeplitz(lags)
        expected.append(np.log((of_estimate @ matrix @ of_estimate) / (of_target @ matrix @ of_target)))
    np.testing.assert_allclose(log_likelihood_ratio(estimate, target, RATE), expected, atol=1e-8)


def test_composite_repeats_the_scaling_of_the_published_script_only_when_asked(pair):
    noisy, clean = (metrics.at_metric_rate(audio, 48000) for audio in pair)
    published = composite(noisy, clean, RATE, pesq=1.5)
    defined = composite(noisy, clean, RATE, pesq=1.5, as_published=False)
    assert published.covl > defined.covl + 0.05
    slopes = weighted_spectral_slope(noisy, clean, RATE)
    np.testing.assert_allclose(slopes, weighted_spectral_slope(2 * noisy, 2 * clean, RATE), rtol=1e-6)


@pytest.mark.parametrize("shapes", [((100,), (99,)), ((2, 100), (2, 100))])
def test_signals_of_other_shapes_are_refused(shapes):
    estimate, target = (np.zeros(shape) for shape in shapes)
    for metric in (metrics.si_sdr, metrics.snr, metrics.pesq_wb, metrics.stoi, metrics.estoi, metrics.speech_gain_db):
        with pytest.raises(ValueError, match="expected two signals of one shape"):
            metric(estimate, target, RATE)
    with pytest.raises(ValueError, match="expected two signals of one shape"):
        metrics.lsd(estimate, target, 48000)
    with pytest.raises(ValueError, match="expected two signals of one shape"):
        composite(estimate, target, RATE, pesq=1.5)
    with pytest.raises(ValueError, match="expected at least 600 samples, got 100"):
        composite(np.zeros(100), np.zeros(100), RATE, pesq=1.5)
