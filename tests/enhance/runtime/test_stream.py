"""The stream's promises: the same result for any block size, total out = total in, no lag, constant memory."""

import itertools
import pickle
import subprocess
import sys
import threading
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import blocks, lag, speech_like, streamed
from tiny_model import TINY_GAIN

from enhance import Denoiser, ModelError

RATES = (8000, 16000, 22050, 44100, 48000, 96000)
SAME_SAMPLES_TOLERANCE = 1e-6  # the order of sums in the network may depend on the number of hops in a call
SHIPPED_TOLERANCE = 1e-4  # the promise
FILTER_TOLERANCE = 2e-4  # two passes of soxr HQ


def parity_blocks(audio: np.ndarray, size: int) -> list[np.ndarray]:
    """Blocks of `size`; to save time, single samples come at both ends only, 2400 each, with blocks of 331 between."""
    if size > 1:
        return blocks(audio, size)
    first, middle, last = np.split(audio, [2400, audio.shape[1] - 2400], axis=1)
    return [*blocks(first, 1), *blocks(middle, 331), *blocks(last, 1)]


def _long_but(few: set[tuple[int, int]]) -> list[Any]:
    """All rates (Hz) and sizes of blocks; those that are not among the few take long."""
    pairs = itertools.product((8000, 16000, 44100, 48000, 96000), (1, 97, 480, 4096))
    return [pytest.param(*pair, marks=() if pair in few else pytest.mark.long) for pair in pairs]


@pytest.mark.parametrize(("rate", "size"), _long_but({(8000, 97), (16000, 480), (44100, 1), (48000, 1), (96000, 4096)}))
def test_promise_16_streaming_equals_offline_for_over_60_s(tiny_denoiser: Denoiser, rate: int, size: int) -> None:
    audio = speech_like(61, rate)
    offline = tiny_denoiser.denoise(audio, rate)
    whole = streamed(tiny_denoiser.stream(rate), parity_blocks(audio, size))
    assert whole.shape == audio.shape
    np.testing.assert_allclose(whole, offline, rtol=0, atol=SAME_SAMPLES_TOLERANCE)


@pytest.mark.parametrize("problem", [KeyboardInterrupt(), ModelError("the model gives NaN")])
def test_a_stream_that_was_broken_off_says_so_until_it_is_reset(
    tiny_denoiser: Denoiser, monkeypatch: pytest.MonkeyPatch, problem: BaseException
) -> None:
    """It went on out of step, with all that follows too early, and said nothing before `flush`."""

    def step(*_: object) -> None:
        raise problem

    audio = speech_like(0.5, 48_000)
    stream = tiny_denoiser.stream(48_000)
    expected = streamed(stream, blocks(audio, 4800))
    stream.reset()
    stream.process(audio[:, :4800])
    with monkeypatch.context() as broken:
        broken.setattr(tiny_denoiser, "step", step)
        with pytest.raises(type(problem)):
            stream.process(audio[:, 4800:9600])
    for go_on in (lambda: stream.process(audio), stream.flush):
        with pytest.raises(RuntimeError, match=r"broken off in the middle of a block: call reset\(\)"):
            go_on()
    stream.reset()
    np.testing.assert_array_equal(streamed(stream, blocks(audio, 4800)), expected)


@pytest.mark.long
def test_promise_16_sample_by_sample_for_over_60_s(tiny_denoiser: Denoiser) -> None:
    audio = speech_like(61, 8000)
    whole = streamed(tiny_denoiser.stream(8000), blocks(audio, 1))
    np.testing.assert_allclose(whole, tiny_denoiser.denoise(audio, 8000), rtol=0, atol=SAME_SAMPLES_TOLERANCE)


@pytest.mark.parametrize(("rate", "size"), _long_but({(48000, 480)}))
def test_promise_31_the_shipped_model_streams_like_offline_for_over_60_s(
    shipped_denoiser: Denoiser, rate: int, size: int
) -> None:
    audio = speech_like(61, rate)
    whole = streamed(shipped_denoiser.stream(rate), parity_blocks(audio, size))
    np.testing.assert_allclose(whole, shipped_denoiser.denoise(audio, rate), rtol=0, atol=SHIPPED_TOLERANCE)


@pytest.mark.parametrize("rate", RATES)
def test_promise_06_lag_is_zero_and_the_tail_is_kept(tiny_denoiser: Denoiser, rate: int) -> None:
    """The tiny model halves the level: so must the whole path, at the same samples, up to the last one."""
    audio = speech_like(1.7, rate)
    denoised = streamed(tiny_denoiser.stream(rate), blocks(audio, 1000))
    assert lag(denoised[0], audio[0]) == 0
    tail = slice(-rate // 10, None)
    assert lag(denoised[0, tail], audio[0, tail]) == 0
    kept = np.sum(denoised[0, tail] ** 2) / np.sum(audio[0, tail] ** 2)
    assert kept == pytest.approx(TINY_GAIN**2, rel=0.05)  # a sliver of the noise lies above the pass-band


@pytest.mark.parametrize("rate", RATES)
def test_a_sine_comes_back_in_phase(tiny_denoiser: Denoiser, rate: int) -> None:
    sine = 0.5 * np.sin(2 * np.pi * 997 * np.arange(rate) / rate)[np.newaxis].astype(np.float32)
    denoised = streamed(tiny_denoiser.stream(rate), blocks(sine, 333))
    inside = slice(rate // 4, 3 * rate // 4)
    expected = TINY_GAIN * sine
    np.testing.assert_allclose(denoised[:, inside], expected[:, inside], rtol=0, atol=FILTER_TOLERANCE)


@pytest.mark.parametrize("rate", [*RATES, 1000, 11025, 44101, 47999, 192000, 768000])
@pytest.mark.parametrize("size", [1, 313, 20000])
def test_promise_02_total_out_is_total_in(tiny_denoiser: Denoiser, rate: int, size: int) -> None:
    for samples in (0, 1, 2, 479, 480, 481, 1441, 2401 if size == 1 else 9001):
        audio = np.full((2, samples), 0.1, np.float32)
        assert streamed(tiny_denoiser.stream(rate, 2), blocks(audio, size)).shape == (2, samples)


@pytest.mark.parametrize("rate", [*RATES, 1000, 11025, 44101])
def test_no_more_is_held_back_than_the_latency_says(tiny_denoiser: Denoiser, rate: int) -> None:
    stream = tiny_denoiser.stream(rate)
    given = most = 0
    for taken in range(7, max(rate // 2, 5000), 7):
        given += stream.process(np.zeros((1, 7), np.float32)).shape[1]
        assert given <= taken
        most = max(most, taken - given)
    assert most <= stream.latency_samples <= 1.5 * most  # each stage's worst case, which need not coincide


def test_latency_at_48_khz_is_the_window(tiny_denoiser: Denoiser) -> None:
    assert tiny_denoiser.stream(48000).latency_samples == tiny_denoiser.info.window == 960


def test_reset_begins_a_new_signal(tiny_denoiser: Denoiser) -> None:
    audio = speech_like(0.6, 44100)
    stream = tiny_denoiser.stream(44100)
    first = streamed(stream, blocks(audio, 500))
    with pytest.raises(RuntimeError, match="reset"):
        stream.process(audio)
    with pytest.raises(RuntimeError, match="reset"):
        stream.flush()
    stream.reset()
    stream.process(audio[:, ::-1])
    stream.reset()
    np.testing.assert_array_equal(streamed(stream, blocks(audio, 500)), first)


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


def test_masked_samples_are_refused(tiny_denoiser: Denoiser) -> None:
    """What lies under a mask is no sound; an array without a masked sample is like any other."""
    masked = np.ma.masked_array(np.zeros(480, np.float32), mask=np.arange(480) < 5)
    with pytest.raises(ValueError, match=r"^5 of 480 samples are masked: fill them first, as audio\.filled\(0\) does$"):
        tiny_denoiser.denoise(masked, 48000)
    assert tiny_denoiser.denoise(np.ma.masked_array(np.zeros(480, np.float32)), 48000).shape == (480,)


def test_values_out_of_range_are_refused(tiny_denoiser: Denoiser) -> None:
    with pytest.raises(ValueError, match="sample rate 0 Hz"):
        tiny_denoiser.stream(0)
    for wrong in (0, -1, 1.5, "2"):
        with pytest.raises(ValueError, match=f"^{wrong} channels: expected a whole number from 1$"):
            tiny_denoiser.stream(48000, wrong)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match=f"^live_block {wrong}: expected a whole number of samples from 1"):
            tiny_denoiser.stream(48000, live_block=wrong)  # type: ignore[arg-type]
    for seconds in (-1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match=f"^glide_seconds {seconds}: expected 0 or more seconds$"):
            tiny_denoiser.stream(48000).adjust(mix=0.5, glide_seconds=seconds)
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


@pytest.mark.long
def test_memory_does_not_grow_with_the_length(tiny_model: Path) -> None:
    """20 minutes of float32 stereo are 413 MiB."""
    assert peak_growth_kib(tiny_model, seconds=1200) < 4096


@pytest.mark.long
def test_memory_of_the_shipped_model_does_not_grow_with_the_length(shipped_denoiser: Denoiser) -> None:
    assert peak_growth_kib(shipped_denoiser.path, seconds=150) < 8192


def test_threads_share_one_denoiser(tiny_denoiser: Denoiser) -> None:
    signals = [speech_like(2, 16000, seed=seed) for seed in range(4)]
    results: dict[int, np.ndarray] = {}

    def work(index: int) -> None:
        results[index] = streamed(tiny_denoiser.stream(16000), blocks(signals[index], 160))

    threads = [threading.Thread(target=work, args=(index,)) for index in range(len(signals))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for index, audio in enumerate(signals):
        np.testing.assert_array_equal(results[index], tiny_denoiser.denoise(audio, 16000))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("sample_rate", "48000", "sample rate '48000': expected a number of Hz"),
        ("sample_rate", None, "sample rate None: expected a number of Hz"),
        ("mix", "0.5", "mix '0.5': expected a number from 0"),
        ("attenuation_limit_db", "12", "attenuation limit '12': expected a number of dB, or none"),
        ("link", "both", "link 'both': expected auto, on, off"),
    ],
)
def test_settings_that_are_no_numbers_are_refused(tiny_denoiser: Denoiser, name: str, value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        tiny_denoiser.stream(**{"sample_rate": 48_000, name: value})


def test_a_stream_is_copied_whole_or_says_what_to_do(tiny_denoiser: Denoiser) -> None:
    audio = speech_like(0.5, 48_000)
    stream = tiny_denoiser.stream(48_000)
    stream.process(audio)
    again = pickle.loads(pickle.dumps(stream))
    np.testing.assert_array_equal(again.process(audio), stream.process(audio))
    stream = tiny_denoiser.stream(44_100)
    for copied in (deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match=r"from .* Hz cannot be copied or pickled, .* hand on the Denoiser"):
            copied(stream)
