"""Two sound cards have two clocks: the sound between them is resampled by a hair, so that their queue stays as long.

`control` is the whole law, a function of numbers: a proportional-integral controller of the length of the queue,
critically damped; quick at first, then so slow that nobody hears the pitch move. `Drift` applies it with the
variable-rate resampler of soxr.

Reference: F. Adriaensen, "Using a DLL to filter time", Linux Audio Conference 2005; the loop here has the same order.
"""

from dataclasses import dataclass, replace

import numpy as np
import soxr

QUICK, SLOW = 0.3, 0.05  # bandwidths of the closed loop, rad/s
SETTLED = 20.0  # seconds after which it is slow
MOST = 0.002  # the largest change of speed: 3.5 cents; sound cards differ by less than a tenth of it
_SMOOTHING = 1.0  # seconds over which the length of the queue is averaged
HELD_BACK = 240  # frames that soxr's variable-rate resampler holds back at a ratio near 1


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
    """One step of the controller.

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


class Drift:
    """Resamples blocks so that a queue behind them keeps its length.

    Args:
        channels: of the sound.

    Attributes:
        state: of the controller; `state.speed - 1` is the difference of the two clocks once it has settled.
    """

    def __init__(self, channels: int) -> None:
        self.state = Control()
        self._soxr = soxr.ResampleStream(1 + 2 * MOST, 1, channels, dtype="float32", quality="HQ", vr=True)
        self._soxr.set_io_ratio(1, 1)

    def process(self, frames: np.ndarray) -> np.ndarray:
        """Resample float32 [frames, channels]."""
        return self._soxr.resample_chunk(frames)

    def correct(self, error: float, block: int, elapsed: float) -> None:
        """Adapt the speed to an error of the queue in seconds; the change is spread over the next block of frames."""
        self.state = control(self.state, error, elapsed)
        self._soxr.set_io_ratio(self.state.speed, 1, block)

    def forget(self) -> None:
        """The queue is filled anew, so its error is gone; what is known of the clocks stays."""
        self.state = replace(self.state, error=0.0)
