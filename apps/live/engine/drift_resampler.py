"""Resampling between two sound cards, whose clocks differ a little, so that the queue between them keeps its length.

`control` is the whole law, a function of numbers: a proportional-integral controller of the length of the queue,
critically damped; quick at first, then so slow that nobody hears the pitch move. `DriftResampler` applies it: each
sample that goes out is a product of 32 that came in with a windowed sinc for its place between them. It holds back 16
samples; the variable-rate resampler of soxr holds back 240. The band up to 84 % of the Nyquist frequency passes
unchanged; above it, the level moves with the place. libsamplerate was measured and left: `sinc_fastest` takes 4.9 ms of
CPU a second in place of 18, but loses 6.3 dB at 20 kHz and holds back 20 samples, too many for the bar of 30 ms at
16 kHz; `sinc_medium` keeps the band, takes 12 ms and holds back 47 samples.

Reference: F. Adriaensen, "Using a DLL to filter time", Linux Audio Conference 2005; the loop here has the same order.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from enhance.dsp.polyphase import sinc_bank

QUICK, SLOW = 0.3, 0.05  # bandwidths of the closed loop, rad/s
SETTLED = 20.0  # seconds after which it is slow
MOST = 0.002  # the largest change of speed: 3.5 cents; sound cards differ by less than a tenth of it
_SMOOTHING = 1.0  # seconds over which the length of the queue is averaged
HELD_BACK = 16  # frames on each side of the filter
_PLACES = 256  # between two samples for which the filter is tabulated; between them it is interpolated: -95 dB


@dataclass(frozen=True)
class Control:
    """State of the controller.

    Attributes:
        error: seconds by which the queue is too long, smoothed.
        offset: what is known of the difference of the clocks (the integral), as a share.
        speed: how many times faster than it comes in the sound has to be played.
        age: seconds since the start.
    """

    error: float = 0.0
    offset: float = 0.0
    speed: float = 1.0
    age: float = 0.0


def control(state: Control, error: float, elapsed: float) -> Control:
    """Return the next state of the controller.

    Args:
        state: from the step before.
        error: seconds by which the queue is too long now.
        elapsed: seconds since the step before.

    Returns:
        The next state.

    Example:
        >>> control(Control(), error=0.01, elapsed=0.01).speed > 1
        True
    """
    age = state.age + elapsed
    bandwidth = QUICK if age < SETTLED else SLOW
    smooth = state.error + (error - state.error) * min(1.0, elapsed / _SMOOTHING)
    offset = state.offset + bandwidth**2 * smooth * elapsed
    change = 2 * bandwidth * smooth + offset
    if abs(change) > MOST:  # held at the limit, the integral must not run away
        return Control(smooth, state.offset, 1 + (MOST if change > 0 else -MOST), age)
    return Control(smooth, offset, 1 + change, age)


class DriftResampler:
    """Resamples blocks so that a queue behind them keeps its length.

    Args:
        channels: of the sound.

    Attributes:
        state: of the controller; `state.speed - 1` is the difference of the two clocks once it has settled.
    """

    def __init__(self, channels: int) -> None:
        self.state = Control()
        self._bank = sinc_bank(np.linspace(0, 1, _PLACES + 1), HELD_BACK, cutoff=0.5)
        self._line = np.zeros((HELD_BACK - 1, channels), np.float32)  # what the next samples need
        self._place = 0.0  # of the next sample that goes out, after the last frame of the line that lies before it

    def process(self, frames: np.ndarray) -> np.ndarray:
        """Resample float32 [frames, channels]."""
        self._line = np.concatenate([self._line, frames])
        speed, ready = self.state.speed, len(self._line) + 1 - 2 * HELD_BACK
        if ready <= self._place:
            return self._line[:0]
        places = self._place + speed * np.arange(math.ceil((ready - self._place) / speed))
        whole = places.astype(int)
        row, between = np.divmod(_PLACES * (places - whole), 1)
        row, between = row.astype(int), between.astype(np.float32)[:, np.newaxis]
        taps = (1 - between) * self._bank[row] + between * self._bank[row + 1]
        near = sliding_window_view(self._line, 2 * HELD_BACK, axis=0)[whole]
        self._place += speed * len(places)
        past = int(self._place)
        self._place -= past
        self._line = self._line[past:]
        return np.einsum("fct,ft->fc", near, taps)

    def correct(self, error: float, elapsed: float) -> None:
        """Adapt the speed to an error of the queue in seconds, `elapsed` seconds after the last time."""
        self.state = control(self.state, error, elapsed)

    def forget(self) -> None:
        """Drop the error, as the queue is filled anew; what is known of the clocks stays."""
        self.state = replace(self.state, error=0.0)
