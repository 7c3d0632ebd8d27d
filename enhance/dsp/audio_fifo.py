"""First-in first-out queue of samples, [channels, time], in one buffer that grows to what is needed and is reused."""

import numpy as np


class AudioFifo:
    """Queue of float32 samples.

    Example:
        >>> fifo = AudioFifo(channels=1)
        >>> fifo.push(np.array([[1, 2, 3]], np.float32))
        >>> fifo.pop(2), len(fifo)
        (array([[1., 2.]], dtype=float32), 1)
    """

    def __init__(self, channels: int, capacity: int = 4096) -> None:
        self._buffer = np.zeros((channels, capacity), np.float32)
        self._start = 0
        self._end = 0

    def __len__(self) -> int:
        return self._end - self._start

    def push(self, block: np.ndarray) -> None:
        """Append a block [channels, samples]."""
        end = self._end + block.shape[1]
        if end > self._buffer.shape[1]:
            self._make_room(block.shape[1])
            end = self._end + block.shape[1]
        self._buffer[:, self._end : end] = block
        self._end = end

    def pop(self, samples: int) -> np.ndarray:
        """Take the oldest samples out: a copy, [channels, samples], contiguous. There must be that many."""
        block = self.peek(samples)
        self._start += samples
        return block

    def peek(self, samples: int) -> np.ndarray:
        """Return the oldest samples and keep them: a copy, [channels, samples], contiguous. There must be that many."""
        if samples > len(self):
            raise ValueError(f"{samples} samples asked of a queue that holds {len(self)}")
        return self._buffer[:, self._start : self._start + samples].copy()

    def drop(self, samples: int) -> None:
        """Forget the oldest samples. There must be that many."""
        if samples > len(self):
            raise ValueError(f"{samples} samples dropped of a queue that holds {len(self)}")
        self._start += samples

    def clear(self) -> None:
        """Drop all samples."""
        self._start = self._end = 0

    def _make_room(self, samples: int) -> None:
        """Move what is held to the front, into a larger buffer if the present one would be more than half full."""
        held = self._buffer[:, self._start : self._end]
        channels, capacity = self._buffer.shape
        needed = held.shape[1] + samples
        if 2 * needed > capacity:
            self._buffer = np.zeros((channels, 2 * needed), np.float32)
        self._buffer[:, : held.shape[1]] = held.copy()
        self._start, self._end = 0, held.shape[1]
