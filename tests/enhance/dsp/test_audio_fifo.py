"""The queue of samples."""

import numpy as np
import pytest
from helpers import speech_like

from enhance.dsp.audio_fifo import AudioFifo


def test_a_queue_gives_what_it_took_in_order_and_no_more() -> None:
    fifo, rng = AudioFifo(channels=2, capacity=4), np.random.default_rng(0)
    line = speech_like(0.5, 8000, channels=2)
    taken, given = 0, []
    while taken < line.shape[1]:
        size = int(rng.integers(0, 50))
        fifo.push(line[:, taken : taken + size])
        taken = min(taken + size, line.shape[1])
        given.append(fifo.pop(int(rng.integers(0, len(fifo) + 1))))
    given.append(fifo.pop(len(fifo)))
    np.testing.assert_array_equal(np.concatenate(given, axis=1), line)
    with pytest.raises(ValueError, match="1 samples asked of a queue that holds 0"):
        fifo.pop(1)


def test_what_is_looked_at_stays_until_it_is_dropped() -> None:
    fifo = AudioFifo(channels=1)
    fifo.push(np.arange(5, dtype=np.float32)[None])
    np.testing.assert_array_equal(fifo.peek(3), [[0, 1, 2]])
    fifo.drop(2)
    np.testing.assert_array_equal(fifo.pop(3), [[2, 3, 4]])
    with pytest.raises(ValueError, match="1 samples dropped of a queue that holds 0"):
        fifo.drop(1)
