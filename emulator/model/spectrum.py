"""Powers of spectra, and their distance in dB."""

import torch
from torch import Tensor

LOG_FLOOR = 1e-9  # power (-90 dB) that log spectra start from


def power(spectrum: Tensor) -> Tensor:
    """Squared magnitude of a complex tensor."""
    return spectrum.real.square() + spectrum.imag.square()


def log_spectral_distance(estimate: Tensor, target: Tensor) -> Tensor:
    """Root mean square over frequency of the difference in dB, mean over frames; of powers ``[batch, bins, frames]``.

    Example:
        >>> float(log_spectral_distance(torch.full((1, 4, 3), 0.1), torch.ones(1, 4, 3)).round(decimals=4))
        10.0
    """
    decibels = 10 * (torch.log10(estimate + LOG_FLOOR) - torch.log10(target + LOG_FLOOR))
    return (decibels.square().mean(dim=1) + 1e-6).sqrt().mean()
