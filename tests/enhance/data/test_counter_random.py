"""Random numbers that do not depend on who draws them."""

import numpy as np
import pytest

from enhance.data.counter_random import CounterRandom


@pytest.mark.parametrize("count", [1, 3, 8])
def test_parts_of_a_batch_draw_what_the_whole_draws(count: int) -> None:
    whole = CounterRandom(5, 1, 9, first=0, count=8)
    parts = [CounterRandom(5, 1, 9, first=start, count=min(count, 8 - start)) for start in range(0, 8, count)]
    for _ in range(3):
        np.testing.assert_array_equal(whole.take(), np.concatenate([part.take() for part in parts]))


def test_seeds_streams_steps_and_examples_differ() -> None:
    first = [
        CounterRandom(seed, stream, step, first=example, count=1).take()[0]
        for seed in (0, 1) for stream in range(4) for step in (0, 1) for example in (0, 1)
    ]  # fmt: skip
    assert len(set(first)) == 32


def test_numbers_lie_where_they_are_asked_for() -> None:
    draws = CounterRandom(0, 0, 0, first=0, count=20_000)
    assert draws.chance(0.25).mean() == pytest.approx(0.25, abs=0.01)
    between = draws.between((-3.0, 1.0))
    assert -3 <= between.min() < -2.99
    assert 0.99 < between.max() < 1
    assert sorted(set(draws.index(5))) == [0, 1, 2, 3, 4]
    assert np.abs(draws.curve(6.0, 4)).max() <= 6
