"""Filters as gains on the bins of one long FFT: equalisers, band limits, and lengths that transform fast."""

import math

import numpy as np
import torch
from torch import Tensor

from enhance.data.to_device import send

EQ_HZ = (60.0, 18_000.0)  # outermost knots of the equaliser
EQ_KNOTS = 8


def fast_length(length: int) -> int:
    """Return the smallest even number from `length` on that has no prime factor above 5.

    Example:
        >>> fast_length(147_840)
        150000
    """
    size = length + length % 2
    while True:
        rest = size
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return size
        size += 2


class Equaliser:
    """Smooth gain curves through knots that are evenly spaced in octaves from 60 Hz to 18 kHz.

    Args:
        frequency: `[bins]`, Hz, on the device where the gains are wanted.

    Example:
        >>> equaliser = Equaliser(torch.tensor([0.0, 60.0, 18_000.0]))
        >>> equaliser.gains(np.full((1, EQ_KNOTS), 20.0)).round(decimals=3)
        tensor([[10., 10., 10.]])
    """

    def __init__(self, frequency: Tensor) -> None:
        span = math.log(EQ_HZ[1] / EQ_HZ[0])
        place = (torch.log(frequency.clamp_min(1.0) / EQ_HZ[0]) / span).clamp(0.0, 1.0) * (EQ_KNOTS - 1)
        self._knot = place.long().clamp_max(EQ_KNOTS - 2)
        self._between_knots = 0.5 - 0.5 * torch.cos(torch.pi * (place - self._knot))

    def gains(self, knots_db: np.ndarray) -> Tensor:
        """Return gains `[batch, bins]` from decibels `[batch, EQ_KNOTS]`."""
        knots = send((knots_db * (math.log(10) / 20)).astype(np.float32), self._knot.device)
        return torch.lerp(knots[:, self._knot], knots[:, self._knot + 1], self._between_knots).exp_()


def band_shape(frequency: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Return gains `[batch, bins]` that rise from 0.7 `low` to `low` and fall from 0.94 `high` to `high`, zero outside.

    Args:
        frequency: `[bins]`, Hz.
        low: `[batch, 1]`, Hz, above 0.
        high: `[batch, 1]`, Hz.

    Example:
        >>> edges = torch.tensor([[300.0]]), torch.tensor([[3400.0]])
        >>> band_shape(torch.tensor([100.0, 300.0, 3000.0, 3400.0]), *edges)
        tensor([[0., 1., 1., 0.]])
    """
    fall = ((high - frequency) / (0.06 * high)).clamp(0.0, 1.0)
    rise = ((frequency / low - 0.7) / 0.3).clamp(0.0, 1.0)
    return (0.5 - 0.5 * torch.cos(torch.pi * fall)) * (0.5 - 0.5 * torch.cos(torch.pi * rise))
