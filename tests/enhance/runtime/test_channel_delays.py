"""The delay of a voice between two microphones is found, in samples."""

import numpy as np
import pytest
from helpers import speech_like

from enhance.runtime.channel_delays import ChannelDelays

RATE, HOP = 48_000, 480


def spectra(audio: np.ndarray) -> np.ndarray:
    """Spectra of two hops each, [hops, channels, bins]."""
    frames = np.lib.stride_tricks.sliding_window_view(audio, 2 * HOP, axis=1)[:, ::HOP]
    return np.fft.rfft(frames * np.sqrt(np.hanning(2 * HOP))).swapaxes(0, 1)


def late(audio: np.ndarray, samples: int) -> np.ndarray:
    return np.roll(audio, samples)


@pytest.mark.parametrize("delay", [0, 1, 17, 100, -60])
def test_the_delay_of_a_voice_is_found_whatever_its_level(delay: int) -> None:
    voice = speech_like(2, RATE)[0]
    found = ChannelDelays(RATE, HOP, 2).follow(spectra(np.stack([voice, 0.3 * late(voice, delay)])))
    assert not found[:, 0].any()
    assert (found[5:, 1] == delay).all()


def test_different_voices_have_none() -> None:
    audio = np.concatenate([speech_like(3, RATE, seed=1), speech_like(3, RATE, seed=2)])
    assert not ChannelDelays(RATE, HOP, 2).follow(spectra(audio))[50:].any()


def test_delays_do_not_depend_on_the_blocks() -> None:
    voice = speech_like(1, RATE)[0]
    given = spectra(np.stack([voice, late(voice, 30), 0.5 * late(voice, -30)]))
    whole = ChannelDelays(RATE, HOP, 3).follow(given)
    parts = ChannelDelays(RATE, HOP, 3)
    np.testing.assert_array_equal(np.concatenate([parts.follow(part) for part in np.array_split(given, 7)]), whole)
    assert whole[-1].tolist() == [0, 30, -30]
