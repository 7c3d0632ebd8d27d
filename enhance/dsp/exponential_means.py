"""Exponential means of values that come in blocks, the same whatever the blocks are."""

import numpy as np


def exponential_means(values: np.ndarray, mean: np.ndarray, gain: float) -> np.ndarray:
    """Return the means up to each value along the first axis, shaped as `values`.

    Args:
        values: any shape, real or complex; time comes first.
        mean: the last one of the block before.
        gain: share of a new value in the mean.

    Example:
        >>> exponential_means(np.ones(3), np.zeros(()), 0.5)
        array([0.5  , 0.75 , 0.875])
    """
    count = len(values)
    age = np.arange(count)[:, np.newaxis] - np.arange(count)
    weights = gain * (1 - gain) ** np.maximum(age, 0) * (age >= 0)
    means = (weights @ values.reshape(count, -1)).reshape(values.shape)
    return means + mean * ((1 - gain) ** np.arange(1.0, count + 1)).reshape(-1, *[1] * np.ndim(mean))
