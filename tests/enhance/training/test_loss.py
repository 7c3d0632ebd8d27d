"""The plain loss: zero for equal signals, safe in silence, deaf above the band, blind to level."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import speech_like
from torch import Tensor

from enhance.training.loss import LossConfig, PlainLoss, PlainTerms

FULL = 24_000.0
SAMPLES = 9600
ONE_WINDOW = LossConfig(more_windows=())


def signals(batch: int = 2, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Estimate, target and noisy, `[batch, SAMPLES]`: speech, with a little and with more noise."""
    target = torch.from_numpy(speech_like(SAMPLES / 48_000, 48_000, channels=batch, seed=seed))
    noise = 0.03 * torch.randn(target.shape, generator=torch.Generator().manual_seed(seed))
    return 0.8 * target + 0.2 * noise, target, target + noise


def limits(batch: int, hertz: float = FULL) -> Tensor:
    return torch.full((batch,), hertz)


def compare(estimate: Tensor, target: Tensor, noisy: Tensor, hertz: float = FULL, **options: float) -> PlainTerms:
    return PlainLoss(LossConfig())(estimate, target, noisy, limits(len(noisy), hertz), **{"progress": 0.5, **options})


def test_equal_signals_have_no_distance_and_the_best_snr() -> None:
    _, target, noisy = signals()
    terms = compare(target, target, noisy)
    assert float(terms.magnitude) == float(terms.asymmetry) == float(terms.phase) == 0
    assert float(terms.snr_db) == pytest.approx(30.0, abs=1e-3)
    worse = compare(noisy, target, noisy)
    assert min(worse.magnitude, worse.phase) > 0.01
    assert worse.total > terms.total


@pytest.mark.parametrize("silent", ["target", "estimate", "target and estimate"])
def test_silence_gives_finite_values_and_gradients(silent: str) -> None:
    estimate, target, noisy = signals()
    estimate = (estimate * ("estimate" not in silent)).requires_grad_()
    terms = compare(estimate, target * ("target" not in silent), noisy)
    terms.total.backward()
    assert estimate.grad is not None
    assert torch.isfinite(estimate.grad).all()
    assert all(torch.isfinite(value) for value in terms)


@pytest.mark.parametrize("level", [0.0, 1e-4])
def test_digital_silence_at_the_input_is_safe_beside_other_examples(level: float) -> None:
    """An example of zeros throughout, as an input without noise and without speech is, does not spoil its batch."""
    rows = torch.tensor([[1.0], [0.0]])
    estimate, target, noisy = (signal * rows for signal in signals())
    estimate = (estimate + level * (1 - rows)).requires_grad_()
    terms = compare(estimate, target, noisy)
    terms.total.backward()
    assert estimate.grad is not None
    assert torch.isfinite(estimate.grad).all()
    assert all(torch.isfinite(value) for value in terms)


def test_what_lies_above_the_band_limit_does_not_count() -> None:
    """A tone at 10 kHz, added to the estimate, is heard with the whole band and not with a limit of 8 kHz.

    Not by the spectral terms, that is: the SNR is one of waveforms, and counts it.
    """
    _, target, noisy = signals()
    window = torch.hann_window(SAMPLES)  # no click at the ends, which would reach below 8 kHz
    tone = 0.05 * window * torch.sin(2 * torch.pi * 10_000 * torch.arange(SAMPLES) / 48_000)
    for turn in (0, 1):
        heard, masked = (compare(target + tone, target, noisy, hertz, turn=turn) for hertz in (FULL, 8000.0))
        assert min(heard.magnitude, heard.phase) > 1e-3
        assert max(masked.magnitude, masked.phase) < 1e-6
    below = compare(target + tone, target, noisy, 10_500.0)
    assert below.magnitude > heard.magnitude  # the mean is one over the bins that count


def test_the_loss_does_not_depend_on_the_level() -> None:
    loud = compare(*signals())
    for level_db in (-20.0, -50.0):
        estimate, target, noisy = (10 ** (level_db / 20) * signal for signal in signals())
        soft = compare(estimate, target, noisy)
        torch.testing.assert_close(torch.stack(soft), torch.stack(loud), rtol=1e-3, atol=1e-5)


def test_the_loss_of_a_batch_is_the_mean_over_its_examples() -> None:
    """So that processes that share a batch evenly and average their gradients train as one."""
    estimate, target, noisy = signals(4)
    limit = torch.tensor([FULL, 8000.0, 3400.0, FULL])
    loss = PlainLoss(LossConfig())
    together = torch.stack(loss(estimate, target, noisy, limit, 0.3))
    singles = [
        torch.stack(loss(estimate[i : i + 1], target[i : i + 1], noisy[i : i + 1], limit[i : i + 1], 0.3))
        for i in range(4)
    ]
    torch.testing.assert_close(together, torch.stack(singles).mean(dim=0), rtol=1e-5, atol=1e-6)


def test_the_spectral_terms_are_those_of_a_plain_numpy_implementation() -> None:
    """Written from the definition, frame by frame in float64; float32 sums differ by 1e-5 of it at most."""
    estimate, target, noisy = signals(1)
    ours = PlainLoss(ONE_WINDOW)(estimate, target, noisy, limits(1), progress=0.0)
    e, s, x = (signal[0].double().numpy() for signal in (estimate, target, noisy))
    scale = 1 / np.sqrt(np.mean(x**2))
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(960) / 960)

    def spectrum(audio: np.ndarray) -> np.ndarray:
        padded = np.pad(scale * audio, 480, mode="reflect")
        frames = [padded[i : i + 960] * window for i in range(0, padded.size - 959, 480)]
        return np.fft.rfft(frames) / np.sqrt(np.sum(window**2))

    hertz = np.linspace(0, 24_000, 481)
    weights = 1 / np.sqrt(24.7 * (0.00437 * hertz + 1))  # square root of the density of ERBs
    weights /= weights.mean()
    powers = [np.abs(spectrum(audio)) ** 2 + 1e-7 for audio in (e, s)]
    low = powers[1] ** 0.15 - powers[0] ** 0.15
    compressed = [spectrum(audio) / power**0.5 * power**0.15 for audio, power in zip((e, s), powers, strict=True)]
    assert float(ours.magnitude) == pytest.approx(np.mean(weights * low**2), rel=1e-4)
    assert float(ours.asymmetry) == pytest.approx(np.mean(weights * np.maximum(low, 0) ** 2), rel=1e-4)
    assert float(ours.excess) == pytest.approx(np.mean(weights * np.minimum(low, 0) ** 2), rel=1e-4)
    assert float(ours.phase) == pytest.approx(np.mean(weights * np.abs(compressed[0] - compressed[1]) ** 2), rel=1e-4)
    error = np.sum((e - s) ** 2)
    floored = np.sum(s**2) + 0.01 * np.sum(x**2)
    assert float(ours.snr_db) == pytest.approx(10 * np.log10(floored / (error + 1e-3 * floored)), abs=1e-3)
    total = float(ours.magnitude + ours.asymmetry + 0.5 * ours.phase - 0.05 * ours.snr_db)
    assert float(ours.total) == pytest.approx(total, rel=1e-5)


def test_speech_that_is_lost_costs_more_than_noise_that_is_left() -> None:
    _, target, _ = signals()
    lost, left = (compare(factor * target, target, target) for factor in (0.5, 2.0))
    assert lost.asymmetry > 0.01
    assert float(left.asymmetry) < 1e-3 * float(lost.asymmetry)


def test_noise_that_is_left_may_cost_more_than_speech_that_is_lost() -> None:
    """With `excess` in place of `asymmetry`, which splits the distance of magnitudes between them."""
    _, target, noisy = signals()
    reversed_ = PlainLoss(replace(LossConfig(), asymmetry=0.0, excess=1.0, snr_first=0.0, snr_last=0.0))
    lost, left = (reversed_(factor * target, target, target, limits(2), 0.0) for factor in (0.5, 2.0))
    assert float(lost.excess) == 0.0
    assert float(left.total) == pytest.approx(float(2 * left.magnitude + 0.5 * left.phase), rel=1e-4)
    assert float(lost.total) == pytest.approx(float(lost.magnitude + 0.5 * lost.phase), rel=1e-4)
    both = compare(noisy, target, noisy)
    assert float(both.asymmetry + both.excess) == pytest.approx(float(both.magnitude), rel=1e-5)


def test_a_lower_power_weighs_soft_parts_more() -> None:
    """An error of 40 dB below the speech, against one of its own level: the ratio follows the power."""
    _, target, _ = signals()
    ratios = []
    for compression in (0.5, 0.3, 0.15):
        loss = PlainLoss(replace(LossConfig(), compression=compression))
        soft, loud = (loss(target, factor * target, target, limits(2), 0.0).magnitude for factor in (0.01, 2.0))
        ratios.append(float(soft / loud))
    assert ratios[0] < ratios[1] < ratios[2]
    with pytest.raises(ValueError, match=r"compression must be in \(0, 1\]; got 0\.0"):
        LossConfig(compression=0.0)


def test_a_wrong_sign_is_heard_by_the_complex_term_alone() -> None:
    _, target, noisy = signals()
    terms = compare(-target, target, noisy)
    assert float(terms.magnitude) < 1e-9
    assert terms.phase > 0.1
    assert terms.snr_db < 0


def test_the_weight_of_the_snr_falls_with_progress() -> None:
    config = replace(LossConfig(), snr_first=0.05, snr_last=0.005)
    for progress, weight in ((0.0, 0.05), (0.5, 0.0275), (1.0, 0.005)):
        terms = PlainLoss(config)(*signals(), limits(2), progress)
        expected = terms.magnitude + terms.asymmetry + 0.5 * terms.phase - weight * terms.snr_db
        torch.testing.assert_close(terms.total, expected)


def test_further_resolutions_take_turns() -> None:
    both = [compare(*signals(), turn=turn).magnitude for turn in range(4)]
    assert both[0] == both[2] != both[1] == both[3]
    single = [PlainLoss(ONE_WINDOW)(*signals(), limits(2), 0.5, turn).magnitude for turn in (0, 1)]
    assert single[0] == single[1]


def test_shapes_that_differ_are_refused() -> None:
    estimate, target, noisy = signals()
    with pytest.raises(ValueError, match=r"must have one shape; got \(2, 9599\), \(2, 9600\), \(2, 9600\)"):
        compare(estimate[:, 1:], target, noisy)
    with pytest.raises(ValueError, match="must have one shape"):
        compare(estimate, target[:1], noisy)


def test_the_gradient_leads_towards_the_target() -> None:
    estimate, target, noisy = signals(1)
    estimate = estimate.requires_grad_()
    terms = compare(estimate, target, noisy)
    (gradient,) = torch.autograd.grad(terms.total, estimate)
    step = 1e-4 * gradient / gradient.norm() * target.norm()
    assert compare(estimate.detach() - step, target, noisy).total < terms.total
    assert compare(estimate.detach() + step, target, noisy).total > terms.total
