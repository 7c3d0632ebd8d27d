"""What an estimate is made of: speech, distorted or not, and noise that is left, by band, while there is speech.

In each tile of 100 ms and 500 Hz the estimate's spectrum is the sum of the target's and the noise's, each times one
complex factor, and of what neither explains: least squares, as in BSS Eval (Vincent, Gribonval, Févotte, "Performance
measurement in blind audio source separation", TASLP 2006, doi:10.1109/TSA.2005.858005) with tiles in place of filters.
Both factors would be 1 and 0 for a perfect estimate. A level is not a distortion: the best gain of the whole file is
taken out of the speech's factors first.

A network that removes noise and speech together moves along a curve of noise left against speech distorted; a better
one moves the curve.
"""

from dataclasses import dataclass

import numpy as np
import soxr
from numpy.typing import ArrayLike, NDArray

from enhance.evaluation.metrics import PAUSE_RANGE_DB, SPEECH_RANGE_DB

RATE = 48_000  # Hz, that all is brought to
WINDOW, HOP = 960, 480  # samples
FRAMES, BINS = 10, 10  # of a tile: 100 ms and 500 Hz
TILE_HZ = BINS * RATE / WINDOW
BANDS_HZ = ((0, 1000), (1000, 4000), (4000, 8000), (8000, 24_000))
FLOOR = 1e-12  # of ratios, -120 dB

Complex = NDArray[np.complex128]
Real = NDArray[np.float64]


@dataclass(frozen=True)
class Decomposition:
    """Levels in dB; those by band in the order of BANDS_HZ, nan where there is nothing to compare with."""

    noise_left: tuple[float, ...]  # the part that is the noise, relative to the noise of the input, in speech
    pause_left: tuple[float, ...]  # the estimate relative to the noise of the input, in pauses
    distortion: float  # speech that differs from the target at the best gain, relative to the target


def decompose(estimate: ArrayLike, target: ArrayLike, noisy: ArrayLike, sample_rate: int) -> Decomposition:
    """Split an estimate.

    Args:
        estimate: ``[time]``, aligned with the target.
        target: of the same shape.
        noisy: the input, of the same shape; the noise is what it differs by from the target.
        sample_rate: of all three, Hz.

    Raises:
        ValueError: the shapes differ.

    Example:
        >>> draw = np.random.default_rng(0)
        >>> target, noise = draw.standard_normal((2, 96_000))
        >>> parts = decompose(0.5 * target + 0.1 * noise, target, target + noise, 48_000)
        >>> [round(level) for level in parts.noise_left], parts.distortion < -100
        ([-20, -20, -20, -20], True)
    """
    signals = [np.asarray(x, np.float64) for x in (estimate, target, noisy)]
    if any(x.shape != signals[0].shape or x.ndim != 1 for x in signals):
        raise ValueError(f"expected three signals of one shape [time], got {[x.shape for x in signals]}")
    ours, speech, inputs = (x if sample_rate == RATE else soxr.resample(x, sample_rate, RATE) for x in signals)
    e, s, n = (tiles(spectrum(x)) for x in (ours, speech, inputs - speech))
    e_power, s_power, n_power = (np.sum(np.abs(x) ** 2, axis=-1) for x in (e, s, n))
    by_speech, by_noise = solve(e, s, n, s_power, n_power)

    level = 10 * np.log10(s_power.sum(axis=1) / max(np.percentile(s_power.sum(axis=1), 95), FLOOR) + FLOOR)
    talks, pauses = level > -SPEECH_RANGE_DB, level < -PAUSE_RANGE_DB
    gain = np.sum((by_speech.real * s_power)[talks]) / max(np.sum(s_power[talks]), FLOOR)
    distorted = np.sum((np.abs(by_speech - gain) ** 2 * s_power)[talks])
    left = np.abs(by_noise) ** 2 * n_power
    centre = (np.arange(s_power.shape[1]) + 0.5) * TILE_HZ
    noise_left, pause_left = list[float](), list[float]()
    for low, high in BANDS_HZ:
        band = (centre >= low) & (centre < high)
        noise_left.append(ratio_db(left[talks][:, band], n_power[talks][:, band]))
        pause_left.append(ratio_db(e_power[pauses][:, band], n_power[pauses][:, band]))
    return Decomposition(
        tuple(noise_left), tuple(pause_left), ratio_db(distorted, max(gain, FLOOR) ** 2 * s_power[talks])
    )


def spectrum(audio: Real) -> Complex:
    """Return ``[time]`` at 48 kHz to ``[frames, bins]``."""
    padded = np.pad(audio, (WINDOW // 2, max(WINDOW // 2, FRAMES * HOP + WINDOW // 2 - audio.size)))  # a tile or more
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP]
    return np.fft.rfft(frames * np.hanning(WINDOW + 1)[:-1], axis=-1)


def tiles(cells: Complex) -> Complex:
    """Cut ``[frames, bins]`` into ``[tiles in time, tiles in frequency, cells of a tile]``; a rest is left out."""
    frames, bins = (size - size % step for size, step in zip(cells.shape, (FRAMES, BINS), strict=True))
    split = cells[:frames, :bins].reshape(frames // FRAMES, FRAMES, bins // BINS, BINS)
    return split.transpose(0, 2, 1, 3).reshape(frames // FRAMES, bins // BINS, FRAMES * BINS)


def solve(e: Complex, s: Complex, n: Complex, s_power: Real, n_power: Real) -> tuple[Complex, Complex]:
    """Return factors of speech and of noise in each tile, by least squares."""
    with_speech, with_noise = np.sum(s.conj() * e, axis=-1), np.sum(n.conj() * e, axis=-1)
    cross = np.sum(s.conj() * n, axis=-1)
    determinant = np.maximum(s_power * n_power - np.abs(cross) ** 2, FLOOR * s_power * n_power + np.finfo(float).tiny)
    by_speech = (n_power * with_speech - cross * with_noise) / determinant
    by_noise = (s_power * with_noise - cross.conj() * with_speech) / determinant
    only = n_power == 0  # no noise: all is speech
    return np.where(only, with_speech / np.maximum(s_power, FLOOR), by_speech), np.where(only, 0, by_noise)


def ratio_db(part: ArrayLike, whole: ArrayLike) -> float:
    """Return the ratio of two sums in dB, -120 or more; nan where the second is 0."""
    total = float(np.sum(whole))
    return float(10 * np.log10(float(np.sum(part)) / total + FLOOR)) if total > 0 else float("nan")
