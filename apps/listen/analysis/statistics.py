"""The statistics of the methods: Wilson intervals, exact binomial tests, quartiles, bootstrap, permutation, Holm.

References: E. B. Wilson, "Probable inference, the law of succession, and statistical inference" (1927,
10.1080/01621459.1927.10502953); BS.1534-3, section 4.1.2 (quartiles), 9.1 (bootstrap) and attachment 3 (permutation);
S. Holm, "A simple sequentially rejective multiple test procedure" (Scandinavian Journal of Statistics 6, 1979).
"""

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
from scipy import stats

from enhance.evaluation.bootstrap import intervals_over_rows, percentiles

CONFIDENCE = 0.95
RESAMPLES = 10_000  # attachment 3 of BS.1534-3
_AT_ONCE = 2_000_000  # numbers in memory
_EXACT = 13  # differences whose 8,192 signs are all tried


class Interval(NamedTuple):
    """An estimate and its 95 % confidence interval."""

    value: float
    low: float
    high: float


def wilson(successes: float, trials: int) -> Interval:
    """Return the share of successes with Wilson's score interval; NaN when there was no trial.

    Args:
        successes: may be a half, when a tie counts half; the interval is an approximation then.
        trials: number of trials.

    Example:
        >>> [round(part, 3) for part in wilson(15, 20)]
        [0.75, 0.531, 0.888]
    """
    if not trials:
        return Interval(np.nan, np.nan, np.nan)
    z = float(stats.norm.ppf((1 + CONFIDENCE) / 2))
    share = successes / trials
    centre = (share + z**2 / (2 * trials)) / (1 + z**2 / trials)
    half = z / (1 + z**2 / trials) * np.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2))
    return Interval(share, max(0.0, float(centre - half)), min(1.0, float(centre + half)))


def binomial_p(successes: int, trials: int, alternative: str = "two-sided") -> float:
    """Return the p-value of the sign test: as extreme a result by a fair coin. NaN when there was no trial.

    Example:
        >>> round(binomial_p(9, 10), 4), round(binomial_p(9, 10, "greater"), 4)
        (0.0215, 0.0107)
    """
    return float(stats.binomtest(successes, trials, 0.5, alternative).pvalue) if trials else float("nan")


def quartiles(values: np.ndarray) -> tuple[float, float, float]:
    """Return lower quartile, median and upper quartile as BS.1534-3 (4.1.2) defines them.

    The quartiles are the medians of the lower and of the upper half; of an odd number of values the middle one belongs
    to both.

    Example:
        >>> quartiles(np.array([1, 2, 3, 4, 5])), quartiles(np.array([1, 2, 3, 4]))
        ((2.0, 3.0, 4.0), (1.5, 2.5, 3.5))
    """
    ordered = np.sort(values)
    half = (len(ordered) + 1) // 2
    return float(np.median(ordered[:half])), float(np.median(ordered)), float(np.median(ordered[-half:]))


def bootstrap(grades: np.ndarray, rng: np.random.Generator) -> tuple[Interval, Interval]:
    """Return the median and the mean with 95 % percentile intervals by resampling of listeners.

    A listener is drawn with all of his or her grades, since these are not independent of each other.

    Args:
        grades: [listeners, items]; NaN where a listener gave none.
        rng: draws the listeners.

    Returns:
        Of the median, of the mean. With one listener the interval is the value itself: nothing can be said.
    """
    complete = not np.isnan(grades).any()  # then without the slower search for NaN
    statistics = (np.median, np.mean) if complete else (np.nanmedian, np.nanmean)
    median, mean = intervals_over_rows(grades, statistics, rng)
    return Interval(float(np.nanmedian(grades)), *median), Interval(float(np.nanmean(grades)), *mean)


def bootstrap_mean(grades: np.ndarray, rng: np.random.Generator) -> Interval:
    """Return the mean with its 95 % percentile interval by resampling of listeners, as `bootstrap` does.

    It needs no table of all resampled grades, so hundreds of listeners take no time.

    Args:
        grades: [listeners, any]; NaN where a listener gave none, and at least one in each row.
        rng: draws the listeners.
    """
    listeners = len(grades)
    drawn = rng.multinomial(listeners, np.full(listeners, 1 / listeners), RESAMPLES)
    sums, counts = np.nansum(grades, axis=1), np.count_nonzero(~np.isnan(grades), axis=1)
    return Interval(float(np.nanmean(grades)), *percentiles((drawn @ sums) / (drawn @ counts)))


def permutation_p(first: np.ndarray, second: np.ndarray, rng: np.random.Generator) -> float:
    """Return the p-value of a difference of medians by permutation (attachment 3, both directions).

    Args:
        first: grades of a system, [any].
        second: grades of another, [any].
        rng: draws the permutations.
    """
    pooled = np.concatenate([first, second])
    actual = abs(np.median(first) - np.median(second))
    reached = 0
    at_once = max(1, _AT_ONCE // len(pooled))
    for start in range(0, RESAMPLES, at_once):
        rows = min(at_once, RESAMPLES - start)
        drawn = rng.permuted(np.broadcast_to(pooled, (rows, len(pooled))), axis=1)
        difference = np.median(drawn[:, : len(first)], axis=1) - np.median(drawn[:, len(first) :], axis=1)
        reached += int(np.count_nonzero(np.abs(difference) >= actual))
    return (reached + 1) / (RESAMPLES + 1)


def sign_flip_p(differences: np.ndarray, rng: np.random.Generator) -> float:
    """Return the p-value of a mean difference by turning signs (two-sided); exact for up to 13 differences.

    Args:
        differences: one of each listener, [any].
        rng: draws the signs.

    Example:
        >>> sign_flip_p(np.array([1.0, 2.0, 1.0, 1.0]), np.random.default_rng(0))
        0.125
    """
    if len(differences) <= _EXACT:
        signs = np.array(list(product((1.0, -1.0), repeat=len(differences))))
    else:
        drawn = rng.choice((1.0, -1.0), (RESAMPLES - 1, len(differences)))
        signs = np.vstack([np.ones(len(differences)), drawn])
    sums = np.abs(signs @ differences)
    rounding = 1e-9 * np.abs(differences).sum()
    return float(np.mean(sums >= sums[0] - rounding))


def student_half_width(values: np.ndarray) -> float:
    """Return half the 95 % interval of the mean by Student's t over independent values; NaN for fewer than two.

    Example:
        >>> round(student_half_width(np.array([1.0, 2.0, 3.0, 4.0, 5.0])), 3)
        1.963
    """
    if len(values) < 2:
        return float("nan")
    quantile = stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1)
    return float(quantile * np.std(values, ddof=1) / np.sqrt(len(values)))


def holm(p: Sequence[float]) -> list[float]:
    """Return the p-values corrected for their number by Holm's method; NaN stays, and does not count.

    Example:
        >>> [round(value, 3) for value in holm([0.01, 0.04, float("nan"), 0.03])]
        [0.03, 0.06, nan, 0.06]
    """
    order = sorted((value, place) for place, value in enumerate(p) if value == value)
    corrected, highest = [float("nan")] * len(p), 0.0
    for rank, (value, place) in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - rank) * value))
        corrected[place] = highest
    return corrected
