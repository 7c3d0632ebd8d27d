"""Filters in the frequency domain."""

import numpy as np
import torch

from enhance.data.filters import EQ_KNOTS, Equaliser, fast_length


def test_fast_lengths_are_no_shorter_and_hardly_longer_than_asked() -> None:
    for length in (1, 7, 1000, 24_001, 48_013):
        fast = fast_length(length)
        assert length <= fast <= 1.05 * length + 8
        for prime in (2, 3, 5):
            while fast % prime == 0:
                fast //= prime
        assert fast == 1


def test_an_equaliser_of_equal_knots_is_a_gain() -> None:
    gains = Equaliser(torch.fft.rfftfreq(960, 1 / 48_000)).gains(np.full((2, EQ_KNOTS), 6.0206))
    torch.testing.assert_close(gains, torch.full((2, 481), 2.0), rtol=1e-4, atol=0)
