"""Parts of the enhancement network: neighbours in frequency, dual paths, and the transform of the fine powers."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from enhance.model.config import FINE_FRAMES
from enhance.model.gru import GRU


def joined(x: Tensor, size: int) -> Tensor:
    """Join ``size`` positions to one: ``[frames, F, C]`` to ``[frames, F / size, size * C]``."""
    return x.reshape(-1, x.shape[1] // size, size * x.shape[2])


def parted(x: Tensor, size: int) -> Tensor:
    """Return the inverse of :func:`joined`."""
    return x.reshape(-1, x.shape[1] * size, x.shape[2] // size)


def neighbourhoods(x: Tensor, stride: int) -> Tensor:
    """Windows of three positions, or of twice the stride: ``[frames, F, C]`` to ``[frames, F / stride, size * C]``."""
    if stride == 1:
        padded = F.pad(x, (0, 0, 1, 1))
        return torch.cat([padded[:, :-2], x, padded[:, 2:]], dim=-1)
    halves = joined(x, stride // 2)
    padded = F.pad(halves, (0, 0, 1, 1))
    return torch.cat([padded[:, 0:-2:2], joined(halves, 2), padded[:, 3::2]], dim=-1)


class Neighbours(nn.Module):
    """Residual block that mixes each position with its two neighbours in frequency."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.mix = nn.Linear(3 * channels, channels)
        self.out = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.out(F.silu(self.mix(neighbourhoods(self.norm(x), 1))))


class DualPath(nn.Module):
    """A bidirectional GRU across frequency, then a GRU along time, for files in both directions; both residual."""

    def __init__(self, channels: int, backward: bool = False) -> None:
        super().__init__()
        self.frequency_norm = nn.LayerNorm(channels)
        self.frequency = GRU(channels, channels // 2, bidirectional=True)
        self.frequency_out = nn.Linear(channels, channels)
        self.time_norm = nn.LayerNorm(channels)
        self.time = GRU(channels, channels)
        self.time_out = nn.Linear(channels, channels)
        self.back = GRU(channels, channels) if backward else None
        self.back_out = nn.Linear(channels, channels) if backward else None
        if self.back_out is not None:
            nn.init.zeros_(self.back_out.weight)
            nn.init.zeros_(self.back_out.bias)

    def forward(self, x: Tensor, state: Tensor, ahead: int = 0) -> tuple[Tensor, Tensor]:
        """``[batch * time, F, C]`` and state ``[batch, F, C]`` to the same two shapes.

        The state that is returned is that before the last `ahead` frames.
        """
        batch, positions, channels = state.shape
        across = self.frequency(self.frequency_norm(x).transpose(0, 1))[0]
        x = x + self.frequency_out(across).transpose(0, 1)
        normal = self.time_norm(x).unflatten(0, (batch, -1)).transpose(0, 1).flatten(1, 2)
        along, last = self.time(normal, state.reshape(1, batch * positions, channels))
        if ahead:
            last = along[-1 - ahead]
        along = self.time_out(along)
        if self.back is not None and self.back_out is not None:
            along = along + self.back_out(self.back(normal.flip(0))[0].flip(0))
        along = along.unflatten(1, (batch, positions)).transpose(0, 1)
        return x + along.flatten(0, 1), last.reshape(batch, positions, channels)


def fine_transform(rotation: Tensor) -> tuple[Tensor, Tensor]:
    """Return cosines and sines ``[bins, FINE_FRAMES, FINE_FRAMES]``, from the frames around one to its fine powers.

    A second, short transform along time of each bin, tapered and scaled to keep the power of white noise.

    Args:
        rotation: ``[bins]``, what a hop multiplies each bin by (+1 or -1).

    Example:
        >>> fine_transform(torch.tensor([1.0, -1.0]))[0].shape
        torch.Size([2, 8, 8])
    """
    frame = torch.arange(FINE_FRAMES, dtype=torch.float64)
    taper = torch.sin(math.pi * (frame + 0.5) / FINE_FRAMES)
    taper = taper / taper.square().sum().sqrt()
    angle = 2 * math.pi * frame[:, None] * (frame + 0.5 - FINE_FRAMES / 2) / FINE_FRAMES
    turned = taper * rotation.double()[:, None] ** frame
    parts = (turned[..., None] * wave for wave in (torch.cos(angle), torch.sin(angle)))
    cos, sin = (part.float() for part in parts)
    return cos, sin
