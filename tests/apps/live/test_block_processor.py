"""One block between microphone and loudspeaker: as a file is denoised, without clicks, and no memory is kept."""

import gc
import tracemalloc

import numpy as np
import pytest
from command import ROOT, read
from helpers import si_sdr_db, speech_like
from livepath import BLOCK, RATE, make_path, through

from apps.live.engine.block_processor import GLIDE, BlockProcessor, Controls
from enhance import Denoiser
from enhance.dsp.polyphase import Polyphase
from enhance.dsp.resampling import resample
from enhance.runtime.adaptive import AdaptiveModel


def live(model: Denoiser, audio: np.ndarray, rate: int) -> tuple[np.ndarray, BlockProcessor]:
    """Send [channels, samples] through a path, its delay cut off, and the path."""
    path = BlockProcessor(AdaptiveModel([model], allowance=60), rate, len(audio), rate // 100, Controls())
    blocks = audio.T.reshape(-1, path.block, len(audio))
    return np.concatenate([path.process(block).copy() for block in blocks]).T[:, path.latency_samples :], path


@pytest.mark.parametrize(("rate", "channels"), [(48_000, 1), (48_000, 3)])
def test_any_channels_give_what_a_file_gives(shipped_denoiser: Denoiser, rate: int, channels: int) -> None:
    audio = speech_like(3, rate, channels)
    out, _ = live(shipped_denoiser, audio, rate)
    np.testing.assert_allclose(out, shipped_denoiser.denoise(audio, rate)[:, : out.shape[1]], atol=1e-4)


@pytest.mark.parametrize(
    ("rate", "alike_db", "same_grid_db"), [(16_000, 20, 30), (32_000, 24, 40), (44_100, 25, 40), (96_000, 25, 40)]
)
def test_other_rates_give_nearly_what_a_file_gives(
    shipped_denoiser: Denoiser, rate: int, alike_db: float, same_grid_db: float
) -> None:
    """Two things differ, see `Stream`: the grid of hops, which matters more, and the resampler, which is shorter."""
    audio = resample(np.tile(read(ROOT / "tests" / "data" / "noisy.flac"), (2, 1)), RATE, rate)
    audio = audio[:, : audio.shape[1] // (rate // 100) * (rate // 100)]
    out, path = live(shipped_denoiser, audio, rate)
    length = out.shape[1]
    assert path.latency_samples + path.block <= 0.03 * rate
    file = shipped_denoiser.denoise(audio, rate)[:, :length]
    assert si_sdr_db(out[1], file[1]) > alike_db
    early = round(Polyphase(rate, RATE).half * RATE / rate) * rate // RATE  # of the grid
    moved = shipped_denoiser.denoise(np.pad(audio, ((0, 0), (early, 0))), rate)[:, early:][:, :length]
    assert si_sdr_db(out[1], moved[1]) > same_grid_db
    np.testing.assert_allclose(out[0], out[1], atol=1e-6)


def test_promise_12_mix_and_limit_are_those_of_files(shipped_denoiser: Denoiser) -> None:
    noisy = read(ROOT / "tests" / "data" / "noisy.flac")
    out = through(path := make_path(shipped_denoiser, mix=0.7, attenuation_limit_db=12.0), noisy[0])
    file = shipped_denoiser.denoise(noisy[0], RATE, mix=0.7, attenuation_limit_db=12.0)
    np.testing.assert_allclose(out[path.latency_samples :], file[: len(out) - path.latency_samples], atol=1e-4)


@pytest.mark.parametrize("change", [{"bypass": True}, {"muted": True}, {"attenuation_limit_db": 6.0}, {"mix": 0.5}])
def test_promise_26_switching_makes_no_click_and_no_delay(
    shipped_denoiser: Denoiser, change: dict[str, bool | float]
) -> None:
    """No step between two samples is larger than the largest one of input and output."""
    noisy = read(ROOT / "tests" / "data" / "noisy.flac")[0]
    path = make_path(shipped_denoiser)
    plain = through(path, noisy)
    path = make_path(shipped_denoiser)
    half = len(noisy) // 2 // BLOCK * BLOCK
    out = [through(path, noisy[:half])]
    path.change(**change)
    out.append(through(path, noisy[half:]))
    switched = np.concatenate(out)
    largest = max(np.abs(np.diff(noisy)).max(), np.abs(np.diff(plain)).max())
    around = slice(half - BLOCK, half + round(3 * GLIDE * RATE))
    assert np.abs(np.diff(switched[around])).max() <= largest
    np.testing.assert_array_equal(switched[:half], plain[:half])
    if "bypass" in change:
        settled = half + round(2 * GLIDE * RATE)
        delayed = noisy[settled - path.latency_samples : len(switched) - path.latency_samples]
        np.testing.assert_array_equal(switched[settled:], delayed)


def test_promise_20_a_block_leaves_no_allocation(shipped_denoiser: Denoiser) -> None:
    """Nothing stays allocated and no garbage arises for 500 blocks; what a block borrows is given back.

    What stays of each block stays of every 500; what is kept once does not, such as 1.2 kB after a whole run of tests.
    So the best of three times counts.
    """
    path = make_path(shipped_denoiser)
    block = speech_like(BLOCK / RATE, RATE)[0].reshape(-1, 1)
    gc.collect()
    gc.disable()
    rounds = []
    try:
        for _ in range(100):
            path.process(block)
        tracemalloc.start()
        for _ in range(500):  # as many as below: what is asked for afterwards keeps the memory of its longest list
            path.process(block)
        path._stream.take_speech()
        for _ in range(3):
            held, _ = tracemalloc.get_traced_memory()
            tracemalloc.reset_peak()
            objects = gc.get_count()[0]
            for _ in range(500):
                path.process(block)
            path._stream.take_speech()
            after, peak = tracemalloc.get_traced_memory()
            rounds.append((after - held, gc.get_count()[0] - objects, peak - held))
    finally:
        tracemalloc.stop()
        gc.enable()
    stays, grown, borrowed = min(rounds)
    assert stays < 1024  # counters that pass 2^8 become objects, once
    assert grown < 10
    assert borrowed < 64 * 1024
    print(f"500 blocks: {stays} bytes stay, {grown} objects, at most {borrowed} bytes borrowed at a time")


def test_times_are_those_of_the_latest_blocks(shipped_denoiser: Denoiser) -> None:
    path = make_path(shipped_denoiser)
    for count in (1, 2, 3):
        path.process(np.zeros((BLOCK, 1), np.float32))
        assert (path.times() > 0).tolist() == [True] * count


def test_samples_that_are_no_numbers_become_silence(shipped_denoiser: Denoiser) -> None:
    path = make_path(shipped_denoiser)
    block = np.full((BLOCK, 1), 0.01, np.float32)
    block[7] = np.nan
    block[9] = np.inf
    assert np.isfinite(through(path, np.tile(block[:, 0], 20))).all()
    assert path.repaired == 40
