"""Intervals by the bootstrap, against those of the normal distribution."""

import numpy as np
import pytest

from enhance.evaluation.bootstrap import interval_over_both, interval_over_values, intervals_over_rows

TOLERANCE = 0.03  # of the width; percentiles of 10,000 draws


def test_the_interval_of_a_mean_is_that_of_the_normal_distribution_for_many_values() -> None:
    values = np.random.default_rng(0).normal(2.0, 3.0, 400)
    low, high = interval_over_values(values, np.random.default_rng(1))
    error = 1.96 * values.std() / np.sqrt(values.size)
    assert (low, high) == pytest.approx((values.mean() - error, values.mean() + error), abs=2 * error * TOLERANCE)


def test_whole_rows_are_drawn_where_their_values_belong_together() -> None:
    """Ten equal grades of each of 40 listeners tell no more than one of each."""
    each = np.random.default_rng(0).normal(0, 1, (40, 1))
    (repeated,) = intervals_over_rows(np.repeat(each, 10, axis=1), (np.nanmean,), np.random.default_rng(1))
    (single,) = intervals_over_rows(each, (np.nanmean,), np.random.default_rng(1))
    assert repeated == pytest.approx(single)


def test_seeds_and_files_are_drawn_each_for_itself() -> None:
    values = np.random.default_rng(0).normal(0, 1, (2, 1)) + np.zeros((2, 30))
    low, high = interval_over_both(values, np.random.default_rng(1))
    assert (low, high) == pytest.approx((values.min(), values.max())), "with two seeds, both may be the same one"
