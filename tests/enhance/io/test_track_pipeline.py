"""The sound of one file on its way: counted, resampled, and over full scale as the person wants."""

import numpy as np
import pytest
from helpers import blocks

from enhance import Denoiser
from enhance.io.options import Clip, DenoiseOptions
from enhance.io.track_pipeline import Chain, open_stream
from enhance.runtime.link import Link
from enhance.runtime.stream import Stream
from enhance.utils.errors import FileError


def through(chain: Chain, audio: np.ndarray) -> np.ndarray:
    parts = [chain.process(block) for block in blocks(audio, 1000)]
    return np.concatenate([*parts, chain.flush()], axis=1)


def test_the_output_has_the_length_that_its_rate_gives(tiny_denoiser: Denoiser) -> None:
    chain = Chain(tiny_denoiser, 44_100, 2, DenoiseOptions(sample_rate=16_000), holds_over=False)
    assert through(chain, np.zeros((2, 44_101), np.float32)).shape == (2, chain.output_length(44_101)) == (2, 16_000)
    assert (chain.samples_in, chain.samples_out) == (44_101, 16_000)


def test_channels_are_linked_with_low_delay_only_where_that_is_asked_for(tiny_denoiser: Denoiser) -> None:
    """Linking waits for what follows. One channel has none to be linked with."""
    for link, channels, linked in ((Link.AUTO, 2, False), (Link.ON, 2, True), (Link.ON, 1, False)):
        stream = open_stream(tiny_denoiser, 48_000, channels, DenoiseOptions(link=link), low_delay=True)
        assert isinstance(stream, Stream) == linked
        assert (stream.latency_samples > 24_000) == linked
    noisy = 0.1 * np.random.default_rng(0).standard_normal((2, 48_000)).astype(np.float32)
    chain = Chain(tiny_denoiser, 48_000, 2, DenoiseOptions(link=Link.ON), holds_over=True, low_delay=True)
    np.testing.assert_allclose(through(chain, noisy), tiny_denoiser.denoise(noisy, 48_000, link="on"), atol=1e-6)


@pytest.mark.parametrize("holds_over", [False, True])
def test_samples_over_full_scale_are_clamped_and_counted_where_the_file_cannot_hold_them(
    tiny_denoiser: Denoiser, holds_over: bool
) -> None:
    audio = np.zeros((1, 4800), np.float32)
    audio[0, 1000:1010] = 4
    chain = Chain(tiny_denoiser, 48_000, 1, DenoiseOptions(mix=0.0), holds_over=holds_over)
    out = through(chain, audio)
    assert (chain.clamped, out.max()) == ((0, 4.0) if holds_over else (10, 1.0))
    assert chain.peak == 4.0


def test_rescale_asks_for_the_gain_with_which_the_peak_fits(tiny_denoiser: Denoiser) -> None:
    audio = np.full((1, 4800), 2, np.float32)
    options = DenoiseOptions(mix=0.0, clip=Clip.RESCALE)
    chain = Chain(tiny_denoiser, 48_000, 1, options, holds_over=False)
    through(chain, audio)
    gain = chain.gain_to_fit()
    assert gain == pytest.approx(0.5, rel=1e-5)
    again = Chain(tiny_denoiser, 48_000, 1, options, holds_over=False, gain=gain or 0)
    assert 0.99999 < through(again, audio).max() < 1
    assert again.gain_to_fit() is None


def test_fail_stops_at_the_first_sample_over_full_scale(tiny_denoiser: Denoiser) -> None:
    chain = Chain(tiny_denoiser, 48_000, 1, DenoiseOptions(mix=0.0, clip=Clip.FAIL), holds_over=False)
    with pytest.raises(FileError, match=r"the result reaches 1\.500 of full scale"):
        through(chain, np.full((1, 4800), 1.5, np.float32))
