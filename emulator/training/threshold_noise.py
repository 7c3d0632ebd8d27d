"""Faint noise that makes an encoder show how much noise it allows itself where a recording is empty.

The error of a codec shows the threshold of its psychoacoustic model only where there is something to code: what is
empty is coded without error, masked or not. So the second head of an emulator learns from the error that the codec
makes of the recording plus a noise of about the masked threshold. Where that noise is below the encoder's threshold it
is removed, and the error is the noise; where it is above it is coded, with an error of about the threshold. The
recording's own cells, far above the noise, are coded as they were.

The noise follows the recording's excitation: power in critical bands, spread along the scale of equivalent rectangular
bandwidths with a steep slope towards low and a flat one towards high frequencies (Moore and Glasberg,
doi:10.1121/1.389861; slopes as in ITU-R BS.1387), lowered by an offset that varies along time and frequency.
"""

import numpy as np
import torch

from emulator.model.spectrum import stft, unit_window
from enhance.dsp.erb import erb_rate

WINDOW, HOP = 1024, 256  # samples of the STFT in which the noise is shaped
UPWARD_DB, DOWNWARD_DB = 8.0, 20.0  # fall of excitation per ERB above and below a sound
OFFSET_DB = (10.0, 24.0)  # of the noise below the excitation
FLOOR_DB = (-65.0, -42.0)  # of the noise in each cell, relative to the mean power of the piece
PATCH = (4, 30)  # bands and frames over which the offset is one number
BANDS_PER_ERB = 1.0


def _bands(sample_rate: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the band `[bins]` of each bin, and for each pair of bands the gain `[to, from]` of spreading."""
    rate = np.asarray(erb_rate(np.linspace(0, sample_rate / 2, WINDOW // 2 + 1)))
    band = np.floor(rate * BANDS_PER_ERB).astype(int)
    distance = np.subtract.outer(np.arange(band[-1] + 1), np.arange(band[-1] + 1)) / BANDS_PER_ERB
    slope = np.where(distance >= 0, UPWARD_DB * distance, -DOWNWARD_DB * distance)
    return band, 10 ** (-slope / 10)


def threshold_noise(audio: np.ndarray, sample_rate: int, rng: np.random.Generator) -> np.ndarray:
    """Return noise about as strong as what `audio` masks.

    Args:
        audio: float `[time]`.
        sample_rate: Hz.
        rng: all its randomness.

    Returns:
        float64 `[time]`.

    Example:
        >>> tone = np.sin(2 * np.pi * 1000 * np.arange(16_000) / 16_000)
        >>> noise = threshold_noise(tone, 16_000, np.random.default_rng(0))
        >>> noise.shape, bool(np.abs(noise).mean() < 0.1)
        ((16000,), True)
    """
    band, spread = _bands(sample_rate)
    window = unit_window(WINDOW, torch.float64)
    spectrum = stft(torch.from_numpy(np.asarray(audio, np.float64)), window, HOP)
    member = (band == np.arange(len(spread))[:, None]).astype(float)
    power = member @ spectrum.abs().square().numpy()
    width = np.bincount(band)[:, None]
    rows, columns = -(-len(spread) // PATCH[0]), -(-power.shape[1] // PATCH[1])
    offset = np.kron(rng.uniform(*OFFSET_DB, (rows, columns)), np.ones(PATCH))[: power.shape[0], : power.shape[1]]
    floor = float(np.mean(np.square(audio, dtype=np.float64))) * 10 ** (rng.uniform(*FLOOR_DB) / 10)
    allowed = (spread @ power) / np.maximum(width, 1) * 10 ** (-offset / 10) + floor
    carrier = stft(torch.from_numpy(rng.standard_normal(audio.size)), window, HOP)
    shaped = carrier * torch.from_numpy(np.sqrt(allowed[band]))
    return torch.istft(shaped, WINDOW, HOP, window=window, length=audio.size).numpy()
