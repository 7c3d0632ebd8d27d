"""Random numbers that are addressed by seed, step and example, so that they do not depend on who draws them.

A counter-based generator (Philox, Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011,
doi:10.1145/2063384.2063405) is keyed by seed and step and set forward to the example.
"""

import numpy as np

SLOTS = 96  # random numbers set aside for each example; a multiple of the 4 that Philox makes at a time
LARGEST_SEED = (1 << 63) - 1  # with the stream it fills 64 bits


class CounterRandom:
    """Random numbers of examples `first` to `first + count - 1` of a step, taken column by column.

    Args:
        seed: key of the generator, with `stream` and `step`; 0 to `LARGEST_SEED`.
        stream: 0 to 3, independent sets of numbers.
        step: number of the step, 0 or more.
        first: index of the first example in the whole batch.
        count: number of examples.

    Example:
        >>> whole, part = CounterRandom(7, 0, 3, first=0, count=8), CounterRandom(7, 0, 3, first=6, count=2)
        >>> bool((whole.take()[6:] == part.take()).all())
        True
    """

    def __init__(self, seed: int, stream: int, step: int, first: int, count: int) -> None:
        more, one = divmod(stream, 2)
        bits = np.random.Philox(key=np.array([2 * seed + one, step + (more << 63)], dtype=np.uint64))
        bits.advance(first * SLOTS // 4)
        self._table = np.random.Generator(bits).random((count, SLOTS))
        self._taken = 0

    def take(self) -> np.ndarray:
        """Return `[count]` numbers in [0, 1)."""
        self._taken += 1
        return self._table[:, self._taken - 1]

    def chance(self, probability: float) -> np.ndarray:
        """Return `[count]` truth values."""
        return self.take() < probability

    def between(self, bounds: tuple[float, float]) -> np.ndarray:
        """Return `[count]` numbers in the interval."""
        return bounds[0] + (bounds[1] - bounds[0]) * self.take()

    def index(self, size: int) -> np.ndarray:
        """Return `[count]` integers from 0 to `size - 1`."""
        return (self.take() * size).astype(np.int64)

    def curve(self, limit: float, knots: int) -> np.ndarray:
        """Return `[count, knots]` numbers in +-limit."""
        return np.stack([self.between((-limit, limit)) for _ in range(knots)], axis=1)
