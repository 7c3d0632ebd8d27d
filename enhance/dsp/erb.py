"""Bands of the spectrum: single bins at the bottom, ERB-spaced triangles above.

The ERB-rate scale is that of Glasberg and Moore, "Derivation of auditory filter shapes from notched-noise data",
Hearing Research 47 (1990): ``21.4 log10(1 + 0.00437 f)`` with f in Hz.
"""

import numpy as np

ERB_PER_DECADE = 21.4
ERB_PER_HZ = 0.00437


def erb_rate(frequency: np.ndarray | float) -> np.ndarray:
    """Return ERB-rate of a frequency in Hz."""
    return ERB_PER_DECADE * np.log10(1 + ERB_PER_HZ * np.asarray(frequency, dtype=np.float64))


def erb_frequency(rate: np.ndarray | float) -> np.ndarray:
    """Return the frequency in Hz of an ERB-rate.

    Example:
        >>> float(erb_frequency(erb_rate(1000.0)).round(6))
        1000.0
    """
    return (10 ** (np.asarray(rate, dtype=np.float64) / ERB_PER_DECADE) - 1) / ERB_PER_HZ


def wide_band_matrix(bins: int, first_bin: int, bands: int, sample_rate: int) -> np.ndarray:
    """Return overlapping triangles over the bins from ``first_bin`` up; at each bin they add up to one.

    Args:
        bins: bins of the one-sided spectrum, 0 Hz to half of the sample rate.
        first_bin: the lowest bin covered.
        bands: number of triangles, with centres equally spaced in ERB-rate.
        sample_rate: in Hz.

    Returns:
        ``[bins - first_bin, bands]``; row sums are 1.

    Example:
        >>> float(wide_band_matrix(481, 100, 28, 48000).sum(axis=1).round(6).min())
        1.0
    """
    frequency = np.linspace(0, sample_rate / 2, bins)[first_bin:]
    centres = erb_frequency(np.linspace(erb_rate(frequency[0]), erb_rate(frequency[-1]), bands))
    rows = [np.interp(frequency, centres, unit) for unit in np.eye(bands)]
    return np.stack(rows, axis=1)
