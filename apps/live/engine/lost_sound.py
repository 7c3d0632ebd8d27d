"""How much sound a device has lost, counted from its time stamps.

A device that loses nothing takes or gives its frames at the times that its rate says. What is missing on the way in
makes the next frame that much younger than the count of frames says; silence that the device has played because
nothing came makes the next frame be heard that much later. Either is a step in `stamp - frames / rate`.
"""

import numpy as np

_BLOCKS = 50  # that are looked at together: single stamps are off by some milliseconds,
_EARLY = 5  # and a call that comes late and is made up for is no loss, so the fifth earliest counts
_STEP = 0.015  # seconds that are a step and not the stamps' own unrest
_DRIFT = 0.0005  # seconds in a second that a clock may run slow


class LostSound:
    """Counts the steps of one side of a device. A callback notes without allocation.

    Args:
        sample_rate: Hz.

    Attributes:
        seconds: lost so far.

    Example:
        >>> lost = LostSound(sample_rate=1000)
        >>> for number in range(200):
        ...     lost.note(0.01 * number + (0.3 if number >= 100 else 0.0), frames=10)
        >>> round(lost.seconds, 3)
        0.3
    """

    def __init__(self, sample_rate: int) -> None:
        self._rate = sample_rate
        self._late = np.zeros(_BLOCKS)
        self.forget()

    def forget(self) -> None:
        """Count from nothing, as after the troubles of starting."""
        self.seconds = 0.0
        self._frames = self._count = 0
        self._usual: float | None = None

    def note(self, stamp: float, frames: int) -> None:
        """Note the time in seconds at which the first frame of a block was heard, or will be."""
        self._late[self._count] = stamp - self._frames / self._rate
        self._frames += frames
        self._count += 1
        if self._count < _BLOCKS:
            return
        self._count = 0
        self._late.sort()
        late = float(self._late[_EARLY - 1])
        if self._usual is None or late < self._usual:
            self._usual = late
            return
        self._usual += min(_DRIFT * _BLOCKS * frames / self._rate, late - self._usual)
        if late - self._usual > _STEP:
            self.seconds += late - self._usual
            self._usual = late
