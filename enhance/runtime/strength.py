"""How much noise is removed: an attenuation limit and a mix, and the one law by which files, live and demo use them.

    out = input + weight * (denoised - input),  weight = mix * (1 - 10^(-limit / 20))

The limit keeps the share 10^(-limit / 20) of the input, as in DeepFilterNet (Schröter et al., arXiv:2205.05474).
NumPy is not imported: the help of the command line needs the range only.
"""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Strength:
    """An attenuation limit and a mix in range.

    Args:
        attenuation_limit_db: the most that noise is lowered, dB >= 0; None (or infinity) for no limit.
        mix: share of the denoised signal from 0 (the input) to 1.

    Raises:
        ValueError: when one of them is out of range.

    Example:
        >>> Strength(20, 0.5).weight, Strength().weight
        (0.45, 1.0)
    """

    attenuation_limit_db: float | None = None
    mix: float = 1.0

    def __post_init__(self) -> None:
        limit = self.attenuation_limit_db
        if limit is not None and not isinstance(limit, Real):
            raise ValueError(f"attenuation limit {limit!r}: expected a number of dB, or none for no limit")
        if limit is not None and not limit >= 0:
            raise ValueError(f"attenuation limit {limit:g} dB: expected 0 dB or more, or none for no limit")
        if not isinstance(self.mix, Real):
            raise ValueError(f"mix {self.mix!r}: expected a number from 0 (the input) to 1 (denoised)")
        if not 0 <= self.mix <= 1:
            raise ValueError(f"mix {self.mix:g}: expected a number from 0 (the input) to 1 (denoised)")

    @property
    def weight(self) -> float:
        """Share of the denoised signal in the result."""
        kept = 0.0 if self.attenuation_limit_db is None else 10 ** (-self.attenuation_limit_db / 20)
        return self.mix * (1 - kept)


class Glide:
    """Weights that move along a straight line, sample by sample, and then stay.

    Args:
        start, target: weights before the first and from the last sample of the line on, float32.
        samples: length of the line, also 0.

    Attributes:
        left: samples until the target.
    """

    def __init__(self, start: np.float32, target: np.float32, samples: int) -> None:
        self._start, self._target, self._samples = start, target, samples
        self.left = samples

    def take(self, samples: int) -> np.ndarray:
        """Return the weights of the next samples, float32 [samples]; there must be some `left`."""
        import numpy as np

        place = np.minimum(np.arange(1, samples + 1) + self._samples - self.left, self._samples) / self._samples
        self.left = max(0, self.left - samples)
        return (self._start + (float(self._target) - float(self._start)) * place).astype(np.float32)


def blend(dry: np.ndarray, wet: np.ndarray, weight: np.float32 | np.ndarray) -> np.ndarray:
    """Return dry + weight * (wet - dry); weights of exactly 0 and 1 give the input and the denoised sound bit for bit.

    Args:
        dry, wet: float32 [channels, samples], the input and the denoised sound.
        weight: one float32 number, or one a sample.
    """
    if not weight.ndim:
        if weight == 1:
            return wet
        if weight == 0:
            return dry
    return dry + weight * (wet - dry)
