"""The network: causal, any block size, independent channels and levels, silence, sizes; its GRU."""

import copy
from typing import Any

import numpy as np
import pytest
import torch
from helpers import speech_like
from recordings import SMALLEST
from torch import Tensor, nn

from enhance.model.config import SIZES, NetworkConfig
from enhance.model.gru import GRU
from enhance.model.network import Enhancer
from enhance.model.warm_start import from_causal
from enhance.training.loss import LossConfig, PlainLoss

SUMS = 2e-5  # float32 sums of other lengths and in another order, on samples with a peak near 1
AHEAD = NetworkConfig(**{**SMALLEST.to_dict(), "lookahead": 1})
FILES = NetworkConfig(
    **{**SMALLEST.to_dict(), "backward": True, "ahead": 6, "block": 20, "taps_ahead": 2, "fine_bins": 12}
)
BETWEEN = NetworkConfig(**{**FILES.to_dict(), "between": True})


def lively(config: NetworkConfig = SMALLEST) -> Enhancer:
    """A network whose gains and filters vary a lot with its input; at the start they hardly do."""
    torch.manual_seed(1)
    network = Enhancer(config)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.startswith("head") or "position" in name:
                parameter.normal_(0.0, 1.0)
    return network


def noisy_speech(batch: int, samples: int, seed: int = 0) -> Tensor:
    """`[batch, samples]`, peak 1, with noise 30 dB below."""
    speech = torch.from_numpy(speech_like(samples / 48_000, 48_000, channels=batch, seed=seed))
    audio = speech / speech.abs().amax() + 0.01 * torch.randn(
        batch, samples, generator=torch.Generator().manual_seed(2)
    )
    return audio / audio.abs().max()


@torch.no_grad()
def run(network: Enhancer, audio: Tensor, block: int | None = None) -> tuple[Tensor, Tensor]:
    """The raw estimate, late by the latency, in blocks of `block` hops; and the last state."""
    state = network.initial_state(len(audio))
    estimates = []
    for part in audio.split((block or audio.shape[1]) * (network.config.hop if block else 1), dim=1):
        estimate, state = network(part, state)
        estimates.append(estimate)
    return torch.cat(estimates, dim=1), state


@pytest.mark.parametrize(("name", "expected"), [("tiny", 50_000), ("small", 200_000), ("base", 1_000_000)])
def test_sizes_have_about_the_parameters_that_they_are_named_for(name: str, expected: int) -> None:
    count = sum(parameter.numel() for parameter in Enhancer(SIZES[name]).parameters())
    assert count == pytest.approx(expected, rel=0.35)


@pytest.mark.parametrize("config", [SMALLEST, AHEAD], ids=["no look-ahead", "look-ahead"])
@pytest.mark.parametrize("changed", [960, 4799, 4800, 4923, 9599])
def test_the_past_does_not_depend_on_the_future(config: NetworkConfig, changed: int) -> None:
    """Input that differs from sample n on gives the same estimate up to the start of n's hop, bit for bit.

    The estimate is late by `latency`, so of the aligned signal nothing after n - algorithmic latency may differ; and
    from that hop on it does differ, so that no latency is wasted.
    """
    network = lively(config)
    before = noisy_speech(2, 9600)
    after = before.clone()
    after[:, changed:] = noisy_speech(2, 9600, seed=7)[:, changed:] * 0.3
    ours, theirs = run(network, before)[0], run(network, after)[0]
    hop = changed // config.hop * config.hop
    torch.testing.assert_close(ours[:, :hop], theirs[:, :hop], rtol=0, atol=0)
    assert (ours[:, hop : hop + config.hop] != theirs[:, hop : hop + config.hop]).any()
    assert hop > changed - (config.algorithmic_latency - config.latency)


@pytest.mark.parametrize("config", [SMALLEST, AHEAD], ids=["no look-ahead", "look-ahead"])
@pytest.mark.parametrize("block", [1, 7])
def test_the_result_does_not_depend_on_the_block_size(config: NetworkConfig, block: int) -> None:
    network, audio = lively(config), noisy_speech(2, 12_000)
    whole, last = run(network, audio)
    parts, last_of_parts = run(network, audio, block)
    torch.testing.assert_close(parts, whole, rtol=0, atol=SUMS)
    torch.testing.assert_close(last_of_parts, last, rtol=1e-4, atol=1e-4)


def test_channels_do_not_touch_each_other() -> None:
    network, audio = lively(), noisy_speech(3, 9600) * torch.tensor([[1.0], [1e-3], [0.0]])
    together = run(network, audio)[0]
    for channel in range(3):
        alone = run(network, audio[channel : channel + 1])[0]
        torch.testing.assert_close(together[channel : channel + 1], alone, rtol=0, atol=SUMS * float(alone.abs().max()))


@pytest.mark.parametrize("level_db", [-50.0, -30.0, -6.0])
def test_the_result_does_not_depend_on_the_input_level(level_db: float) -> None:
    """From -50 to 0 dBFS: scaled input gives scaled output, to a thousandth of its peak."""
    network, audio = lively(), noisy_speech(1, 48_000)
    scale = 10 ** (level_db / 20)
    loud, soft = run(network, audio)[0], run(network, audio * scale)[0]
    torch.testing.assert_close(soft / scale, loud, rtol=0, atol=1e-3 * float(loud.abs().max()))


@pytest.mark.parametrize("config", [SMALLEST, AHEAD], ids=["no look-ahead", "look-ahead"])
def test_open_gains_give_the_input_back_late_by_the_latency(config: NetworkConfig) -> None:
    """Perfect reconstruction of the transform, and band gains that add up to one at each bin."""
    network = lively(config)
    with torch.no_grad():
        network.head.weight.zero_()
        network.head.bias.zero_()
        network.head.bias[0] = 30.0
    audio = noisy_speech(2, 9600)
    estimate = run(network, audio)[0]
    assert config.latency == 480 * (1 + config.lookahead)
    torch.testing.assert_close(estimate[:, config.latency :], audio[:, : -config.latency], rtol=0, atol=2e-6)
    torch.testing.assert_close(estimate[:, : config.latency], 0 * estimate[:, : config.latency], rtol=0, atol=2e-6)


def test_gains_and_deep_filter_do_what_numpy_says() -> None:
    """Fixed gain and taps: Y[t, b] = g X[t, b] + sum over k of (u[k] + i v[k]) (-1)^(k b) X[t - k, b] below bin 100."""
    network = lively()
    generator = np.random.default_rng(5)
    gain, taps = 0.4, generator.uniform(-0.9, 0.9, (3, 2))
    with torch.no_grad():
        network.head.weight.zero_()
        network.head.bias.copy_(torch.tensor([np.log(gain / (1 - gain)), *np.arctanh(taps).ravel()]))
    audio = noisy_speech(1, 9600)
    window = np.sqrt(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(960) / 960))
    padded = np.pad(audio[0].double().numpy(), (480, 0))
    frames = np.fft.rfft(np.stack([padded[480 * t : 480 * t + 960] * window for t in range(20)]))
    filtered = gain * frames
    for k, (u, v) in enumerate(taps):
        sign = (-1.0) ** (k * np.arange(100))
        filtered[k:, :100] += (u + 1j * v) * sign * frames[: 20 - k, :100]
    expected = np.zeros(480 * 21)
    for t, piece in enumerate(np.fft.irfft(filtered) * window):
        expected[480 * t : 480 * t + 960] += piece
    np.testing.assert_allclose(run(network, audio)[0][0].numpy(), expected[:9600], atol=SUMS)


def test_look_ahead_lets_later_sound_change_a_gain() -> None:
    """The estimate of a hop depends on the hop after the window only with look-ahead."""
    for config, depends in ((SMALLEST, False), (AHEAD, True)):
        network, audio = lively(config), noisy_speech(1, 9600).requires_grad_()
        estimate, _ = network(audio, network.initial_state(1))
        aligned = estimate[:, config.latency :]  # sample n of it belongs to sample n of the input
        aligned[0, 4800:5280].square().sum().backward()
        assert audio.grad is not None
        assert bool((audio.grad[0, 5760:6240] != 0).any()) == depends
        assert not (audio.grad[0, 6240:] != 0).any()


def test_silence_gives_silence_and_a_usable_state() -> None:
    network = lively()
    estimate, state = run(network, torch.zeros(1, 48_000))
    assert (estimate == 0).all()
    assert torch.isfinite(state).all()
    after, _ = network(noisy_speech(1, 4800), state)
    assert torch.isfinite(after).all()
    assert after.abs().max() > 0.01


@pytest.mark.parametrize("silent", [False, True])
def test_every_parameter_gets_a_finite_gradient(silent: bool) -> None:
    """A batch with a silent row too; but for silence alone, no gradient is zero throughout."""
    network, audio = lively(), noisy_speech(2, 9600) * torch.tensor([[0.0 if silent else 1.0], [0.0]])
    estimate, _ = network(audio, network.initial_state(2))
    target = 0.5 * audio.roll(480, dims=1)
    PlainLoss(LossConfig())(estimate, target, audio + 1e-3, torch.full((2,), 24_000.0), 0.0).total.backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert silent or (parameter.grad != 0).any(), name


def test_training_and_inference_compute_the_same() -> None:
    """With a gradient wanted, the GRUs are those of `enhance.model.gru`, without, PyTorch's own."""
    network, audio = lively(), noisy_speech(1, 9600)
    estimate, state = network(audio, network.initial_state(1))
    inferred, inferred_state = run(network, audio)
    torch.testing.assert_close(estimate.detach(), inferred, rtol=0, atol=SUMS)
    torch.testing.assert_close(state.detach(), inferred_state, rtol=1e-4, atol=1e-4)


def test_dimensions_go_through_plain_values_and_unknown_ones_are_refused() -> None:
    assert NetworkConfig.from_dict(AHEAD.to_dict()) == AHEAD
    with pytest.raises(ValueError, match="unknown network dimension 'chanels'; known are: window, hop"):
        NetworkConfig.from_dict({"chanels": 8})
    with pytest.raises(ValueError, match="two hops long; got window 960, hop 240"):
        NetworkConfig(hop=240)
    with pytest.raises(ValueError, match="multiple of 8; got 129"):
        NetworkConfig(wide_bands=29)
    with pytest.raises(ValueError, match="out of range"):
        NetworkConfig(lookahead=-1)


def gru_and_peer(bidirectional: bool, dtype: torch.dtype) -> tuple[GRU, nn.GRU, Tensor, Tensor]:
    """Two GRUs of the same parameters, an input `[7, 3, 5]` and an initial state."""
    torch.manual_seed(4)
    ours = GRU(5, 4, bidirectional).to(dtype)
    theirs = nn.GRU(5, 4, bidirectional=bidirectional).to(dtype)
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs, torch.randn(7, 3, 5, dtype=dtype), torch.randn(1 + bidirectional, 3, 4, dtype=dtype)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("with_state", [False, True])
def test_the_gru_is_that_of_pytorch_forward_and_backward(bidirectional: bool, with_state: bool) -> None:
    """In float64, so that only a wrong equation could differ by more than 1e-12."""
    ours, theirs, x, h = gru_and_peer(bidirectional, torch.float64)
    weights = torch.randn(7, 3, 4 * (1 + bidirectional), dtype=torch.float64)
    results = []
    for gru in (ours, theirs):
        gru.zero_grad()
        inputs = [x.clone().requires_grad_(), h.clone().requires_grad_()]
        output, last = gru(inputs[0], inputs[1] if with_state else None)
        ((output * weights).sum() + last.square().sum()).backward()
        gradients = [value.grad for value in (*gru.parameters(), inputs[0], *inputs[1 : 1 + with_state])]
        results.append([output, last, *gradients])
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("reverse", [False, True])
def test_the_gradient_of_the_gru_is_its_numerical_derivative(reverse: bool) -> None:
    ours, _, x, h = gru_and_peer(reverse, torch.float64)
    assert torch.autograd.gradcheck(lambda a, b: ours(a, b), (x[:3, :2].requires_grad_(), h[:, :2].requires_grad_()))


@pytest.mark.parametrize("bidirectional", [False, True])
def test_the_gru_in_bfloat16_is_close_and_carries_its_state_precisely(bidirectional: bool) -> None:
    """bfloat16 keeps 8 bits: single values within 0.03 of float32, gradients in the same direction."""
    ours, _, _, _ = gru_and_peer(bidirectional, torch.float32)
    exact = copy.deepcopy(ours)
    x = torch.randn(200, 8, 5)
    with torch.autocast("cpu", torch.bfloat16):
        fast, _ = ours(x)
        fast.float().square().mean().backward()
        with torch.no_grad():
            inferred, _ = ours(x)
    slow, _ = exact(x)
    slow.square().mean().backward()
    assert fast.dtype == torch.bfloat16
    torch.testing.assert_close(fast.float(), slow, rtol=0, atol=0.03)
    torch.testing.assert_close(inferred.float(), slow, rtol=0, atol=0.06)  # PyTorch's rounds its state at each step
    for one, other in zip(ours.parameters(), exact.parameters(), strict=True):
        assert one.grad is not None
        assert other.grad is not None
        assert one.grad.dtype == torch.float32
        assert nn.functional.cosine_similarity(one.grad.flatten(), other.grad.flatten(), dim=0) > 0.995


def test_a_network_for_files_begins_as_the_causal_one() -> None:
    """Bit for bit but for the order of sums, in one call and in blocks; so the causal network's training counts."""
    causal, audio = lively(), noisy_speech(2, 36 * 480)
    torch.manual_seed(3)
    network = Enhancer(FILES)
    network.load_state_dict(from_causal(network, causal.state_dict()))
    expected = run(causal, audio)[0]
    with torch.no_grad():
        torch.testing.assert_close(network(audio, network.initial_state(2), 0)[0], expected, rtol=0, atol=SUMS)
        first, state = network(audio[:, : 26 * 480], network.initial_state(2))
        second, _ = network(audio[:, 20 * 480 :], state)
    torch.testing.assert_close(torch.cat([first, second], dim=1), expected[:, : 30 * 480], rtol=0, atol=SUMS)


def test_frames_between_the_others_are_masked_by_the_means_of_the_masks_around_them() -> None:
    """Frames begin half a hop before the others; the first is masked as the frame after it."""
    network = Enhancer(BETWEEN)
    c, half, generator = network.config, 240, np.random.default_rng(6)
    gains = generator.uniform(0, 1, 11)
    masks = torch.from_numpy(gains).float()[None, :, None].expand(1, -1, c.bands)
    filters = torch.zeros(1, 11, c.narrow_bands, len(c.tap_offsets), 2)
    audio = noisy_speech(1, 12 * 480)
    state = [torch.zeros(1, size) for size in network.state_sizes[-3:]]
    estimate, (before, _, _) = network.halfway(audio.unflatten(1, (-1, 480)), masks, filters, state, 10)
    window = np.sqrt(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(960) / 960))
    padded, expected = np.pad(audio[0].double().numpy(), (half, half)), np.zeros(480 * 13)
    for t, gain in enumerate([gains[0], *(gains[:-1] + gains[1:]) / 2]):
        piece = slice(480 * t, 480 * t + 960)
        expected[piece] += gain * window**2 * padded[piece]
    np.testing.assert_allclose(estimate[0].numpy()[half:], expected[2 * half : half + 4800], atol=SUMS)
    torch.testing.assert_close(before, audio[:, 4800 - half : 4800])


def test_with_frames_between_the_others_open_gains_give_the_input_back_block_after_block() -> None:
    network = lively(BETWEEN)
    with torch.no_grad():
        network.head.weight.zero_()
        network.head.bias.zero_()
        network.head.bias[0] = 30.0
        audio, state, estimates = noisy_speech(2, 66 * 480), network.initial_state(2), []
        for first in range(0, 60, 20):
            estimate, state = network(audio[:, first * 480 : (first + 26) * 480], state)
            estimates.append(estimate)
    expected = torch.nn.functional.pad(audio, (480, 0))[:, : 60 * 480]
    torch.testing.assert_close(torch.cat(estimates, dim=1), expected, rtol=0, atol=2e-6)


def test_weights_of_other_dimensions_are_no_start_for_files() -> None:
    with pytest.raises(ValueError, match="the weights are of other dimensions"):
        from_causal(Enhancer(FILES), Enhancer(SIZES["tiny"]).state_dict())


def test_each_part_that_hears_ahead_gets_a_gradient_from_the_start() -> None:
    network, audio = lively(FILES), noisy_speech(1, 12 * 480)
    network(audio, network.initial_state(1), 0)[0].square().sum().backward()
    for name in ("paths.0.back_out.weight", "fine_stem.weight", "head.weight"):
        gradient = network.get_parameter(name).grad
        assert gradient is not None
        assert float(gradient.abs().max()) > 0, name


@pytest.mark.parametrize(("hertz", "bin_", "fine"), [(206.25, 4, 4), (193.75, 4, 3), (268.75, 5, 5), (231.25, 5, 2)])
def test_fine_powers_part_harmonics_that_the_window_cannot(hertz: float, bin_: int, fine: int) -> None:
    """Fine power m of bin b stands for 50 b + 12.5 (m - 3.5) Hz; a tone there is strongest in it."""
    network = Enhancer(FILES)
    tone = 0.5 * torch.sin(2 * torch.pi * hertz * torch.arange(40 * 480) / 48_000)[None]
    hops = torch.nn.functional.pad(tone, (480, 0)).unflatten(1, (-1, 480))
    real, imag = network.spectra(hops, torch.zeros(1, FILES.history * 2 * FILES.bins))
    powers = network.fine(real, imag, torch.ones(1, real.shape[1] - 7))[0, 20, bin_]
    assert int(powers.argmax()) == fine
    assert float(powers[fine] - powers[(fine + 3) % 8]) > 1 / 3  # 10 dB


@pytest.mark.parametrize(
    "changes",
    [
        {"backward": True},
        {"ahead": 3},
        {"fine_bins": 6},
        {"fine_bins": 104},
        {"taps_ahead": 1, "lookahead": 1},
        {"between": True},
    ],
)
def test_dimensions_for_files_that_do_not_fit_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(
        ValueError, match=r"needs the length of a block|multiple of 4|out of range|not by both|need a frame ahead"
    ):
        NetworkConfig(**changes)
