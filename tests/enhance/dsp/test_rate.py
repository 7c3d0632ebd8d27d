"""Rates that signals may have, and lengths at other rates."""

import numpy as np
import pytest

from enhance.dsp.rate import check_sample_rate, resampled_length


@pytest.mark.parametrize("rate", [0, -8000, 999, 768001, 44100.5, float("nan"), float("inf")])
def test_absurd_rates_are_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="expected a whole number from 1000 to 768000 Hz"):
        check_sample_rate(rate)


@pytest.mark.parametrize("rate", ["44100", None, [44100], {}, np.array([44100, 48000])])
def test_what_is_no_number_is_refused(rate: object) -> None:
    with pytest.raises(ValueError, match="expected a number of Hz"):
        check_sample_rate(rate)  # type: ignore[arg-type]


def test_whole_rates_of_any_number_type_are_taken() -> None:
    assert check_sample_rate(44100.0) == check_sample_rate(np.float64(44100)) == 44100


def test_halves_of_a_sample_are_rounded_up() -> None:
    assert [resampled_length(samples, 2, 1) for samples in range(6)] == [0, 1, 1, 2, 2, 3]
    assert resampled_length(44_101, 44_100, 48_000) == 48_001
