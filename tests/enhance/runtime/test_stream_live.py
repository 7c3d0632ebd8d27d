"""Live streams: as many samples out as in at once, at a constant delay, as late as told and no later."""

import numpy as np
import pytest
from helpers import blocks, speech_like
from tiny_model import TINY_GAIN

from enhance import Denoiser
from enhance.dsp.polyphase import Polyphase

SAME_SAMPLES_TOLERANCE = 1e-6  # the order of sums in the network may depend on the number of hops in a call


@pytest.mark.parametrize(
    ("rate", "live_block"), [(48000, 480), (48000, 256), (48000, 1), (16000, 160), (44100, 441), (44100, 512)]
)
def test_live_returns_as_many_samples_as_it_takes_at_a_constant_delay(
    tiny_denoiser: Denoiser, rate: int, live_block: int
) -> None:
    audio = speech_like(live_block * (3 * rate // live_block) / rate, rate, channels=2)
    audio = np.diff(audio, axis=1, prepend=0)  # without any offset
    stream = tiny_denoiser.stream(rate, 2, live_block=live_block)
    delayed = np.zeros((2, 0), np.float32)
    multiples = [3, 1, 7, 2] * (1 + audio.shape[1] // live_block)
    start = 0
    for multiple in multiples:
        block = audio[:, start : start + multiple * live_block]
        start += block.shape[1]
        out = stream.process(block)
        assert out.shape == block.shape
        delayed = np.append(delayed, out, axis=1)
        if start >= rate:
            break
    rest = stream.process(audio[:, start:])  # two seconds at once: several calls of the model
    assert rest.shape == audio[:, start:].shape
    delayed = np.concatenate([delayed, rest, stream.flush()], axis=1)
    assert delayed.shape[1] == audio.shape[1] + stream.latency_samples
    assert not delayed[:, : stream.latency_samples].any()
    expected = np.float32(TINY_GAIN) * audio
    for rates in ((rate, 48_000), (48_000, rate)) if rate != 48_000 else ():
        resampler = Polyphase(*rates, 2)
        expected = np.concatenate([resampler.process(expected), resampler.flush()], axis=1)
    settled = slice(stream.latency_samples, stream.latency_samples + audio.shape[1] - rate // 100)  # silence follows
    np.testing.assert_allclose(
        delayed[:, settled], expected[:, : audio.shape[1] - rate // 100], rtol=0, atol=SAME_SAMPLES_TOLERANCE
    )


@pytest.mark.parametrize("rate", [8000, 16_000, 32_000, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("milliseconds", [10, 20])
def test_live_blocks_at_any_rate_are_as_late_as_reported_and_no_later_than_needed(
    tiny_denoiser: Denoiser, rate: int, milliseconds: int
) -> None:
    """At the worst block nothing waits beyond what is told, and the algorithm with its block takes 30 ms at most."""
    block = rate * milliseconds // 1000
    stream = tiny_denoiser.stream(rate, live_block=block)
    least = rate
    for _ in range(300):
        stream.process(np.zeros((1, block), np.float32))
        least = min(least, len(stream._wet))
    assert 0 <= least <= 1
    if milliseconds == 10:
        assert stream.latency_samples + block <= 0.03 * rate
    pulse = np.zeros((1, 100 * block), np.float32)
    pulse[0, 20 * block] = 1
    stream.reset()
    heard = np.concatenate([stream.process(part) for part in blocks(pulse, block)], axis=1)
    assert np.argmax(heard) == 20 * block + stream.latency_samples


@pytest.mark.parametrize(("live_block", "latency"), [(480, 480), (960, 480), (240, 720), (256, 928), (1, 959)])
def test_live_latency_at_48_khz(tiny_denoiser: Denoiser, live_block: int, latency: int) -> None:
    assert tiny_denoiser.stream(48000, live_block=live_block).latency_samples == latency


def test_live_refuses_other_block_sizes(tiny_denoiser: Denoiser) -> None:
    stream = tiny_denoiser.stream(48000, live_block=480)
    with pytest.raises(ValueError, match="block of 481 samples: expected a multiple of live_block = 480"):
        stream.process(np.zeros((1, 481), np.float32))
