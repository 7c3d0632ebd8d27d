"""Composite measures of speech enhancement: CSIG, CBAK and COVL.

Hu and Loizou, "Evaluation of Objective Quality Measures for Speech Enhancement" (doi:10.1109/TASL.2007.911054), fitted
three linear predictors of listeners' ratings to four objective measures: wide-band PESQ, the log-likelihood ratio (LLR)
of linear-prediction models, the weighted spectral slope distance (WSS; Klatt 1982) and the segmental SNR.

The Python script that nearly every paper on VoiceBank+DEMAND uses takes audio in [-1, 1] and then divides it by 32768
once more inside WSS, meant for 16-bit integers. Because band energies are floored at 1e-10, that floor then lies 51 dB
under a full-scale sine instead of 141 dB: quiet bands become equal, and WSS comes out much smaller than its definition
says. Published COVL figures carry that error, so `as_published=True` (the default) repeats it: only then do figures
compare. `as_published=False` gives WSS as Klatt and Loizou define it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

FRAME_SECONDS = 0.030
OVERLAP = 4  # a frame starts every quarter of a frame
KEPT = 0.95  # share of frames kept by LLR and WSS: the worst 5 % are dropped
SEGMENTAL_SNR_RANGE = (-10.0, 35.0)  # dB
LPC_ORDER = 16
PUBLISHED_WSS_SCALE = 1 / 32768

# Klatt's critical bands: centre frequencies and bandwidths in Hz.
CENTRES = np.fromstring(
    "50 120 190 260 330 400 470 540 617.372 703.378 798.717 904.128 1020.38 1148.30 1288.72 1442.54 1610.70 1794.16 "
    "1993.93 2211.08 2446.71 2701.97 2978.04 3276.17 3597.63",
    sep=" ",
)
BANDWIDTHS = np.fromstring(
    "70 70 70 70 70 70 70 77.3724 86.0056 95.3398 105.411 116.256 127.914 140.423 153.823 168.154 183.457 199.776 "
    "217.153 235.631 255.255 276.072 298.126 321.465 346.136",
    sep=" ",
)
WEIGHT_OF_MAXIMUM = 20.0  # Klatt 1982, page 1280
WEIGHT_OF_LOCAL_PEAK = 1.0
FLOOR = 1e-10


@dataclass(frozen=True)
class Composite:
    """Predicted ratings from 1 to 5: of the speech signal, of the background, and overall."""

    csig: float
    cbak: float
    covl: float


def composite(
    estimate: ArrayLike, target: ArrayLike, sample_rate: int, pesq: float, as_published: bool = True
) -> Composite:
    """Return CSIG, CBAK and COVL of an estimate.

    Args:
        estimate: audio in [-1, 1], shape [time].
        target: clean speech, shape [time].
        sample_rate: in Hz; the predictors were fitted to wide-band speech, so 16000.
        pesq: wide-band PESQ of the same pair (MOS-LQO); nan gives nan ratings.
        as_published: repeat the scaling error of the common script in WSS (see the module's text).

    Raises:
        ValueError: if shapes differ or the signal is shorter than two frames.
    """
    if np.isnan(pesq):
        return Composite(float("nan"), float("nan"), float("nan"))
    llr = _mean_of_best(log_likelihood_ratio(estimate, target, sample_rate))
    wss = _mean_of_best(
        weighted_spectral_slope(estimate, target, sample_rate, PUBLISHED_WSS_SCALE if as_published else 1.0)
    )
    snr = float(np.mean(segmental_snr(estimate, target, sample_rate)))
    ratings = (
        3.093 - 1.029 * llr + 0.603 * pesq - 0.009 * wss,
        1.634 + 0.478 * pesq - 0.007 * wss + 0.063 * snr,
        1.594 + 0.805 * pesq - 0.512 * llr - 0.007 * wss,
    )
    return Composite(*(min(max(rating, 1.0), 5.0) for rating in ratings))


def segmental_snr(estimate: ArrayLike, target: ArrayLike, sample_rate: int) -> Array:
    """Return SNR of each frame in dB, limited to [-10, 35], shape [frames].

    Example:
        >>> noise = np.random.default_rng(0).standard_normal(16000)
        >>> float(segmental_snr(1.1 * noise, noise, 16000).mean().round(3))
        20.0
    """
    estimates, targets = _frames(estimate, target, sample_rate)
    error = np.sum((targets - estimates) ** 2, axis=-1)
    eps = np.finfo(np.float64).eps
    return np.clip(10 * np.log10(np.sum(targets**2, axis=-1) / (error + eps) + eps), *SEGMENTAL_SNR_RANGE)


def log_likelihood_ratio(estimate: ArrayLike, target: ArrayLike, sample_rate: int) -> Array:
    """Log ratio of the residuals that the estimate's and the target's predictors leave in the target, shape [frames].

    Frames in which either signal is digital silence have no predictor; they are left out.
    """
    estimates, targets = _frames(estimate, target, sample_rate)
    sounding = (np.sum(estimates**2, axis=-1) > 0) & (np.sum(targets**2, axis=-1) > 0)
    correlation = _autocorrelation(targets[sounding])
    lags = np.abs(np.subtract.outer(np.arange(LPC_ORDER + 1), np.arange(LPC_ORDER + 1)))

    def residual(predictor: Array) -> Array:
        return np.einsum("fi,fij,fj->f", predictor, correlation[:, lags], predictor)

    of_estimate = residual(_predictor(_autocorrelation(estimates[sounding])))
    of_target = residual(_predictor(correlation))
    tiny = np.finfo(np.float64).tiny
    return np.log(np.maximum(of_estimate, tiny) / np.maximum(of_target, tiny))


def weighted_spectral_slope(estimate: ArrayLike, target: ArrayLike, sample_rate: int, scale: float = 1.0) -> Array:
    """Return Klatt's distance of spectral slopes in critical bands, dB squared, [frames]; `scale` multiplies both."""
    estimates, targets = _frames(estimate, target, sample_rate)
    size = 2 ** int(np.ceil(np.log2(2 * estimates.shape[-1])))
    filters = _critical_bands(sample_rate, size // 2)

    def slopes_and_weights(frames: Array) -> tuple[Array, Array]:
        power = np.abs(np.fft.rfft(frames * scale, size, axis=-1)[:, : size // 2]) ** 2
        energy = 10 * np.log10(np.maximum(power @ filters.T, FLOOR))
        slope = np.diff(energy, axis=-1)
        energy, maximum = energy[:, :-1], energy.max(axis=-1, keepdims=True)
        weight = WEIGHT_OF_MAXIMUM / (WEIGHT_OF_MAXIMUM + maximum - energy)
        return slope, weight * WEIGHT_OF_LOCAL_PEAK / (WEIGHT_OF_LOCAL_PEAK + _local_peak(energy, slope) - energy)

    estimate_slope, estimate_weight = slopes_and_weights(estimates)
    target_slope, target_weight = slopes_and_weights(targets)
    weight = (estimate_weight + target_weight) / 2
    return np.sum(weight * (target_slope - estimate_slope) ** 2, axis=-1) / np.sum(weight, axis=-1)


def _local_peak(energy: Array, slope: Array) -> Array:
    """Return the energy at the end of the rise to the right of each band, or at the start of the fall to its left."""
    right, left = energy.copy(), energy.copy()
    bands = energy.shape[-1]
    for band in range(bands - 2, -1, -1):
        right[:, band] = np.where(slope[:, band + 1] > 0, right[:, band + 1], energy[:, band])
    for band in range(1, bands):
        left[:, band] = np.where(slope[:, band - 1] > 0, energy[:, band], left[:, band - 1])
    return np.where(slope > 0, right, left)


def _critical_bands(sample_rate: int, bins: int) -> Array:
    """Return Gaussian filters of equal weight over the bins of a spectrum, zero under -30 dB, shape [bands, bins]."""
    bins_per_hertz = bins / (sample_rate / 2)
    centre = np.floor(CENTRES * bins_per_hertz)[:, None]
    width = (BANDWIDTHS * bins_per_hertz)[:, None]
    level = np.log(BANDWIDTHS[0] / BANDWIDTHS)[:, None]
    filters = np.exp(-11 * ((np.arange(bins) - centre) / width) ** 2 + level)
    return np.where(filters > np.exp(-30 / (2 * 2.303)), filters, 0)


def _autocorrelation(frames: Array) -> Array:
    length = frames.shape[-1]
    return np.stack([np.sum(frames[:, : length - k] * frames[:, k:], axis=-1) for k in range(LPC_ORDER + 1)], axis=-1)


def _predictor(correlation: Array) -> Array:
    """Return the prediction-error filter [1, -a1, -a2, ...] of each frame by the Levinson-Durbin recursion."""
    filter_ = np.zeros_like(correlation)
    filter_[:, 0] = 1
    error = correlation[:, 0].copy()
    for order in range(1, LPC_ORDER + 1):
        reflection = -np.sum(filter_[:, :order] * correlation[:, order:0:-1], axis=-1) / error
        filter_[:, 1 : order + 1] += reflection[:, None] * filter_[:, order - 1 :: -1][:, :order]
        error = np.maximum(error * (1 - reflection**2), np.finfo(np.float64).tiny)
    return filter_


def _frames(estimate: ArrayLike, target: ArrayLike, sample_rate: int) -> tuple[Array, Array]:
    """Return windowed frames of both signals, each of shape [frames, samples]."""
    signals = np.asarray(estimate, np.float64), np.asarray(target, np.float64)
    length = round(FRAME_SECONDS * sample_rate)
    hop = length // OVERLAP
    if signals[0].shape != signals[1].shape or signals[0].ndim != 1:
        raise ValueError(f"expected two signals of one shape [time], got {signals[0].shape} and {signals[1].shape}")
    if signals[0].size < length + hop:
        raise ValueError(f"expected at least {length + hop} samples, got {signals[0].size}")
    window = 0.5 * (1 - np.cos(2 * np.pi * np.arange(1, length + 1) / (length + 1)))
    count = (signals[0].size - length) // hop
    estimates, targets = (
        np.lib.stride_tricks.sliding_window_view(signal, length)[::hop][:count] * window for signal in signals
    )
    return estimates, targets


def _mean_of_best(distances: Array) -> float:
    return float(np.mean(np.sort(distances)[: round(len(distances) * KEPT)])) if len(distances) else float("nan")
