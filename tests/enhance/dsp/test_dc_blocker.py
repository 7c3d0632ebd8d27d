"""The high-pass that takes an offset away: as far as it is sure, in hops, in the shape that a resampler gave it."""

import numpy as np
import pytest
from helpers import blocks, speech_like

from enhance.dsp.dc_blocker import CORNER_HZ, LOW_VOICE_HZ, DcBlocker

RATE, HOP = 48_000, 480


def whole(audio: np.ndarray) -> np.ndarray:
    return DcBlocker(RATE, HOP, audio.shape[0]).process(audio)


def test_offsets_at_the_ends_of_hops_are_the_weighted_means_less_their_uncertainty() -> None:
    """Each written down on its own, for every hop."""
    audio = speech_like(1.2, RATE, channels=2) + np.array([[0.02], [-0.1]], np.float32)
    taken = (audio - whole(audio))[:, HOP - 1 :: HOP]
    decay = np.exp(-2 * np.pi * CORNER_HZ * HOP / RATE)
    for hop in (0, 1, 7, 60, 119):
        weights = np.repeat(decay ** np.arange(hop, -1, -1.0), HOP)
        seen = audio[:, : weights.size].astype(np.float64)
        mean = np.average(seen, axis=1, weights=weights)
        variance = np.average(seen**2, axis=1, weights=weights) - mean**2
        uncertainty = np.sqrt(2 * variance) / (np.pi * LOW_VOICE_HZ * weights.sum() / RATE)
        expected = mean * np.maximum(0, 1 - (uncertainty / mean) ** 2)
        np.testing.assert_allclose(taken[:, hop], expected, rtol=0, atol=1e-7)


@pytest.mark.parametrize("hops", [1, 3, 1000])
def test_calls_of_any_number_of_hops_give_the_same(hops: int) -> None:
    audio = speech_like(1.2, RATE, channels=2) + np.float32(0.1)
    blocker = DcBlocker(RATE, HOP, 2)
    parts = [blocker.process(part) for part in blocks(audio, hops * HOP)]
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole(audio), rtol=0, atol=1e-7)
    blocker.reset()
    np.testing.assert_array_equal(blocker.process(audio), whole(audio))


@pytest.mark.parametrize("hertz", [90, 130, 250])
@pytest.mark.parametrize("phase", np.arange(8) / 8)
def test_a_voice_that_is_cut_anywhere_stays_as_it_is(hertz: float, phase: float) -> None:
    turns = hertz * np.arange(2 * RATE) / RATE + phase
    voice = np.sum([np.sin(2 * np.pi * k * turns) / k for k in (1, 2, 3)], axis=0, keepdims=True).astype(np.float32) / 5
    changed = whole(voice) - voice
    assert 10 * np.log10(np.mean(changed**2) / np.mean(voice**2) + 1e-12) < -40


def test_a_step_is_gone_in_three_seconds() -> None:
    steps = np.zeros((1, 5 * RATE), np.float32)
    steps[:, RATE:] = 0.2
    result = whole(steps)
    assert not result[:, : RATE - HOP].any()
    assert np.abs(result[:, 4 * RATE :]).max() < 1e-4


def test_an_offset_is_taken_away_in_the_shape_that_it_has() -> None:
    present = np.ones(4 * HOP, np.float32)
    present[:100] = 0
    present[100:200] = np.linspace(0, 1, 100)
    present[-50:] = 0
    result = DcBlocker(RATE, HOP, 1).process(0.3 * present[np.newaxis], present)
    np.testing.assert_allclose(result, 0, atol=2e-4)


def test_silence_and_what_is_not_there_stay_silent() -> None:
    nothing = np.zeros((1, 2 * HOP), np.float32)
    for present in (np.zeros(2 * HOP, np.float32), np.ones(2 * HOP, np.float32)):
        np.testing.assert_array_equal(DcBlocker(RATE, HOP, 1).process(nothing, present), nothing)
