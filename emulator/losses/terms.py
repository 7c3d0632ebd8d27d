"""The terms of the codec loss as functions of spectra, powers and layers; derived in
:class:`emulator.losses.codec_loss.CodecLoss`.

Each value is the mean over its signals, so a batch costs the mean of what its parts cost.
"""

import math

import numpy as np
import torch
from torch import Tensor, nn

from emulator.model.spectrum import power
from enhance.data.levels import LEVEL_DBFS
from enhance.dsp.erb import erb_rate, wide_band_matrix

LEVEL = 10 ** (LEVEL_DBFS / 20)  # RMS to which both signals are brought
SILENCE_DB = -60.0  # dBFS; a softer target is taken for silence with a little noise
BANDS_PER_ERB = 1.0  # the ear adds up power within one ERB; finer bands would tell a probe from its masker beside it
LOWEST_HZ = 20.0  # what lies below is not heard
COMPRESSION = 0.3  # power of magnitudes, about that by which loudness grows; as in `enhance.training.loss`
LEAST = 1e-15  # magnitude, far below what is heard, whose square is an ordinary number in float32
COMPRESSION_FLOOR = 1e-6  # power from which compression starts (-60 dB): the gradient at 0 is 1e-6 ** -0.35 = 126
LOUDNESS = 0.23  # power of the intensity that specific loudness grows with, as in PEAQ (Zwicker and Fastl, ch. 8)
MISSING = 2.0  # by default, loudness that is missing counts this much more than loudness that is added


def critical_bands(bins: int, sample_rate: int) -> Tensor:
    """Return triangles ``[bands, bins]`` that overlap, their centres 1 / BANDS_PER_ERB apart; each row adds up to 1.

    Example:
        >>> critical_bands(513, 16_000).shape
        torch.Size([33, 513])
    """
    first = math.ceil(LOWEST_HZ / (sample_rate / 2) * (bins - 1))
    low = first * sample_rate / 2 / (bins - 1)
    count = round(BANDS_PER_ERB * float(erb_rate(sample_rate / 2) - erb_rate(low))) + 1
    weights = np.zeros((count, bins))
    weights[:, first:] = wide_band_matrix(bins, first, count, sample_rate).T
    weights = weights[weights.any(axis=1)]  # at the bottom a triangle may fall between two bins
    return torch.from_numpy(weights / weights.sum(axis=1, keepdims=True))


def level_gain(level: Tensor) -> Tensor:
    """Return the gain that brings a signal of this level (RMS) to LEVEL.

    Under SILENCE_DB it falls with the level, to 1 for a silent signal. So the gradient, which grows with the gain, has
    a limit; silence is like a pause in a signal of LEVEL, and dither is not made as loud as speech.

    Example:
        >>> (20 * level_gain(10 ** (torch.tensor([-5.0, -25.0, -60.0, -80.0, -200.0]) / 20)).log10()).round()
        tensor([-20.,   0.,  35.,  15.,   0.])
    """
    silence = 10 ** (SILENCE_DB / 20)
    return torch.where(level < silence, (LEVEL * level / silence**2).clamp(min=1.0), LEVEL / level.clamp(min=silence))


def smooth(cells: Tensor, bands: Tensor, frames: int) -> Tensor:
    """Return means over bands and neighbouring frames.

    Args:
        cells: ``[signals, bins, frames]``.
        bands: ``[bands, bins]``, weights that add up to 1 in each row.
        frames: an odd number; at the ends of the signal there are fewer.

    Returns:
        ``[signals, bands, frames]``.

    Example:
        >>> smooth(torch.tensor([[[1.0, 2.0, 6.0], [3.0, 4.0, 8.0]]]), torch.tensor([[0.5, 0.5]]), 3)
        tensor([[[2.5000, 4.0000, 5.0000]]])
    """
    banded = torch.matmul(bands, cells)
    return nn.functional.avg_pool1d(banded, frames, 1, frames // 2, count_include_pad=False)


def log_noise_to_mask(error: Tensor, noise: Tensor) -> Tensor:
    """Return the mean of ``log(1 + error / noise)``: about 0 for an error below the noise, the log-ratio far above it.

    Example:
        >>> log_noise_to_mask(torch.tensor([0.01, 100.0]), torch.ones(2))
        tensor(2.3125)
    """
    return torch.log1p(error / noise).mean()


def specific_loudness(power: Tensor, quiet: Tensor) -> Tensor:
    """Return the loudness of powers in critical bands, that of LEVEL being 1; level below the threshold in quiet.

    Example:
        >>> specific_loudness(LEVEL**2 * torch.tensor([0.0, 1.0, 100.0]), torch.tensor(1e-12)).round(decimals=2)
        tensor([0.0100, 1.0000, 2.8800])
    """
    return ((power + quiet) / LEVEL**2) ** LOUDNESS


def loudness_distance(estimate: Tensor, target: Tensor, margin: Tensor, missing: float = MISSING) -> Tensor:
    """Return the mean of what the loudness differs by beyond a margin; what is missing counts `missing` times.

    Example:
        >>> loudness_distance(torch.tensor([1.5, 0.5, 1.1]), torch.ones(3), torch.tensor([0.25, 0.25, 0.25]))
        tensor(0.2500)
        >>> loudness_distance(torch.tensor([1.5, 0.5, 1.1]), torch.ones(3), torch.tensor([0.25, 0.25, 0.25]), 0.5)
        tensor(0.1250)
    """
    more = estimate - target
    return (torch.relu(more - margin) + missing * torch.relu(-more - margin)).mean()


def compress(spectrum: Tensor, unit: float) -> Tensor:
    """Raise the magnitudes of a spectrum, in units of `unit`, to the power COMPRESSION and keep its phases.

    The factor ``(|x|^2 + floor) ** ((COMPRESSION - 1) / 2)`` is finite at 0, and so is the gradient, which is not 0.

    Example:
        >>> compress(torch.tensor([0.0, 0.1, 100.0j]), 0.1).abs()
        tensor([0.0000, 1.0000, 7.9433])
    """
    spectrum = spectrum / unit
    return spectrum * (power(spectrum) + COMPRESSION_FLOOR) ** ((COMPRESSION - 1) / 2)


def magnitude(spectrum: Tensor) -> Tensor:
    """Return the magnitude of a complex tensor, :data:`LEAST` at least; the gradient of what is softer is 0.

    That of `abs()` is not finite where a magnitude is subnormal, as at the end of a sound that fades out.

    Example:
        >>> magnitude(torch.tensor([3 + 4j]))
        tensor([5.])
    """
    return power(spectrum).clamp(min=LEAST**2).sqrt()


def output_distance(estimate: Tensor, target: Tensor) -> Tensor:
    """Return the mean squared distance of compressed spectra, half with phase and half of magnitudes.

    Example:
        >>> output_distance(torch.tensor([1.0j]), torch.tensor([1.0 + 0j]))
        tensor(1.)
    """
    with_phase = power(estimate - target).mean()
    return (with_phase + (magnitude(estimate) - magnitude(target)).square().mean()) / 2


def layer_distance(estimate: dict[str, Tensor], target: dict[str, Tensor], scales: dict[str, Tensor]) -> Tensor:
    """Return the mean difference of layers ``[signals, channels, frequency, time]``, each divided by its scale.

    Args:
        estimate: at least the layers of the target.
        target: layers by name.
        scales: ``[signals]`` for each layer.
    """
    distances = [
        ((estimate[name] - layer).abs().mean(dim=(1, 2, 3)) / scales[name]).mean() for name, layer in target.items()
    ]
    return torch.stack(distances).mean()


def threshold_in_quiet(bands: Tensor, quiet_db: float) -> Tensor:
    """Return the power ``[bands, 1]`` that a tone of ``quiet_db`` (dBFS, RMS) in the middle of a band has there.

    With a window of unit energy, a tone of power ``p`` has ``p * window / 2`` in all its bins together, nearly all of
    it where the weight of its band is highest.

    Example:
        >>> threshold_in_quiet(torch.tensor([[0.25, 0.5, 0.25]]), -80.0)
        tensor([[1.0000e-08]])
    """
    window = 2 * (bands.shape[1] - 1)
    return 10 ** (quiet_db / 10) * window / 2 * bands.amax(dim=1, keepdim=True)
