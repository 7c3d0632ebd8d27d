"""`emulator.losses.noise_to_mask`: the hand-made ear masks what it should, computes what BS.1387 says, and has a usable
gradient."""

import numpy as np
import pytest
import torch

from emulator.losses.noise_to_mask import BAND_BARK, BarkEar, bark_loss, noise_to_mask_ratio
from emulator.training.masking_stimuli import noise_band, tone

RATE = 16_000


def with_probe(hertz: float, level_db: float = -30.0, masker_db: float = -20.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Noise around 1 kHz with a probe, and without; `[1, time]`."""
    rng = np.random.default_rng(0)
    gain = 10 ** (masker_db / 20)
    masker = gain * noise_band(RATE, RATE, 920, 1080, rng)
    probe = gain * 10 ** (level_db / 20) * tone(RATE, RATE, hertz, rng)
    return torch.from_numpy(masker + probe)[None], torch.from_numpy(masker)[None]


def ratio(hertz: float, level_db: float = -30.0, masker_db: float = -20.0) -> float:
    return float(noise_to_mask_ratio(*with_probe(hertz, level_db, masker_db), RATE))


def test_a_masked_probe_counts_far_less_than_an_audible_one():
    assert ratio(1250) < ratio(3000) - 15


def test_masking_reaches_further_up_than_down():
    assert ratio(1400) < ratio(714) - 3  # 1.85 Bark above against 1.85 Bark below


def test_a_loud_masker_reaches_further_up_than_a_soft_one():
    """Slopes upwards fall with level, so the same probe re masker is masked more."""
    assert ratio(1600, masker_db=-10) < ratio(1600, masker_db=-40) - 3


def test_the_ratio_grows_by_as_many_decibels_as_the_noise():
    """A gain error has no phase: its noise is exactly its share of the magnitude."""
    _, target = with_probe(1250)
    small, large = (noise_to_mask_ratio((1 + share) * target, target, RATE) for share in (0.01, 0.1))
    assert float(large - small) == pytest.approx(20, abs=1e-6)


def test_equal_signals_have_the_lowest_ratio_and_no_loss():
    _, target = with_probe(1250)
    assert noise_to_mask_ratio(target, target, RATE).tolist() == [-100]
    assert bark_loss(target, target, RATE) == 0


def test_spreading_is_that_of_the_standard_written_as_loops():
    """Kabal's equations for one frame, band by band; double precision, so they agree to 1e-10."""
    ear = BarkEar(RATE).double()
    energy = 10 ** np.random.default_rng(1).uniform(0, 7, ear.bands)

    def spread(energies: np.ndarray) -> np.ndarray:
        total = np.zeros(ear.bands)
        for source, value in enumerate(energies):
            slope = 24 + 230 / float(ear.frequency[source]) - 2 * np.log10(value)
            parts = np.zeros(ear.bands)
            for place in range(ear.bands):
                distance = (place - source) * BAND_BARK
                parts[place] = 10 ** ((27 * distance if distance < 0 else -slope * distance) / 10)
            total += (value * parts / parts.sum()) ** 0.4
        return total**2.5

    expected = spread(energy) / spread(np.ones(ear.bands))
    found = ear._spread(torch.from_numpy(energy)[None, :, None])[0, :, 0].numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_forward_masking_fades_within_a_tenth_of_a_second():
    ear = BarkEar(RATE).double()
    audio = torch.zeros(1, RATE, dtype=torch.float64)
    audio[:, : RATE // 2] = with_probe(3000)[1][:, : RATE // 2]
    spectrum = ear.spectrum(audio)
    mask = ear.mask(spectrum.real.square() + spectrum.imag.square())[0, int(4 * 7.6)]  # the band at 1 kHz
    end = RATE // 2 // ear.hop
    level = 10 * torch.log10(mask / mask[-1])
    assert level[end - 4] > 40
    assert 3 < level[end + 2] < level[end - 4] - 6
    assert level[end + 10] < 1


def test_leading_axes_are_signals():
    generator = torch.Generator().manual_seed(0)
    target = 0.1 * torch.randn(2, 3, 8000, generator=generator)
    estimate = target + 0.01 * torch.randn(2, 3, 8000, generator=generator)
    whole = noise_to_mask_ratio(estimate, target, RATE)
    assert whole.shape == (2, 3)
    assert whole.dtype == torch.float32
    torch.testing.assert_close(whole[1, 2], noise_to_mask_ratio(estimate[1, 2], target[1, 2], RATE))
    each = torch.stack([bark_loss(*pair, RATE) for pair in zip(estimate[:, 0], target[:, 0], strict=True)])
    torch.testing.assert_close(bark_loss(estimate[:, 0], target[:, 0], RATE), each.mean())


def test_long_signals_are_cut_only_inside():
    """Spreading works through chunks of frames; what comes out does not show it."""
    ear = BarkEar(RATE).double()
    energy = 10 ** torch.rand(1, ear.bands, 300, dtype=torch.float64)
    whole = ear._spread(energy)
    parts = torch.cat([ear._spread(chunk) for chunk in energy.split(128, dim=-1)], dim=-1)
    torch.testing.assert_close(whole, parts)


def test_the_gradient_is_that_of_the_value():
    generator = torch.Generator().manual_seed(0)
    target = 0.1 * torch.randn(1, 200, generator=generator, dtype=torch.float64)
    estimate = (0.5 * target).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: bark_loss(x, target, 2000), estimate)


def test_a_validation_in_inference_mode_may_come_before_training():
    """What the ear of a sample rate is made of is kept from the first call on."""
    target = 0.05 * torch.randn(1, 6000, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        before = bark_loss(1.1 * target, target, 12_345)
    estimate = (1.1 * target).requires_grad_()
    loss = bark_loss(estimate, target, 12_345)
    loss.backward()
    assert torch.equal(loss, before)


def test_silence_is_safe():
    silence = torch.zeros(1, RATE)
    estimate = (0.1 * torch.randn(1, RATE)).requires_grad_()
    bark_loss(estimate, silence, RATE).backward()
    assert estimate.grad is not None
    assert torch.isfinite(estimate.grad).all()
    assert torch.isfinite(noise_to_mask_ratio(silence, silence, RATE)).all()
    zero = silence.clone().requires_grad_()
    bark_loss(zero, estimate.detach(), RATE).backward()
    assert zero.grad is not None
    assert zero.grad.abs().max() > 0  # the difference is complex: an empty estimate has somewhere to go


@pytest.mark.parametrize("measure", [noise_to_mask_ratio, bark_loss])
def test_bad_input_is_refused_with_what_came(measure):
    with pytest.raises(ValueError, match=r"one shape.*\(1, 10\) and \(1, 11\)"):
        measure(torch.zeros(1, 10), torch.zeros(1, 11), RATE)
    with pytest.raises(ValueError, match=r"\(1, 0\)"):
        measure(torch.zeros(1, 0), torch.zeros(1, 0), RATE)
    with pytest.raises(ValueError, match="int64"):
        measure(torch.zeros(1, 10, dtype=torch.int64), torch.zeros(1, 10), RATE)
    with pytest.raises(ValueError, match="got 100"):
        measure(torch.zeros(1, 1000), torch.zeros(1, 1000), 100)
