"""Intervals of 95 % by the bootstrap: percentiles of a statistic over samples that are drawn again and again.

What is drawn together depends on what belongs together: files, seeds and files of a grid of trainings, or listeners
with all of their grades.

Reference: Efron, "Bootstrap methods: another look at the jackknife", Annals of Statistics 7 (1979).
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 10_000
AT_ONCE = 2_000_000  # values of resampled rows that are in memory at a time
Values = NDArray[np.float64]


def percentiles(samples: Values) -> tuple[float, float]:
    """Return the bounds between which 95 % of the samples lie."""
    low, high = np.percentile(samples, [2.5, 97.5])
    return float(low), float(high)


def interval_over_values(values: Values, rng: np.random.Generator) -> tuple[float, float]:
    """Return the interval of the mean of ``[values]``.

    Example:
        >>> interval_over_values(np.array([1.0, 2.0, 3.0]), np.random.default_rng(0))
        (1.0, 3.0)
    """
    drawn = rng.integers(0, values.size, (RESAMPLES, values.size))
    return percentiles(values[drawn].mean(axis=1))


def interval_over_both(values: Values, rng: np.random.Generator) -> tuple[float, float]:
    """Return the interval of the mean of ``[seeds, files]`` when both are drawn, each for itself.

    Example:
        >>> interval_over_both(np.array([[1.0, 1.0, 1.0], [2.0, 2.0, 2.0]]), np.random.default_rng(0))
        (1.0, 2.0)
    """
    drawn = [rng.multinomial(size, np.full(size, 1 / size), RESAMPLES) / size for size in values.shape]
    return percentiles(((drawn[0] @ values) * drawn[1]).sum(axis=1))


def intervals_over_rows(
    values: Values, statistics: tuple[Callable[..., Values], ...], rng: np.random.Generator
) -> Iterator[tuple[float, float]]:
    """Yield the interval of each statistic over all of ``[rows, columns]``, when whole rows are drawn.

    Args:
        values: NaN where there is none.
        statistics: functions of ``(samples, axis=1)``, which know what to do with NaN.
        rng: draws the rows.
    """
    rows, at_once = len(values), max(1, AT_ONCE // max(values.size, 1))
    found: list[list[Values]] = [[] for _ in statistics]
    for start in range(0, RESAMPLES, at_once):
        drawn = rng.integers(rows, size=(min(at_once, RESAMPLES - start), rows))
        resampled = values[drawn].reshape(len(drawn), -1)
        for samples, statistic in zip(found, statistics, strict=True):
            samples.append(statistic(resampled, axis=1))
    yield from (percentiles(np.concatenate(samples)) for samples in found)
