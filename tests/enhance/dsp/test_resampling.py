"""The resampler: exact totals, exact time, independence of the blocks, and the bound on what it holds back."""

import numpy as np
import pytest
from helpers import blocks, speech_like

from enhance.dsp.rate import resampled_length
from enhance.dsp.resampling import Resampler, held_back_seconds, resample

RATES = (8000, 11025, 16000, 22050, 44100, 96000)
PAIRS = [pair for rate in RATES for pair in ((rate, 48000), (48000, rate))] + [(44101, 48000), (1000, 48000)]
FILTER_TOLERANCE = 1e-4  # -80 dB: pass-band ripple and float32 rounding of soxr HQ


@pytest.mark.parametrize(("in_rate", "out_rate"), PAIRS)
def test_total_out_is_rounded_total_in_times_ratio(in_rate: int, out_rate: int) -> None:
    for samples in (0, 1, 2, 7, 479, 480, 481, in_rate + 3):
        expected = int(np.floor(samples * out_rate / in_rate + 0.5))
        assert resampled_length(samples, in_rate, out_rate) == expected
        assert resample(np.ones((1, samples), np.float32), in_rate, out_rate).shape == (1, expected)


@pytest.mark.parametrize(("in_rate", "out_rate"), PAIRS)
def test_a_sine_keeps_its_time_and_level(in_rate: int, out_rate: int) -> None:
    """Against the formula of the sine itself: sample k lies at k / rate, before and after."""
    hertz = 0.2 * min(in_rate, out_rate)
    seconds = 1.0
    source = np.sin(2 * np.pi * hertz * np.arange(round(seconds * in_rate)) / in_rate)
    target = np.sin(2 * np.pi * hertz * np.arange(round(seconds * out_rate)) / out_rate)
    estimate = resample(source[np.newaxis].astype(np.float32), in_rate, out_rate)[0]
    inside = slice(round(0.25 * out_rate), round(0.75 * out_rate))  # away from the ends, where the filter sees silence
    np.testing.assert_allclose(estimate[inside], target[inside], atol=FILTER_TOLERANCE)


@pytest.mark.parametrize("rate", [8000, 16_000, 22_050, 44_100, 96_000])
@pytest.mark.parametrize("inward", [True, False])
@pytest.mark.parametrize("size", [1, 97, 4096])
def test_promise_05_resampling_carries_its_state(rate: int, inward: bool, size: int) -> None:
    in_rate, out_rate = (rate, 48_000) if inward else (48_000, rate)
    audio = speech_like(0.7, in_rate, channels=2)
    resampler = Resampler(in_rate, out_rate, channels=2)
    parts = [resampler.process(block) for block in blocks(audio, size)]
    np.testing.assert_array_equal(
        np.concatenate([*parts, resampler.flush()], axis=1), resample(audio, in_rate, out_rate)
    )


def test_channels_do_not_mix() -> None:
    audio = speech_like(0.5, 16000, channels=3)
    together = resample(audio, 16000, 48000)
    for channel in range(3):
        np.testing.assert_array_equal(
            together[channel : channel + 1], resample(audio[channel : channel + 1], 16000, 48000)
        )


def test_reset_forgets_the_signal() -> None:
    audio = speech_like(0.5, 44100)
    resampler = Resampler(44100, 48000)
    resampler.process(audio[:, ::-1])
    resampler.reset()
    again = np.concatenate([resampler.process(audio), resampler.flush()], axis=1)
    np.testing.assert_array_equal(again, resample(audio, 44100, 48000))


@pytest.mark.parametrize(
    ("in_rate", "out_rate"), [(8000, 48000), (48000, 8000), (44100, 48000), (48000, 96000), (1000, 48000)]
)
def test_no_more_is_held_back_than_the_bound(in_rate: int, out_rate: int) -> None:
    """Sample by sample over 7 s, and the bound is not much greater than what was met."""
    resampler = Resampler(in_rate, out_rate)
    sample = np.zeros((1, 1), np.float32)
    given, most = 0, 0.0
    for taken in range(1, 7 * in_rate):
        given += resampler.process(sample).shape[1]
        most = max(most, taken / in_rate - given / out_rate)
    assert most <= held_back_seconds(in_rate, out_rate) <= 1.03 * most + 0.002


@pytest.mark.parametrize("rate", [11025, 7919])
def test_of_long_blocks_no_more_is_held_back_either(rate: int) -> None:
    resampler = Resampler(48_000, rate)
    given = 0
    for taken in range(20_000, 600_000, 20_000):
        given += resampler.process(np.zeros((1, 20_000), np.float32)).shape[1]
        assert taken / 48_000 - given / rate <= held_back_seconds(48_000, rate)
