"""The statistics of the three methods: Wilson intervals, exact binomial tests, quartiles, bootstrap, permutation.

References: E. B. Wilson, "Probable inference, the law of succession, and statistical inference" (1927,
10.1080/01621459.1927.10502953); BS.1534-3, section 4.1.2 (quartiles), 9.1 (bootstrap) and attachment 3 (permutation).
"""

from typing import NamedTuple

import numpy as np
from scipy import stats

from enhance.evaluation.bootstrap import intervals_over_rows

CONFIDENCE = 0.95
RESAMPLES = 10_000  # attachment 3 of BS.1534-3
_AT_ONCE = 2_000_000  # numbers in memory


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
    """Lower quartile, median and upper quartile as BS.1534-3 (4.1.2) defines them.

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
