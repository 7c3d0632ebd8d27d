"""Hand-made noise-to-mask ratio on the Bark scale: the control that no codec and no network had a hand in.

The ear model is the FFT-based one of ITU-R BS.1387 (PEAQ, basic version), as written out in P. Kabal, "An examination
and interpretation of ITU-R BS.1387" (McGill University, 2002):

1. power spectra of Hann frames of 2048 samples at 48 kHz with half overlap, weighted by the outer and middle ear;
2. energies in bands a quarter Bark wide, from 80 Hz, ``z = 7 asinh(f / 650)``, plus the internal noise of the ear;
3. spreading to neighbouring bands, 27 dB per Bark downwards and ``24 + 230 / f - 0.2 L`` upwards for a band of level L
   dB at f Hz, where parts add up as ``(sum e^0.4)^2.5``; then the decay of forward masking;
4. the mask: that excitation of the target, lowered by 3 dB up to 12 Bark and by a quarter dB per Bark above.

Levels are absolute: a sine at full scale is taken for 92 dB SPL.

The score :func:`noise_to_mask_ratio` is "total NMR": the noise is the difference of magnitudes, so phase does not
count. The loss :func:`bark_loss` takes the power of the difference of the complex spectra in place of it, which has a
gradient everywhere and knows phase, and the mean of ``log(1 + noise / mask)`` like the codec loss, so that
the two differ in where the mask comes from and in nothing else.
"""

import math
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor, nn

from emulator.model.spectrum import power, stft

WINDOW_SECONDS = 2048 / 48_000
FULL_SCALE_DB = 92.0  # dB SPL of a sine at full scale
LOWEST_HZ, HIGHEST_HZ = 80.0, 18_000.0
BAND_BARK = 0.25
LOWER_SLOPE = 27.0  # dB per Bark
ADDITION = 0.4  # power at which spread parts add up
DECAY_LOW_FREQUENCY, DECAY_SHORTEST = 0.030, 0.008  # seconds: of forward masking at 100 Hz, and the least
DECAY_FRAMES = 24  # after these the slowest decay has fallen by over 70 dB
OFFSET_DB, OFFSET_PER_BARK, OFFSET_FROM_BARK = 3.0, 0.25, 12.0
CHUNK_FRAMES = 128  # spread at once: bounds the memory that the level-dependent slopes take
POWER_FLOOR = 1e-10  # of the score's ratio: -100 dB


def bark(frequency: np.ndarray | float) -> np.ndarray:
    """Return Bark of a frequency in Hz.

    Example:
        >>> float(bark(1000.0).round(2))
        8.51
    """
    return 7 * np.arcsinh(np.asarray(frequency, np.float64) / 650)


class BarkEar(nn.Module):
    """Bands, slopes and thresholds of the ear for a sample rate.

    Args:
        sample_rate: Hz.

    Raises:
        ValueError: the rate is too low for a band.

    Example:
        >>> ear = BarkEar(16_000)
        >>> noise, mask = ear(0.01 * torch.randn(2, 16_000), 0.01 * torch.randn(2, 16_000))
        >>> noise.shape == mask.shape == (2, ear.bands, 47)
        True
    """

    weights: Tensor
    internal_noise: Tensor
    frequency: Tensor
    decay: Tensor
    offset: Tensor
    window: Tensor

    def __init__(self, sample_rate: int) -> None:
        super().__init__()
        if sample_rate < 1000:
            raise ValueError(f"the ear model needs a sample rate of 1000 Hz or more; got {sample_rate}")
        self.size = 2 * round(WINDOW_SECONDS * sample_rate / 2)
        self.hop = self.size // 2
        low, high = (float(bark(f)) for f in (LOWEST_HZ, min(HIGHEST_HZ, sample_rate / 2)))
        self.bands = math.ceil((high - low) / BAND_BARK)
        edges = 650 * np.sinh(np.minimum(low + BAND_BARK * np.arange(self.bands + 1), high) / 7)
        centres = 650 * np.sinh(np.arcsinh(edges / 650)[:-1] / 2 + np.arcsinh(edges / 650)[1:] / 2)
        bins = np.arange(self.size // 2 + 1) * sample_rate / self.size
        weights = _shares(edges, bins, sample_rate / self.size) * _ear_gain(bins)
        khz = centres / 1000
        internal = 10 ** (0.1 * 1.456 * khz**-0.8)
        seconds = DECAY_SHORTEST + 100 / centres * (DECAY_LOW_FREQUENCY - DECAY_SHORTEST)
        per_frame = np.exp(-self.hop / sample_rate / seconds)[:, None]
        decay = (1 - per_frame) * per_frame ** np.arange(DECAY_FRAMES)[::-1]
        above_lowest = BAND_BARK * np.arange(1, self.bands + 1)  # Bark
        offset = np.where(above_lowest <= OFFSET_FROM_BARK, OFFSET_DB, OFFSET_PER_BARK * above_lowest)
        window = np.hanning(self.size + 1)[:-1]
        # The largest bin of a sine of amplitude 1 is half the sum of the window.
        window *= 10 ** (FULL_SCALE_DB / 20) / (window.sum() / 2)
        constants = {"weights": weights, "internal_noise": internal[:, None], "frequency": centres[:, None]}
        constants |= {"decay": decay[:, None], "offset": 10 ** (offset / 10)[:, None], "window": window}
        for name, value in constants.items():
            self.register_buffer(name, torch.from_numpy(np.ascontiguousarray(value)), persistent=False)

    def spectrum(self, audio: Tensor) -> Tensor:
        """Turn ``[signals, time]`` into ``[signals, bins, frames]``, in units of sound pressure."""
        return stft(audio, self.window, self.hop)

    def band_power(self, power: Tensor) -> Tensor:
        """Return the power of bins ``[signals, bins, frames]`` as heard, in bands ``[signals, bands, frames]``."""
        return torch.matmul(self.weights, power)

    @torch.no_grad()
    def mask(self, power: Tensor) -> Tensor:
        """Return the mask ``[signals, bands, frames]`` of a target's power ``[signals, bins, frames]``."""
        energy = self.band_power(power) + self.internal_noise
        spread = torch.cat([self._spread(chunk) for chunk in energy.split(CHUNK_FRAMES, dim=-1)], dim=-1)
        padded = nn.functional.pad(spread, (DECAY_FRAMES - 1, 0))
        decayed = nn.functional.conv1d(padded, self.decay, groups=self.bands)
        return torch.maximum(spread, decayed) / self.offset

    def forward(self, estimate: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Return noise, with phase, and mask in bands ``[signals, bands, frames]``, from ``[signals, time]``."""
        ours, theirs = self.spectrum(estimate), self.spectrum(target)
        return self.band_power(power(ours - theirs)), self.mask(power(theirs))

    def _spread(self, energy: Tensor) -> Tensor:
        """Return the energy ``[signals, bands, frames]`` spread over the bands around it.

        A band l gives its neighbour i the part ``e_l 10^(-slope |i - l| / 10)``, scaled so that all its parts add up to
        e_l. The result is divided by what the same spreading makes of equal energies at 0 dB.
        """
        return self._parts(energy) / self._parts(torch.ones_like(energy[:1, :, :1]))

    def _parts(self, energy: Tensor) -> Tensor:
        level = 10 * torch.log10(energy)
        upper = -(24 + 230 / self.frequency - 0.2 * level).clamp(min=0.0)
        index = torch.arange(self.bands, device=energy.device)
        distance = (BAND_BARK * (index[:, None] - index)).to(energy)  # [to, from], Bark
        below = (LOWER_SLOPE * distance).clamp(max=0.0)[None, :, :, None]
        decibels = below + upper[:, None] * distance.clamp(min=0.0)[None, :, :, None]
        parts = 10 ** (decibels / 10)
        scaled = energy[:, None] * parts / parts.sum(dim=1, keepdim=True)
        return (scaled**ADDITION).sum(dim=2) ** (1 / ADDITION)


def _shares(edges: np.ndarray, bins: np.ndarray, spacing: float) -> np.ndarray:
    """Return `[bands, bins]`: the part of each bin, taken for a rectangle of `spacing` Hz, that lies in each band."""
    upper = np.minimum(edges[1:, None], bins + spacing / 2)
    lower = np.maximum(edges[:-1, None], bins - spacing / 2)
    return np.maximum(upper - lower, 0) / spacing


def _ear_gain(frequency: np.ndarray) -> np.ndarray:
    """Return the power gain of the outer and middle ear."""
    khz = np.maximum(frequency, 1.0) / 1000
    decibels = -2.184 * khz**-0.8 + 6.5 * np.exp(-0.6 * (khz - 3.3) ** 2) - 0.001 * khz**3.6
    return 10 ** (decibels / 10)


@lru_cache(maxsize=8)
def _ear(sample_rate: int, dtype: torch.dtype, device: str) -> BarkEar:
    with torch.inference_mode(False):  # the first call may be a validation's; what is kept must serve training, too
        return BarkEar(sample_rate).to(device=torch.device(device), dtype=dtype)


def _check(estimate: Tensor, target: Tensor) -> None:
    if estimate.shape != target.shape or estimate.dim() == 0 or estimate.shape[-1] == 0:
        raise ValueError(
            f"expected two signals of one shape [..., time], got {tuple(estimate.shape)} and {tuple(target.shape)}"
        )
    if not (estimate.is_floating_point() and target.is_floating_point()):
        raise ValueError(f"expected floating-point signals, got {estimate.dtype} and {target.dtype}")


def noise_to_mask_ratio(estimate: Tensor, target: Tensor, sample_rate: int) -> Tensor:
    """Return the total noise-to-mask ratio in dB: lower is better, and noise below 0 dB is mostly hidden.

    Args:
        estimate: ``[..., time]``, full scale 1.
        target: of the same shape.
        sample_rate: Hz.

    Returns:
        ``[...]``, -100 dB at least; computed in double and returned in the type of the estimate.

    Raises:
        ValueError: the shapes differ or are empty.

    Example:
        >>> target = 0.05 * torch.randn(2, 16_000, generator=torch.Generator().manual_seed(0))
        >>> softer = noise_to_mask_ratio(0.9 * target, target, 16_000)
        >>> halved = noise_to_mask_ratio(0.5 * target, target, 16_000)
        >>> (halved - softer).round(decimals=1)
        tensor([14., 14.])
    """
    _check(estimate, target)
    ear = _ear(sample_rate, torch.float64, str(estimate.device))
    ours, theirs = (ear.spectrum(x.reshape(-1, x.shape[-1]).double()) for x in (estimate, target))
    noise = ear.band_power((ours.abs() - theirs.abs()).square())
    ratio = (noise / ear.mask(power(theirs))).mean(dim=(1, 2))
    return (10 * torch.log10(ratio.clamp(min=POWER_FLOOR))).reshape(estimate.shape[:-1]).to(estimate.dtype)


def bark_loss(estimate: Tensor, target: Tensor, sample_rate: int) -> Tensor:
    """Return the mean of ``log(1 + noise / mask)`` over signals, bands and frames; differentiable in the estimate.

    Args:
        estimate: ``[..., time]``, full scale 1.
        target: of the same shape; it gets no gradient.
        sample_rate: Hz.

    Raises:
        ValueError: the shapes differ or are empty.

    Example:
        >>> target = 0.05 * torch.randn(1, 8000)
        >>> estimate = (1.1 * target).requires_grad_()
        >>> bark_loss(estimate, target, 16_000).backward()
        >>> bool(estimate.grad.abs().max() > 0)
        True
    """
    _check(estimate, target)
    dtype = torch.float64 if estimate.dtype == torch.float64 else torch.float32
    ear = _ear(sample_rate, dtype, str(estimate.device))
    noise, mask = ear(*(x.reshape(-1, x.shape[-1]).to(dtype) for x in (estimate, target.detach())))
    return torch.log1p(noise / mask).mean()
