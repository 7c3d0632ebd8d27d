"""The queue between a callback of the sound device and the worker: no lock, no allocation of memory for samples.

One thread writes and one thread reads. Each counter is changed by one side only and grows for ever, so a look at the
other side's counter can be late but never wrong: the reader may see fewer frames than there are, the writer less room.
"""

import numpy as np


class Ring:
    """Ring buffer of float32 frames [frames, channels], the layout of PortAudio.

    Args:
        channels: samples in a frame.
        capacity: frames.

    Attributes:
        written, taken: frames in all, since the start.
        lost: frames that found no room.

    Example:
        >>> ring = Ring(channels=1, capacity=4)
        >>> ring.write(np.array([[1], [2], [3]], np.float32))
        True
        >>> out = np.zeros((2, 1), np.float32)
        >>> ring.read(out), out.ravel(), len(ring)
        (2, array([1., 2.], dtype=float32), 1)
    """

    def __init__(self, channels: int, capacity: int) -> None:
        self.written = self.taken = self.lost = 0
        self._buffer = np.zeros((capacity, channels), np.float32)
        self._capacity = capacity

    def __len__(self) -> int:
        return self.written - self.taken

    def write(self, frames: np.ndarray) -> bool:
        """Append frames. What does not fit as a whole is lost, and counted: the reader has stalled."""
        count = len(frames)
        if self.written - self.taken + count > self._capacity:
            self.lost += count
            return False
        start = self.written % self._capacity
        first = min(count, self._capacity - start)
        self._buffer[start : start + first] = frames[:first]
        if first < count:
            self._buffer[: count - first] = frames[first:]
        self.written += count
        return True

    def read(self, out: np.ndarray) -> int:
        """Fill `out` from its start with as many frames as there are. Returns their number."""
        count = min(len(out), self.written - self.taken)
        start = self.taken % self._capacity
        first = min(count, self._capacity - start)
        out[:first] = self._buffer[start : start + first]
        if first < count:
            out[first:count] = self._buffer[: count - first]
        self.taken += count
        return count
