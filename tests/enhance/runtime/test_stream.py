"""The stream's promises: the same result for any block size, total out = total in, no lag, constant memory."""

import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile
from helpers import blocks, lag, si_sdr_db, speech_like
from tiny_model import TINY_GAIN, tiny_result

from enhance import Denoiser, Stream
from enhance.dsp.audio_fifo import AudioFifo
from enhance.dsp.dc_blocker import DcBlocker
from enhance.dsp.polyphase import Polyphase

RATES = (8000, 16000, 22050, 44100, 48000, 96000)
SAME_SAMPLES_TOLERANCE = 1e-6  # the order of sums in the network may depend on the number of hops in a call
SHIPPED_TOLERANCE = 1e-4  # the promise
FILTER_TOLERANCE = 2e-4  # two passes of soxr HQ


def run(stream: Stream, parts: list[np.ndarray]) -> np.ndarray:
    """Everything that a stream returns for these blocks."""
    return np.concatenate([*(stream.process(part) for part in parts), stream.flush()], axis=1)


def parity_blocks(audio: np.ndarray, size: int) -> list[np.ndarray]:
    """Blocks of `size`; to save time, single samples come at both ends only, 48000 each, with blocks of 331 between."""
    if size > 1:
        return blocks(audio, size)
    first, middle, last = np.split(audio, [48000, audio.shape[1] - 48000], axis=1)
    return [*blocks(first, 1), *blocks(middle, 331), *blocks(last, 1)]


@pytest.mark.parametrize("rate", [8000, 16000, 44100, 48000, 96000])
@pytest.mark.parametrize("size", [1, 97, 480, 4096])
def test_promise_16_streaming_equals_offline_for_over_60_s(tiny_denoiser: Denoiser, rate: int, size: int) -> None:
    audio = speech_like(61, rate)
    offline = tiny_denoiser.denoise(audio, rate)
    streamed = run(tiny_denoiser.stream(rate), parity_blocks(audio, size))
    assert streamed.shape == audio.shape
    np.testing.assert_allclose(streamed, offline, rtol=0, atol=SAME_SAMPLES_TOLERANCE)


def test_promise_16_sample_by_sample_for_over_60_s(tiny_denoiser: Denoiser) -> None:
    audio = speech_like(61, 8000)
    streamed = run(tiny_denoiser.stream(8000), blocks(audio, 1))
    np.testing.assert_allclose(streamed, tiny_denoiser.denoise(audio, 8000), rtol=0, atol=SAME_SAMPLES_TOLERANCE)


@pytest.mark.parametrize(
    ("rate", "sizes"), [(8000, [97]), (16000, [480]), (44100, [4096]), (48000, [97, 480, 4096]), (96000, [480])]
)
def test_promise_31_the_shipped_model_streams_like_offline_for_over_60_s(
    shipped_denoiser: Denoiser, rate: int, sizes: list[int]
) -> None:
    """At its own rate by blocks of all sizes, at others by one: what resamples them is tested with the tiny model."""
    audio = speech_like(61, rate)
    offline = shipped_denoiser.denoise(audio, rate)
    for size in sizes:
        streamed = run(shipped_denoiser.stream(rate), parity_blocks(audio, size))
        np.testing.assert_allclose(streamed, offline, rtol=0, atol=SHIPPED_TOLERANCE)


@pytest.mark.parametrize("rate", RATES)
def test_promise_06_lag_is_zero_and_the_tail_is_kept(tiny_denoiser: Denoiser, rate: int) -> None:
    """The tiny model halves the level: so must the whole path, at the same samples, up to the last one."""
    audio = speech_like(1.7, rate)
    denoised = run(tiny_denoiser.stream(rate), blocks(audio, 1000))
    assert lag(denoised[0], audio[0]) == 0
    tail = slice(-rate // 10, None)
    assert lag(denoised[0, tail], audio[0, tail]) == 0
    kept = np.sum(denoised[0, tail] ** 2) / np.sum(audio[0, tail] ** 2)
    assert kept == pytest.approx(TINY_GAIN**2, rel=0.05)  # a sliver of the noise lies above the pass-band


@pytest.mark.parametrize("rate", RATES)
def test_a_sine_comes_back_in_phase(tiny_denoiser: Denoiser, rate: int) -> None:
    sine = 0.5 * np.sin(2 * np.pi * 997 * np.arange(rate) / rate)[np.newaxis].astype(np.float32)
    denoised = run(tiny_denoiser.stream(rate), blocks(sine, 333))
    inside = slice(rate // 4, 3 * rate // 4)
    expected = tiny_result(sine, rate)
    np.testing.assert_allclose(denoised[:, inside], expected[:, inside], rtol=0, atol=FILTER_TOLERANCE)


@pytest.mark.parametrize("rate", [*RATES, 1000, 11025, 44101, 47999, 192000, 768000])
@pytest.mark.parametrize("size", [1, 313, 20000])
def test_promise_02_total_out_is_total_in(tiny_denoiser: Denoiser, rate: int, size: int) -> None:
    for samples in (0, 1, 2, 479, 480, 481, 1441, 9001):
        audio = np.full((2, samples), 0.1, np.float32)
        assert run(tiny_denoiser.stream(rate, 2), blocks(audio, size)).shape == (2, samples)


@pytest.mark.parametrize("rate", [*RATES, 1000, 11025, 44101])
def test_no_more_is_held_back_than_the_latency_says(tiny_denoiser: Denoiser, rate: int) -> None:
    stream = tiny_denoiser.stream(rate)
    given = most = 0
    for taken in range(7, 5 * rate, 7):
        given += stream.process(np.zeros((1, 7), np.float32)).shape[1]
        assert given <= taken
        most = max(most, taken - given)
    assert most <= stream.latency_samples <= 1.5 * most  # each stage's worst case, which need not coincide


def test_latency_at_48_khz_is_the_window(tiny_denoiser: Denoiser) -> None:
    assert tiny_denoiser.stream(48000).latency_samples == tiny_denoiser.info.window == 960


@pytest.mark.parametrize(
    ("rate", "live_block"), [(48000, 480), (48000, 256), (48000, 1), (16000, 160), (44100, 441), (44100, 512)]
)
def test_live_returns_as_many_samples_as_it_takes_at_a_constant_delay(
    tiny_denoiser: Denoiser, rate: int, live_block: int
) -> None:
    audio = speech_like(live_block * (3 * rate // live_block) / rate, rate, channels=2)
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
    expected = tiny_result(audio, rate)
    for rates in ((rate, 48_000), (48_000, rate)) if rate != 48_000 else ():
        resampler = Polyphase(*rates, 2)
        expected = np.concatenate([resampler.process(expected), resampler.flush()], axis=1)
    settled = slice(stream.latency_samples, stream.latency_samples + audio.shape[1] - rate // 100)  # silence follows
    np.testing.assert_allclose(
        delayed[:, settled], expected[:, : audio.shape[1] - rate // 100], rtol=0, atol=SAME_SAMPLES_TOLERANCE
    )


@pytest.mark.parametrize("rate", [8000, 16_000, 32_000, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("milliseconds", [10, 20])
def test_live_blocks_at_any_rate_are_as_late_as_told_and_no_later_than_needed(
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


@pytest.mark.parametrize("rate", RATES)
def test_mix_0_and_limit_0_db_return_the_input_bit_for_bit(tiny_denoiser: Denoiser, rate: int) -> None:
    audio = speech_like(0.9, rate, channels=2)
    for stream in (tiny_denoiser.stream(rate, 2, mix=0), tiny_denoiser.stream(rate, 2, attenuation_limit_db=0)):
        np.testing.assert_array_equal(run(stream, blocks(audio, 700)), audio)


@pytest.mark.parametrize("rate", [16000, 44100, 48000])
def test_mix_and_limit_blend_without_phasing(tiny_denoiser: Denoiser, rate: int) -> None:
    audio = speech_like(0.9, rate)
    denoised = tiny_denoiser.denoise(audio, rate)
    for limit, mix in ((6.0, 1.0), (None, 0.25), (20.0, 0.5), (float("inf"), 1.0)):
        kept = 0.0 if limit is None else 10 ** (-limit / 20)
        limited = kept * audio + (1 - kept) * denoised
        expected = mix * limited + (1 - mix) * audio
        blended = tiny_denoiser.denoise(audio, rate, attenuation_limit_db=limit, mix=mix)
        np.testing.assert_allclose(blended, expected, rtol=0, atol=SAME_SAMPLES_TOLERANCE)


def test_attenuation_limit_is_the_most_that_silence_is_lowered(tiny_denoiser: Denoiser) -> None:
    """The tiny model lowers by 6 dB; with a limit of 3 dB the sum must stay above -3 dB."""
    sine = np.sin(np.arange(48000) / 20)[np.newaxis].astype(np.float32)
    limited = tiny_denoiser.denoise(sine, 48000, attenuation_limit_db=3)
    lowered_db = -20 * np.log10(np.abs(limited).max() / np.abs(sine).max())
    assert 0 < lowered_db < 3


def test_adjust_takes_effect_from_the_next_sample(tiny_denoiser: Denoiser) -> None:
    audio = speech_like(0.1, 48000)
    expected = tiny_denoiser.denoise(audio, 48000)
    stream = tiny_denoiser.stream(48000)
    denoised = stream.process(audio)
    stream.adjust(mix=0.0)
    rest = stream.flush()
    change = denoised.shape[1]
    np.testing.assert_array_equal(denoised, expected[:, :change])
    np.testing.assert_array_equal(rest, audio[:, change:])
    assert change + rest.shape[1] == 4800


@pytest.mark.parametrize("live_block", [None, 441])
@pytest.mark.parametrize("offset", [0.01, 0.2, -0.5])
def test_an_offset_does_not_reach_the_network_and_a_mix_keeps_its_share(
    tiny_denoiser: Denoiser, offset: float, live_block: int | None
) -> None:
    audio = speech_like(1.2, 44100, channels=2)
    shift = np.array([[offset], [-offset / 2]], np.float32)
    for mix in (1.0, 0.25):
        parts = blocks(audio, 44100 // 100 * 10)
        stream = tiny_denoiser.stream(44100, 2, mix=mix, live_block=live_block)
        plain = run(stream, parts)
        stream.reset()
        shifted = run(stream, [part + shift for part in parts])
        late = shifted.shape[1] - audio.shape[1]
        np.testing.assert_allclose(shifted[:, late:], plain[:, late:] + (1 - mix) * shift, rtol=0, atol=1e-6)


def test_an_offset_costs_nothing_and_a_clean_voice_stays(shipped_denoiser: Denoiser) -> None:
    folder = Path(__file__).parents[2] / "data"
    clean, rate = soundfile.read(folder / "clean.flac", dtype="float32")
    noisy = clean + np.random.default_rng(0).normal(0, 0.02, clean.size).astype(np.float32)
    score = si_sdr_db(shipped_denoiser.denoise(noisy, rate), clean)
    for offset in (0.01, 0.2):
        shifted = shipped_denoiser.denoise(noisy + np.float32(offset), rate)
        assert si_sdr_db(shifted, clean) > score - 0.05
    blocker = DcBlocker(rate, 1)
    assert si_sdr_db(blocker.process(clean[np.newaxis])[0], clean) > 40


def test_reset_begins_a_new_signal(tiny_denoiser: Denoiser) -> None:
    audio = speech_like(0.6, 44100)
    stream = tiny_denoiser.stream(44100)
    first = run(stream, blocks(audio, 500))
    with pytest.raises(RuntimeError, match="reset"):
        stream.process(audio)
    with pytest.raises(RuntimeError, match="reset"):
        stream.flush()
    stream.reset()
    stream.process(audio[:, ::-1])
    stream.reset()
    np.testing.assert_array_equal(run(stream, blocks(audio, 500)), first)


@pytest.mark.parametrize("channels", [2, 6, 64])
def test_channels_are_independent_and_aligned(tiny_denoiser: Denoiser, channels: int) -> None:
    audio = speech_like(0.5, 44100, channels=channels)
    together = tiny_denoiser.denoise(audio, 44100)
    for channel in (0, channels - 1):
        alone = tiny_denoiser.denoise(audio[channel], 44100)
        np.testing.assert_allclose(together[channel], alone, rtol=0, atol=SAME_SAMPLES_TOLERANCE)


def test_a_refused_block_leaves_the_stream_as_it_was(tiny_denoiser: Denoiser) -> None:
    audio = speech_like(0.5, 48000)
    stream = tiny_denoiser.stream(48000)
    first = stream.process(audio[:, :5000])
    broken = audio[:, 5000:6000].copy()
    broken[0, 10:13] = np.nan
    with pytest.raises(ValueError, match="3 of 1000 samples are NaN or infinite"):
        stream.process(broken)
    rest = [stream.process(audio[:, 5000:]), stream.flush()]
    np.testing.assert_array_equal(np.concatenate([first, *rest], axis=1), tiny_denoiser.denoise(audio, 48000))


@pytest.mark.parametrize("shape", [(480,), (480, 2), (1, 480), (2, 2, 480)])
def test_blocks_of_another_shape_are_refused(tiny_denoiser: Denoiser, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected \[channels = 2, samples\]"):
        tiny_denoiser.stream(48000, 2).process(np.zeros(shape, np.float32))


def test_values_out_of_range_are_refused(tiny_denoiser: Denoiser) -> None:
    with pytest.raises(ValueError, match="sample rate 0 Hz"):
        tiny_denoiser.stream(0)
    with pytest.raises(ValueError, match="0 channels"):
        tiny_denoiser.stream(48000, 0)
    with pytest.raises(ValueError, match="live_block 0"):
        tiny_denoiser.stream(48000, live_block=0)
    for limit in (-1.0, float("nan")):
        with pytest.raises(ValueError, match="attenuation limit"):
            tiny_denoiser.stream(48000, attenuation_limit_db=limit)
    for mix in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="mix"):
            tiny_denoiser.stream(48000, mix=mix)


def test_returned_blocks_are_not_overwritten_and_the_input_is_not_touched(tiny_denoiser: Denoiser) -> None:
    audio = speech_like(1, 48000)
    before = audio.copy()
    stream = tiny_denoiser.stream(48000)
    parts = [stream.process(part) for part in blocks(audio, 480)]
    copies = [part.copy() for part in parts]
    stream.process(audio)
    for part, copy in zip(parts, copies, strict=True):
        np.testing.assert_array_equal(part, copy)
    np.testing.assert_array_equal(audio, before)


MEMORY_SCRIPT = """
import resource, sys
import numpy as np
from enhance import Denoiser

stream = Denoiser(sys.argv[1]).stream(44100, 2)
audio = np.random.default_rng(0).uniform(-0.1, 0.1, (2, 441_000)).astype(np.float32)

def stream_for(seconds):
    for turn in range(seconds // 10):
        size = (441, 4096, 44_100, 97, 200_000)[turn % 5]
        for start in range(0, audio.shape[1], size):
            stream.process(audio[:, start : start + size])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

before = stream_for(50)
print(stream_for(int(sys.argv[2])) - before)
"""


def peak_growth_kib(model: Path, seconds: int) -> int:
    """KiB by which the peak memory of a process rises while it streams for `seconds` with changing block sizes."""
    command = [sys.executable, "-c", MEMORY_SCRIPT, str(model), str(seconds)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def test_memory_does_not_grow_with_the_length(tiny_model: Path) -> None:
    """20 minutes of float32 stereo are 413 MiB."""
    assert peak_growth_kib(tiny_model, seconds=1200) < 4096


def test_memory_of_the_shipped_model_does_not_grow_with_the_length(shipped_denoiser: Denoiser) -> None:
    assert peak_growth_kib(shipped_denoiser.path, seconds=150) < 8192


def test_threads_share_one_denoiser(tiny_denoiser: Denoiser) -> None:
    signals = [speech_like(2, 16000, seed=seed) for seed in range(4)]
    results: dict[int, np.ndarray] = {}

    def work(index: int) -> None:
        results[index] = run(tiny_denoiser.stream(16000), blocks(signals[index], 160))

    threads = [threading.Thread(target=work, args=(index,)) for index in range(len(signals))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for index, audio in enumerate(signals):
        np.testing.assert_array_equal(results[index], tiny_denoiser.denoise(audio, 16000))


def test_a_queue_gives_what_it_took_in_order_and_no_more() -> None:
    fifo, rng = AudioFifo(channels=2, capacity=4), np.random.default_rng(0)
    line = speech_like(0.5, 8000, channels=2)
    taken, given = 0, []
    while taken < line.shape[1]:
        size = int(rng.integers(0, 50))
        fifo.push(line[:, taken : taken + size])
        taken = min(taken + size, line.shape[1])
        given.append(fifo.pop(int(rng.integers(0, len(fifo) + 1))))
    given.append(fifo.pop(len(fifo)))
    np.testing.assert_array_equal(np.concatenate(given, axis=1), line)
    with pytest.raises(ValueError, match="1 samples asked of a queue that holds 0"):
        fifo.pop(1)
