"""The resampler of live sound: exact totals and time, independence of the blocks, the filter, what it holds back."""

import numpy as np
import pytest
from helpers import blocks, speech_like

from enhance.dsp.polyphase import PASSBAND, Polyphase
from enhance.dsp.rate import resampled_length
from enhance.dsp.resampling import resample

RATES = (8000, 16_000, 32_000, 44_100, 96_000)
PAIRS = [pair for rate in RATES for pair in ((rate, 48_000), (48_000, rate))] + [(11_025, 48_000)]
SHARES = (0.05, 0.5, PASSBAND, 1.02, 1.5)  # of the lower Nyquist frequency
TONES = [(*pair, share) for pair in PAIRS for share in SHARES if share * min(pair) < 0.98 * pair[0]]
RIPPLE = 2e-4  # twice the 81 dB of the filter's design, as two phases may differ


def whole(audio: np.ndarray, in_rate: int, out_rate: int) -> np.ndarray:
    resampler = Polyphase(in_rate, out_rate, len(audio))
    return np.concatenate([resampler.process(audio), resampler.flush()], axis=1)


def sine(hertz: float, rate: int, seconds: float = 0.4) -> np.ndarray:
    return np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate).astype(np.float32)[np.newaxis]


@pytest.mark.parametrize(("in_rate", "out_rate"), PAIRS)
def test_total_out_is_rounded_total_in_times_ratio(in_rate: int, out_rate: int) -> None:
    for samples in (0, 1, 2, 7, 479, 480, 481, in_rate + 3):
        expected = resampled_length(samples, in_rate, out_rate)
        assert whole(np.ones((2, samples), np.float32), in_rate, out_rate).shape == (2, expected)


@pytest.mark.parametrize(("in_rate", "out_rate"), PAIRS)
@pytest.mark.parametrize("share", [0.05, 0.5, PASSBAND])
def test_a_sine_in_the_pass_band_keeps_its_time_and_level(in_rate: int, out_rate: int, share: float) -> None:
    """Against the formula of the sine itself: sample k lies at k / rate, before and after."""
    hertz = share * min(in_rate, out_rate) / 2
    inside = slice(out_rate // 8, out_rate // 4)
    estimate = whole(sine(hertz, in_rate), in_rate, out_rate)
    np.testing.assert_allclose(estimate[:, inside], sine(hertz, out_rate)[:, inside], rtol=0, atol=RIPPLE)


@pytest.mark.parametrize(("in_rate", "out_rate", "share"), TONES)
def test_images_and_aliases_are_80_db_down(in_rate: int, out_rate: int, share: float) -> None:
    """Everything but the sine that went in; everything when that lies above the lower Nyquist frequency."""
    hertz = share * min(in_rate, out_rate) / 2
    out = whole(sine(hertz, in_rate), in_rate, out_rate)[0, out_rate // 8 : out_rate // 4].astype(np.float64)
    rest = out
    if share <= 1:
        phase = 2 * np.pi * hertz * np.arange(len(out)) / out_rate
        basis = np.stack([np.sin(phase), np.cos(phase)], axis=1)
        rest = out - basis @ np.linalg.lstsq(basis, out, rcond=None)[0]
    assert 10 * np.log10(2 * np.mean(rest**2)) < -80


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("inward", [True, False])
@pytest.mark.parametrize("size", [1, 97, 4096])
def test_promise_16_the_result_does_not_depend_on_the_blocks(rate: int, inward: bool, size: int) -> None:
    in_rate, out_rate = (rate, 48_000) if inward else (48_000, rate)
    audio = speech_like(0.1, in_rate, channels=2)
    resampler = Polyphase(in_rate, out_rate, channels=2)
    parts = [resampler.process(block) for block in blocks(audio, size)]
    np.testing.assert_array_equal(np.concatenate([*parts, resampler.flush()], axis=1), whole(audio, in_rate, out_rate))
    np.testing.assert_array_equal(whole(audio[1:], in_rate, out_rate), whole(audio, in_rate, out_rate)[1:])


@pytest.mark.parametrize(("in_rate", "out_rate"), PAIRS)
def test_what_is_held_back_is_what_is_reported(in_rate: int, out_rate: int) -> None:
    resampler = Polyphase(in_rate, out_rate)
    sample, given = np.zeros((1, 1), np.float32), 0
    for taken in range(1, 4 * resampler.half):
        given += resampler.process(sample).shape[1]
        assert given == max(0, -(-(taken - resampler.half) * out_rate // in_rate))
    assert resampler.half / in_rate <= 33 / min(in_rate, out_rate)


@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_speech_is_as_through_the_resampler_of_files(rate: int) -> None:
    """But for the band that this filter leaves out, of which speech has little."""
    audio = speech_like(1, rate)
    difference = whole(audio, rate, 48_000) - resample(audio, rate, 48_000)
    assert 10 * np.log10(np.sum(difference**2) / np.sum(audio**2)) < -20


def test_reset_forgets_the_signal() -> None:
    audio = speech_like(0.5, 44_100)
    resampler = Polyphase(44_100, 48_000)
    resampler.process(audio[:, ::-1])
    resampler.reset()
    again = np.concatenate([resampler.process(audio), resampler.flush()], axis=1)
    np.testing.assert_array_equal(again, whole(audio, 44_100, 48_000))


def test_absurd_rates_are_refused() -> None:
    with pytest.raises(ValueError, match="expected a whole number from 1000 to 768000 Hz"):
        Polyphase(0, 48_000)
