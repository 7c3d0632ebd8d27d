"""Models that hear ahead: blocks on a grid of the signal's own, whatever its pieces; nothing lost, nothing moved."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import blocks, lag, speech_like, streamed
from recordings import SMALLEST
from tiny_model import TINY_METADATA, without_offset, write_tiny_model

from enhance import Denoiser
from enhance.model import onnx_export
from enhance.model.network import Enhancer
from enhance.runtime.adaptive import model_ladder
from enhance.runtime.block_runner import BlockRunner
from enhance.utils.errors import ModelError

CONFIG = replace(SMALLEST, backward=True, ahead=7, block=20, taps_ahead=2, fine_bins=8)
BLOCK = CONFIG.block * CONFIG.hop  # samples


def exported(path: Path, open_gains: bool = False) -> Denoiser:
    """A network that hears ahead, with random weights, or one whose estimate is its input."""
    torch.manual_seed(0)
    network = Enhancer(CONFIG).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
        if open_gains:
            network.head.weight.zero_()
            network.head.bias.zero_()
            network.head.bias[0] = 30.0
    path.write_bytes(onnx_export.to_onnx(network, onnx_export.metadata(network, "ahead", {})).SerializeToString())
    return Denoiser(path)


@pytest.fixture(scope="module")
def denoiser(tmp_path_factory: pytest.TempPathFactory) -> Denoiser:
    return exported(tmp_path_factory.mktemp("ahead") / "ahead.onnx")


@pytest.mark.parametrize("size", [31, 4321, 100_000])
def test_promise_16_the_result_does_not_depend_on_the_pieces(denoiser: Denoiser, size: int) -> None:
    audio = speech_like(1.1, 48_000, channels=2)
    whole = streamed(denoiser.stream(48_000, 2), blocks(audio, size))
    np.testing.assert_array_equal(whole, denoiser.denoise(audio, 48_000))


@pytest.mark.parametrize("samples", [0, 1, 479, BLOCK - 1, BLOCK, BLOCK + 7 * 480, BLOCK + 7 * 480 + 1, 3 * BLOCK + 5])
def test_promise_06_every_length_comes_back_at_its_place(tmp_path: Path, samples: int) -> None:
    transparent = exported(tmp_path / "open.onnx", open_gains=True)
    audio = speech_like(4, 48_000)[:, :samples]
    denoised = transparent.denoise(audio, 48_000)
    assert denoised.shape == audio.shape
    np.testing.assert_allclose(denoised, without_offset(audio), rtol=0, atol=1e-5)


def test_the_end_is_followed_by_its_mirror_image(denoiser: Denoiser) -> None:
    """Silence behind it would be heard backwards too, as a background that stopped."""
    hops = speech_like(0.1, 48_000)
    runner = BlockRunner(denoiser, 1)
    assert not list(runner.process(hops))
    ((noisy, estimate),) = runner.finish()
    ahead = CONFIG.ahead * CONFIG.hop
    mirrored = np.concatenate([hops, hops[:, : -ahead - 1 : -1]], axis=1)
    right, _ = denoiser.step(mirrored, denoiser.initial_state())
    np.testing.assert_array_equal(noisy, hops)
    np.testing.assert_array_equal(estimate, right)


@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_other_rates_keep_their_length_and_their_time(tmp_path: Path, rate: int) -> None:
    transparent = exported(tmp_path / "open.onnx", open_gains=True)
    audio = speech_like(2.1, rate)
    denoised = streamed(transparent.stream(rate), blocks(audio, 1000))
    assert denoised.shape == audio.shape
    assert lag(denoised[0], audio[0]) == 0


def test_no_more_is_held_back_than_the_bound(denoiser: Denoiser) -> None:
    audio = speech_like(3, 48_000)
    stream, given, out = denoiser.stream(48_000), 0, 0
    for piece in blocks(audio, 777):
        given, out = given + piece.shape[1], out + stream.process(piece).shape[1]
        assert out >= given - stream.latency_samples
    assert stream.latency_samples == 480 + 480 + (CONFIG.ahead + CONFIG.block - 1) * 480


def test_a_signal_after_another_begins_anew(denoiser: Denoiser) -> None:
    stream, audio = denoiser.stream(48_000), speech_like(1.5, 48_000)
    stream.process(audio)
    stream.reset()
    np.testing.assert_array_equal(streamed(stream, [audio]), denoiser.denoise(audio, 48_000))


def test_what_comes_is_heard_and_what_has_been_denoised_is_not_denoised_again(denoiser: Denoiser) -> None:
    """The hops ahead change a block's estimate; hops behind them do not."""
    audio = speech_like(2, 48_000)[:, : 2 * BLOCK]
    later = audio.copy()
    later[:, BLOCK + 480 :] *= 0.1
    runner = BlockRunner(denoiser, 1)
    (first, _), *_ = [*runner.process(audio), *runner.finish()]
    assert first.shape == (1, BLOCK)
    ours, theirs = denoiser.denoise(audio, 48_000), denoiser.denoise(later, 48_000)
    assert np.abs(ours[:, : BLOCK - 960] - theirs[:, : BLOCK - 960]).max() > 1e-5
    later = audio.copy()
    later[:, BLOCK + CONFIG.ahead * 480 :] *= 0.1
    theirs = denoiser.denoise(later, 48_000)
    np.testing.assert_array_equal(ours[:, : BLOCK - 480], theirs[:, : BLOCK - 480])


def test_it_is_not_for_live_use(denoiser: Denoiser) -> None:
    with pytest.raises(ValueError, match="the model ahead hears seconds ahead, for files"):
        denoiser.stream(48_000, live_block=480)
    with pytest.raises(ModelError, match="the model ahead hears seconds ahead, for files"):
        model_ladder(str(denoiser.path))


def test_a_step_needs_more_than_the_hops_ahead(denoiser: Denoiser) -> None:
    estimate, state = denoiser.step(np.zeros((1, 9 * 480), np.float32), denoiser.initial_state())
    assert (estimate.shape, state.shape) == ((1, 2 * 480), denoiser.initial_state().shape)
    with pytest.raises(ValueError, match="a multiple of 480 samples, more than 3360"):
        denoiser.step(np.zeros((1, 7 * 480), np.float32), denoiser.initial_state())


def test_hops_ahead_without_a_block_are_refused(tmp_path: Path) -> None:
    path = write_tiny_model(tmp_path / "wrong.onnx", TINY_METADATA | {"ahead": "3"})
    with pytest.raises(ModelError, match="'ahead' is 3, but 'block' is 0"):
        Denoiser(path)
