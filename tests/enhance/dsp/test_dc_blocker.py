"""The high-pass that takes an offset away: gone from the first sample on, in blocks of any size."""

import numpy as np
import pytest
from helpers import blocks, speech_like
from scipy import signal

from enhance.dsp.dc_blocker import CORNER_HZ, DcBlocker


@pytest.mark.parametrize("rate", [1000, 8000, 48000])
@pytest.mark.parametrize("size", [1, 97, 100_000])
def test_it_is_a_one_pole_high_pass_behind_a_running_mean(rate: int, size: int) -> None:
    audio = speech_like(1.1, rate, channels=2) + np.array([[0.3], [-0.1]], np.float32)
    if size == 1:
        audio = audio[:, : rate // 5 + 500]
    blocker = DcBlocker(rate, 2)
    ours = np.concatenate([blocker.process(part) for part in blocks(audio, size)], axis=1)
    pole = np.exp(-2 * np.pi * CORNER_HZ / rate)
    settled = round(1 / (1 - pole))
    wide = audio.astype(np.float64)
    offset = np.cumsum(wide[:, :settled], axis=1) / np.arange(1, settled + 1)
    rest, _ = signal.lfilter([1 - pole], [1, -pole], wide[:, settled:], zi=pole * offset[:, -1:])
    expected = wide - np.concatenate([offset, rest], axis=1)
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-7)


def test_an_offset_changes_nothing_and_a_step_is_gone_in_two_seconds() -> None:
    audio = speech_like(1, 16000)
    plain = DcBlocker(16000, 1).process(audio)
    np.testing.assert_allclose(DcBlocker(16000, 1).process(audio + 0.2), plain, rtol=0, atol=1e-7)
    blocker = DcBlocker(16000, 1)
    blocker.process(np.zeros((1, 16000), np.float32))
    step = blocker.process(np.full((1, 32000), 0.2, np.float32))
    assert abs(step[0, -1]) < 1e-5


def test_reset_forgets_the_offset() -> None:
    blocker = DcBlocker(8000, 1)
    first = blocker.process(np.full((1, 5000), 0.5, np.float32))
    blocker.reset()
    np.testing.assert_array_equal(blocker.process(np.full((1, 5000), 0.5, np.float32)), first)
