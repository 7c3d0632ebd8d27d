"""The codec loss: level, silence, zero, shapes, precision, rates and what is frozen."""

import copy
import math
from typing import Any

import numpy as np
import pytest
import torch
from codecloss import ALL, RATE, SAMPLES, TERMS, only, signals
from torch import Tensor, nn

from emulator.losses.codec_loss import CodecLoss
from emulator.losses.codec_terms import CodecTerms, Reference
from emulator.losses.terms import LEVEL, SILENCE_DB
from emulator.model.config import EmulatorConfig
from emulator.model.network import Emulator
from emulator.model.presets import random_emulator
from enhance.dsp.erb import erb_frequency, erb_rate

TINY = EmulatorConfig("v9", RATE, window=64, hop=16, channels=(4, 4), middle=1)
SUMS: dict[str, Any] = {"rtol": 1e-4, "atol": 1e-6}  # float32 sums in another order


@pytest.fixture(scope="module")
def emulator() -> Emulator:
    """A network as large as the presets', untrained; what is promised here holds for any weights."""
    return random_emulator("mp3-v9-16k", seed=0)


@pytest.fixture(scope="module")
def loss(emulator: Emulator) -> CodecLoss:
    return CodecLoss(emulator, sample_rate=RATE, **ALL)


def tiny_emulator() -> Emulator:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Emulator(TINY)


def gradient(loss: CodecLoss, estimate: Tensor, target: Tensor | Reference, name: str = "total") -> Tensor:
    estimate = estimate.detach().clone().requires_grad_()
    return torch.autograd.grad(getattr(loss.terms(estimate, target), name), estimate)[0]


def stacked(terms: CodecTerms) -> Tensor:
    return torch.stack([term.detach() for term in terms])


def test_equal_signals_cost_nothing_and_worse_ones_more(loss: CodecLoss) -> None:
    target = signals(2)[1]
    assert stacked(loss.terms(target, target)).tolist() == [0, 0, 0, 0, 0]
    near, far = (stacked(loss.terms(signals(2, snr_db=snr)[0], target)) for snr in (30.0, 10.0))
    assert float(near[CodecTerms._fields.index("loudness")]) == 0  # within what the codec would add itself
    assert (near >= 0).all()
    assert (near < far).all()


def test_a_gain_on_both_signals_changes_nothing(loss: CodecLoss) -> None:
    """Down to SILENCE_DB; and the gradient with respect to the logarithm of the gain stays."""
    estimate, target = signals(2)
    expected, slope = stacked(loss.terms(estimate, target)), gradient(loss, estimate, target)
    for db in (20.0, -15.0, -34.0):
        gain = 10 ** (db / 20)
        torch.testing.assert_close(stacked(loss.terms(gain * estimate, gain * target)), expected, **SUMS)
        scaled = gain * gradient(loss, gain * estimate, gain * target)
        torch.testing.assert_close(scaled, slope, rtol=1e-3, atol=1e-3 * float(slope.abs().max()))


def test_a_silent_target_is_safe_at_any_level_of_the_estimate(loss: CodecLoss) -> None:
    """No term has a gradient larger than four times what it has for the softest target that is not silence."""
    estimate, target = signals(1)
    softest = 10 ** (SILENCE_DB / 20) / LEVEL
    noise = torch.randn(1, SAMPLES, generator=torch.Generator().manual_seed(1))
    for name in TERMS:
        limit = 4 * gradient(loss, softest * estimate, softest * target, name).norm()
        for db in (-20, -40, -60, -80, -100, -120, -200):
            slope = gradient(loss, 10 ** (db / 20) * noise, torch.zeros(1, SAMPLES), name)
            assert slope.norm() <= limit, (name, db)
    louder, softer = (float(loss(10 ** (db / 20) * noise, torch.zeros(1, SAMPLES))) for db in (-40, -60))
    assert louder > softer > 0


def test_silence_of_both_costs_nothing_and_has_no_gradient(loss: CodecLoss) -> None:
    zeros = torch.zeros(1, SAMPLES)
    assert float(loss(zeros, zeros)) == 0
    assert not gradient(loss, zeros, zeros).any()


@pytest.mark.parametrize("level", [1e-44, 1e-42, 1e-41, 1e-40, 1e-38, 1e-30])
def test_an_estimate_far_below_what_is_heard_has_a_finite_gradient(loss: CodecLoss, level: float) -> None:
    """As a sound that fades out: that of PyTorch's complex `abs` is not finite for subnormal magnitudes.

    So it is where an odd number of cells leaves one behind its vector instructions.
    """
    estimate, target = 0.1 * torch.randn(2, 1, 16_000, generator=torch.Generator().manual_seed(0))
    for name in TERMS:
        assert gradient(loss, 10 * level * estimate, target, name).isfinite().all(), name


def test_an_estimate_of_zeros_is_led_towards_the_target(loss: CodecLoss) -> None:
    """A loss of magnitudes alone has no gradient there: loudness and layers."""
    target = signals(2)[1]
    zeros = torch.zeros_like(target)
    for name in ("noise_to_mask", "output", "total"):
        slope = gradient(loss, zeros, target, name)
        assert torch.isfinite(slope).all()
        cosine = -(slope * target).sum() / (slope.norm() * target.norm())
        assert cosine > 0.1, name
    assert loss(0.01 * target, target) < loss(zeros, target)
    for name in ("loudness", "layers"):
        assert not gradient(loss, zeros, target, name).any()


@pytest.mark.parametrize("axes", [(), (3,), (2, 2), (2, 1, 2)])
def test_channels_and_batches_of_any_shape_cost_the_mean_of_their_parts(loss: CodecLoss, axes: tuple[int, ...]) -> None:
    estimate, target = signals(*axes)
    target[..., :10] += torch.arange(math.prod(axes)).reshape(*axes, 1)  # levels that differ
    together = stacked(loss.terms(estimate, target))
    pairs = zip(estimate.reshape(-1, SAMPLES), target.reshape(-1, SAMPLES), strict=True)
    parts = torch.stack([stacked(loss.terms(ours, theirs)) for ours, theirs in pairs])
    torch.testing.assert_close(together, parts.mean(dim=0), **SUMS)


def test_missing_and_added_loudness_may_count_either_way(emulator: Emulator) -> None:
    """A target that is 6 dB louder or softer: by default missing loudness counts twice, with .5 added loudness."""
    _, target = signals(2)
    ratios = []
    for missing in (2.0, 1.0, 0.5):
        loss = only("loudness", emulator, missing=missing)
        reference = loss.reference(target)
        unweighted = only("loudness", emulator, missing=1.0)
        for factor, weight in ((0.5, missing), (2.0, 1.0)):
            ours, theirs = float(loss(factor * target, reference)), float(unweighted(factor * target, reference))
            assert ours == pytest.approx(weight * theirs, rel=1e-5)
        ratios.append(float(loss(0.5 * target, reference) / loss(2 * target, reference)))
    assert ratios == pytest.approx([ratios[1] * 2, ratios[1], ratios[1] / 2])


def test_a_cached_reference_gives_the_identical_loss_and_gradient(loss: CodecLoss) -> None:
    estimate, target = signals(2, 1)
    reference = loss.reference(target.requires_grad_())
    assert reference.shape == (2, 1, SAMPLES)
    assert not any(value.requires_grad for value in (*reference.layers.values(), reference.spectrum, reference.gain))
    assert torch.equal(stacked(loss.terms(estimate, reference)), stacked(loss.terms(estimate, target)))
    slopes = []
    for known in (reference, reference.to("cpu"), target):
        ours = estimate.clone().requires_grad_()
        loss(ours, known).backward()
        slopes.append(ours.grad)
    assert torch.equal(slopes[0], slopes[1])
    assert torch.equal(slopes[0], slopes[2])
    assert target.grad is None


def test_autocast_changes_nothing(loss: CodecLoss) -> None:
    """The same bits: differences of spectra and layers would drown in bfloat16."""
    estimate, target = signals(1)
    plain, slope = stacked(loss.terms(estimate, target)), gradient(loss, estimate, target)
    inputs = (estimate.clone().requires_grad_(), estimate.bfloat16().requires_grad_())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        ours, short = (loss.terms(x, target) for x in inputs)
    assert torch.equal(stacked(ours), plain)
    assert torch.equal(torch.autograd.grad(ours.total, inputs[0])[0], slope)
    assert torch.isfinite(torch.autograd.grad(short.total, inputs[1])[0]).all()


@pytest.mark.parametrize("rate", [RATE, 24_000])
@pytest.mark.parametrize("name", TERMS)
def test_gradients_are_those_of_finite_differences_in_float64(name: str, rate: int) -> None:
    loss = only(name, tiny_emulator(), sample_rate=rate).to(torch.float64)
    estimate, target = (signal.double() for signal in signals(1, samples=96, rate=rate))
    reference = loss.reference(target)
    assert torch.autograd.gradcheck(lambda x: loss(x, reference), estimate.requires_grad_())


def test_the_whole_loss_follows_to_another_precision(emulator: Emulator) -> None:
    loss = CodecLoss(emulator, sample_rate=RATE, **ALL)
    estimate, target = signals(1)
    single = stacked(loss.terms(estimate, target))
    double = stacked(loss.to(torch.float64).terms(estimate.double(), target.double()))
    assert double.dtype == torch.float64
    torch.testing.assert_close(double.float(), single, **SUMS)
    assert gradient(loss, estimate, target).dtype == torch.float32
    with pytest.raises(ValueError, match=r"computes in float32 or float64, but was moved to torch\.bfloat16"):
        loss.bfloat16()(estimate, target)


def test_the_emulator_is_frozen_and_hidden_from_optimisers_and_checkpoints(emulator: Emulator) -> None:
    source = copy.deepcopy(emulator).train().requires_grad_(True)
    model = nn.ModuleDict({"network": nn.Linear(1, 1), "loss": CodecLoss(source, sample_rate=RATE, **ALL)})
    assert [name for name, _ in model.named_parameters()] == ["network.weight", "network.bias"]
    assert list(model.state_dict()) == ["network.weight", "network.bias"]
    assert len(list(source.parameters())) == len(list(emulator.parameters()))
    model.train().requires_grad_(True)
    assert not any(part.training for part in model["loss"].get_submodule("emulator").modules())
    assert not any(buffer.requires_grad for buffer in model.buffers())
    estimate, target = signals(1)
    assert not model["loss"](estimate, target).requires_grad
    assert all(parameter.grad is None for parameter in source.parameters())


def test_the_noise_term_does_not_run_the_network_on_the_estimate(emulator: Emulator) -> None:
    loss = only("noise_to_mask", emulator)
    runs = []
    loss.emulator.stem.register_forward_hook(lambda *_: runs.append(1))
    estimate, target = signals(1)
    reference = loss.reference(target)
    assert len(runs) == 1
    gradient(loss, estimate, reference)
    assert len(runs) == 1
    assert reference.output is None
    assert reference.layers == {}


def test_weights_multiply_their_terms_and_a_weight_of_zero_skips_its_term(loss: CodecLoss, emulator: Emulator) -> None:
    estimate, target = signals(1)
    terms = loss.terms(estimate, target)
    weighted = CodecLoss(emulator, sample_rate=RATE, noise_to_mask=0.5, output=2.0, layers=0.0)
    ours = weighted.terms(estimate, target)
    assert float(ours.layers) == 0
    torch.testing.assert_close(ours.total, 0.5 * terms.noise_to_mask + 2 * terms.output)
    torch.testing.assert_close(weighted(estimate, target), ours.total, rtol=0, atol=0)


def test_an_error_under_the_predicted_noise_costs_next_to_nothing_and_one_far_above_its_log_ratio(
    emulator: Emulator,
) -> None:
    """Errors of the shape that the emulator predicts, scaled; 10 percent are left to the estimate of their power."""
    loss = only("noise_to_mask", emulator)
    target = signals(1, samples=RATE)[1]
    emulation = emulator(target)
    quietest = float(loss.quiet.max()) ** 0.5
    shape = (emulation.log_variance / 2).exp().clamp(min=quietest)
    noise = shape * torch.randn(shape.shape, dtype=torch.complex64, generator=torch.Generator().manual_seed(0))
    window = loss.emulator.window
    error = torch.istft(noise, 1024, 256, window=window, length=RATE)
    costs = [float(loss(target + 10 ** (db / 20) * error, target)) for db in (-20, 20, 40)]
    assert costs[0] < 0.02
    assert costs[2] - costs[1] == pytest.approx(math.log(100), rel=0.1)


def test_the_terms_are_those_of_a_plain_numpy_implementation() -> None:
    """Written from the definitions, in float64 from what the network gives; its window has the precision of float32."""
    emulator = tiny_emulator().double()
    loss = CodecLoss(emulator, sample_rate=RATE, layer_names=("decoder1",), **ALL).to(torch.float64)
    ours = loss.terms(*(signal.double() for signal in signals(1, samples=400)))
    e, s = (signal[0].double().numpy() for signal in signals(1, samples=400))
    gain = 10 ** (-25 / 20) / np.sqrt(np.mean(s**2))
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(64) / 64)

    def spectrum(audio: np.ndarray) -> np.ndarray:
        padded = np.pad(gain * audio, 32)
        frames = [padded[i : i + 64] * window for i in range(0, padded.size - 63, 16)]
        return np.fft.rfft(frames).T / np.sqrt(np.sum(window**2))

    hertz = np.linspace(0, 8000, 33)  # the first bin is under 20 Hz, the second at 250
    count = round(float(erb_rate(8000.0) - erb_rate(250.0))) + 1
    centres = erb_frequency(np.linspace(erb_rate(250.0), erb_rate(8000.0), count))
    bands = np.array([np.interp(hertz, centres, unit) * (hertz > 20) for unit in np.eye(count)])
    bands = bands[bands.sum(axis=1) > 0]
    bands /= bands.sum(axis=1, keepdims=True)

    def smoothed(power: np.ndarray) -> np.ndarray:
        banded = bands @ power
        half = 24  # of 49 frames of 1 ms
        return np.stack([banded[:, max(t - half, 0) : t + half + 1].mean(axis=1) for t in range(power.shape[1])], 1)

    def emulated(audio: np.ndarray) -> dict[str, np.ndarray]:
        with torch.no_grad():
            out = emulator.analyse(torch.from_numpy(spectrum(audio))[None])
        return {"mask": out.mask[0].numpy(), "noise": out.log_variance[0].exp().numpy()} | {
            "layer": out.layers["decoder1"][0].numpy()
        }

    estimate, target = emulated(e), emulated(s)
    noise = np.maximum(smoothed(target["noise"]), 10 ** (TINY.quiet_db / 10) * 32 * bands.max(axis=1, keepdims=True))
    error = smoothed(np.abs(spectrum(e) - spectrum(s)) ** 2)
    assert float(ours.noise_to_mask) == pytest.approx(np.mean(np.log(1 + error / noise)), rel=1e-6)
    quiet = 10 ** (TINY.quiet_db / 10) * 32 * bands.max(axis=1, keepdims=True)
    louder, loud, softer = (
        ((smoothed(np.abs(spectrum(x)) ** 2) + extra + quiet) * 10**2.5) ** 0.23
        for x, extra in ((e, 0.0), (s, noise), (s, 0.0))
    )
    margin = loud - softer
    beyond = np.maximum(louder - softer - margin, 0) + 2 * np.maximum(softer - louder - margin, 0)
    assert float(ours.loudness) == pytest.approx(np.mean(beyond), rel=1e-6)
    masked = [10 ** (25 / 20) * x["mask"] * spectrum(y) for x, y in ((estimate, e), (target, s))]
    a, b = (x * (np.abs(x) ** 2 + 1e-6) ** -0.35 for x in masked)
    distance = np.mean(np.abs(a - b) ** 2 + (np.abs(a) - np.abs(b)) ** 2) / 2
    assert float(ours.output) == pytest.approx(distance, rel=1e-6)
    difference = np.mean(np.abs(estimate["layer"] - target["layer"])) / np.mean(np.abs(target["layer"]))
    assert float(ours.layers) == pytest.approx(difference, rel=1e-6)


def test_signals_at_48_khz_cost_what_they_cost_at_the_rate_of_the_emulator(emulator: Emulator) -> None:
    """Within 3 percent: what the resampler does close to 8 kHz. Sound above has no say and gets no gradient."""
    loss, high = (CodecLoss(emulator, sample_rate=rate, **ALL) for rate in (RATE, 48_000))
    low_band = torch.fft.rfft(torch.stack(signals(1)))
    low_band[..., round(7000 / RATE * SAMPLES) :] = 0
    estimate, target = torch.fft.irfft(low_band)
    fine = 3 * torch.fft.irfft(torch.nn.functional.pad(low_band, (0, SAMPLES)), n=3 * SAMPLES)
    at_16, at_48 = stacked(loss.terms(estimate, target)), stacked(high.terms(fine[0], fine[1]))
    torch.testing.assert_close(at_48, at_16, rtol=0.03, atol=0)
    whistle = torch.hann_window(3 * SAMPLES) * torch.sin(2 * math.pi * 12_000 / 48_000 * torch.arange(3 * SAMPLES))
    torch.testing.assert_close(stacked(high.terms(fine[0] + LEVEL * whistle, fine[1])), at_48, rtol=0.01, atol=0)
    slope = torch.fft.rfft(torch.hann_window(3 * SAMPLES) * gradient(high, fine[0], fine[1])[0]).abs().square()
    assert slope[SAMPLES // 3 * 2 :].sum() < 1e-4 * slope.sum()  # from 10.7 kHz up
    assert slope.sum() > 0


def test_other_rates_work_where_double_is_the_default(emulator: Emulator) -> None:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        estimate, target = torch.randn(2, 48_000)
        assert CodecLoss("mp3-v9-16k", sample_rate=48_000)(estimate, target).dtype == torch.float64
    finally:
        torch.set_default_dtype(before)


def test_other_rates_are_resampled(emulator: Emulator) -> None:
    for rate in (8_000, 22_050, 44_100):
        loss = CodecLoss(emulator, sample_rate=rate, **ALL)
        estimate, target = signals(2, samples=rate // 4, rate=rate)
        assert gradient(loss, estimate, target).abs().sum() > 0


def test_layers_are_chosen_by_group_or_name(emulator: Emulator) -> None:
    assert CodecLoss(emulator, sample_rate=RATE, layer_names="encoder").layer_names == (
        "encoder1", "encoder2", "encoder3",
    )  # fmt: skip
    assert "bottleneck" in CodecLoss(emulator, sample_rate=RATE).layer_names
    estimate, target = signals(1)
    each = [only("layers", emulator, layer_names=(n,))(estimate, target) for n in ("encoder2", "decoder1")]
    both = only("layers", emulator, layer_names=("encoder2", "decoder1"))(estimate, target)
    torch.testing.assert_close(both, sum(each) / 2)
