"""What makes many noises of a recorded one: speed, direction, a steady noise of its colour, a level that moves.

There are far fewer recordings of noise than noises in the world, and a network learns the recordings by heart: the SNR
of its estimates was some 1 dB worse with noises it had not met (`enhance/README.md`).
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from enhance.data.counter_random import CounterRandom
from enhance.data.filters import fast_length
from enhance.data.mix_config import MixConfig
from enhance.data.to_device import send

SWING_KNOTS = 7  # points of the moving level, evenly spaced in time
PHASES = 16  # sets of random phases that steady noises are made with


class Augmentation(NamedTuple):
    """Changes of each of some crops."""

    length: np.ndarray  # [batch], samples that are cropped; played in the time of an example
    backwards: np.ndarray  # [batch], whether
    steady: np.ndarray  # [batch], whether
    phases: np.ndarray  # [batch], index
    swing_db: np.ndarray  # [batch, SWING_KNOTS], gains

    def of(self, rows: np.ndarray) -> "Augmentation":
        """Return the changes of some crops."""
        return Augmentation(*(values[rows] for values in self))


class NoiseAugmenter:
    """Changes crops of noise at random.

    Args:
        config: which changes, how often.
        size: samples of a changed crop, even.
        generator: of the phases of steady noises.
        device: where the crops lie.
    """

    def __init__(self, config: MixConfig, size: int, generator: Generator, device: torch.device) -> None:
        self.config, self.size = config, size
        self._lengths = np.array([fast_length(round(size * speed)) for speed in config.noise_speeds])
        angle = torch.rand((PHASES, size // 2 + 1), generator=generator) * (2 * torch.pi)
        self._phases = (
            torch.polar(torch.ones_like(angle), angle).to(device) if config.disguise and config.noise_steady else None
        )

    def draw(self, draws: CounterRandom) -> Augmentation:
        """Draw the changes of a crop of each example."""
        config = self.config
        used = draws.chance(config.disguise)
        length = np.where(used, self._lengths[draws.index(len(self._lengths))], self.size)
        backwards = used & draws.chance(config.noise_backwards)
        steady = used & draws.chance(config.noise_steady)
        phases = draws.index(PHASES)
        depth = np.where(used & draws.chance(config.noise_swing), draws.between(config.noise_swing_db), 0.0)
        knots = np.stack([draws.between((-1.0, 0.0)) for _ in range(SWING_KNOTS)], axis=1)
        return Augmentation(length, backwards, steady, phases, depth[:, None] * knots)

    def apply(self, crops: Tensor, changes: Augmentation) -> Tensor:
        """Turn crops `[batch, length]` of one length into `[batch, size]`; the crops may be changed."""
        device = crops.device
        turned = send(np.flatnonzero(changes.backwards), device)
        if len(turned):
            crops[turned] = crops[turned].flip(1)
        steady = np.flatnonzero(changes.steady)
        if crops.shape[1] != self.size or len(steady):
            spectrum = torch.fft.rfft(crops)
            if self._phases is not None and len(steady):
                bins, rows = min(spectrum.shape[1], self.size // 2 + 1), send(steady, device)
                spectrum[rows, :bins] *= self._phases[send(changes.phases[steady], device), :bins]
            crops = torch.fft.irfft(fitted(spectrum, self.size // 2 + 1), n=self.size)
        if changes.swing_db.any():
            knots = send(changes.swing_db.astype(np.float32), device)[:, None]
            level = F.interpolate(knots, self.size, mode="linear", align_corners=True)[:, 0]
            crops = crops * 10 ** (level / 20)
        return crops


def fitted(spectrum: Tensor, bins: int) -> Tensor:
    """Return `[batch, n]` with its highest bins cut off, or with zeros above, `[batch, bins]`."""
    missing = bins - spectrum.shape[1]
    return F.pad(spectrum, (0, missing)) if missing > 0 else spectrum[:, :bins]
