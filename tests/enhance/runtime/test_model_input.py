"""A signal on its way to the model: whole hops at its rate, the same for all sizes of blocks, without its offset."""

import numpy as np
import pytest
from helpers import blocks, speech_like

from enhance.runtime.model_input import ModelInput

HOP = 480


def through(entry: ModelInput, parts: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([*(entry.process(part) for part in parts), entry.flush(2 * HOP)], axis=1)


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
@pytest.mark.parametrize("live", [False, True])
def test_the_hops_do_not_depend_on_the_blocks(rate: int, live: bool) -> None:
    audio = speech_like(0.5, rate, channels=2) + np.float32(0.2)
    entry = ModelInput(rate, 48_000, HOP, 2, live)
    hops = [through(entry, blocks(audio, size)) for size in (audio.shape[1],)]
    for size in (1, 97, rate // 100):
        entry.reset()
        hops.append(through(entry, blocks(audio, size)))
    for other in hops:
        assert other.shape[1] % HOP == 0
        np.testing.assert_allclose(other, hops[0], rtol=0, atol=1e-4 if live else 1e-6)


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
def test_of_an_offset_no_edge_is_left(rate: int) -> None:
    """A resampler alone would leave half of it in the first and in the last sample."""
    entry = ModelInput(rate, 48_000, HOP, 1, live=False)
    for silence in (0, 333):
        entry.reset(silence)
        hops = through(entry, blocks(np.full((1, rate // 2), 0.2, np.float32), 1000))
        np.testing.assert_allclose(hops, 0, atol=1e-4)
