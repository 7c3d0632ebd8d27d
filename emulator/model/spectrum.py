"""Short-time spectra with a window of unit energy, their powers, and the distance of powers in dB."""

from typing import Literal

import torch
from torch import Tensor

LOG_FLOOR = 1e-9  # power (-90 dB) that log spectra start from


def unit_window(size: int, dtype: torch.dtype | None = None, device: torch.device | str | None = None) -> Tensor:
    """Return the Hann window of unit energy: white noise of power p has the power p in each cell.

    Example:
        >>> unit_window(4)
        tensor([0.0000, 0.4082, 0.8165, 0.4082])
    """
    window = torch.hann_window(size, dtype=dtype, device=device)
    return window / window.square().sum().sqrt()


def stft(audio: Tensor, window: Tensor, hop: int, pad_mode: Literal["constant", "reflect"] = "constant") -> Tensor:
    """Return complex spectra ``[signals, bins, frames]`` of ``[signals, time]`` or ``[bins, frames]`` of ``[time]``.

    There are ``time // hop + 1`` frames, as long as the window; frame t is centred on sample t * hop.

    Args:
        audio: samples.
        window: ``[size]``.
        hop: samples.
        pad_mode: what stands before the first sample and after the last: zeros, or the signal mirrored there.

    Example:
        >>> stft(torch.zeros(2, 5000), unit_window(1024), 256).shape
        torch.Size([2, 513, 20])
    """
    return torch.stft(audio, len(window), hop, window=window, pad_mode=pad_mode, return_complex=True)


def power(spectrum: Tensor) -> Tensor:
    """Return the squared magnitude of a complex tensor; its gradient at 0 is 0."""
    return spectrum.real.square() + spectrum.imag.square()


def log_spectral_distance(estimate: Tensor, target: Tensor) -> Tensor:
    """Return the distance in dB of powers ``[batch, bins, frames]``: RMS over frequency, mean over frames.

    Example:
        >>> float(log_spectral_distance(torch.full((1, 4, 3), 0.1), torch.ones(1, 4, 3)).round(decimals=4))
        10.0
    """
    decibels = 10 * (torch.log10(estimate + LOG_FLOOR) - torch.log10(target + LOG_FLOOR))
    return (decibels.square().mean(dim=1) + 1e-6).sqrt().mean()
