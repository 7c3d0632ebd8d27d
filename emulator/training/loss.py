"""The emulator's own loss: how far it is from what the codec did.

Three terms. The log-spectral distance compares what the mask leaves with what the codec left, in the unit in which
codecs are judged. The compressed complex distance keeps strong cells right. The likelihood of the codec's error under a
complex Gaussian with the predicted variance trains the second head: its minimum is the expected power of the error
given what the network sees. That error is taken where a faint noise reveals it (`emulator.training.threshold_noise`).
"""

from typing import NamedTuple

from torch import Tensor

from emulator.model.network import POWER_FLOOR, Emulation
from emulator.model.paper_unet import PaperEmulation
from emulator.model.spectrum import LOG_FLOOR, log_spectral_distance, power

COMPRESSION = 0.3


class EmulationTerms(NamedTuple):
    """The loss and its parts, means over the batch, before weights."""

    total: Tensor
    log_spectral: Tensor  # dB
    complex_spectral: Tensor
    likelihood: Tensor  # negative log-likelihood per cell, nats


LOG_SPECTRAL, COMPLEX_SPECTRAL, LIKELIHOOD = 0.15, 20.0, 0.5
"""Weights of the three terms; each then moves by about one over a training."""


def emulation_loss(emulation: Emulation, coded: Tensor, allowed: Tensor) -> EmulationTerms:
    """Compare.

    Args:
        emulation: of the original.
        coded: spectrum ``[batch, bins, frames]`` of what the codec left, aligned with the original.
        allowed: spectrum of the noise that the codec allows itself, aligned too.
    """
    spectrum = emulation.spectrum
    original, target = power(spectrum), power(coded)
    kept = emulation.mask.square() * original
    log_spectral = log_spectral_distance(kept, target)
    ours = emulation.mask * spectrum * (kept + LOG_FLOOR) ** ((COMPRESSION - 1) / 2)
    theirs = coded * (target + LOG_FLOOR) ** ((COMPRESSION - 1) / 2)
    complex_spectral = power(ours - theirs).mean()
    variance = emulation.log_variance.exp() + POWER_FLOOR
    likelihood = ((power(allowed) + POWER_FLOOR) / variance + variance.log()).mean()
    total = LOG_SPECTRAL * log_spectral + COMPLEX_SPECTRAL * complex_spectral + LIKELIHOOD * likelihood
    return EmulationTerms(total, log_spectral.detach(), complex_spectral.detach(), likelihood.detach())


def paper_loss(emulation: PaperEmulation, coded: Tensor) -> EmulationTerms:
    """Return the distance of magnitudes; the other terms are reported as by `emulation_loss`.

    Args:
        emulation: of the original.
        coded: spectrum ``[batch, bins, frames]`` of what the codec left.
    """
    target = power(coded).sqrt()
    level = target.mean().clamp(min=1e-4)
    total = (emulation.magnitude - target).abs().mean() / level
    distance = log_spectral_distance(emulation.magnitude.square(), power(coded))
    return EmulationTerms(total, distance.detach(), total.detach(), total.new_zeros(()))
