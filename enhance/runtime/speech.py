"""Is somebody speaking? A probability for each hop, from what the network has left of the sound.

The network removes what is no speech, so what is left shows it: its power over about a hop, beside the mean power of
the input over three seconds, goes through a logistic function. The level of the input does not matter. Slope and offset
were fitted to held-out mixtures and noises by `python -m enhance.speech_detection --fit`, which also measures it beside
other detectors.
"""

from collections import deque

import numpy as np

SLOPE, OFFSET = 1.532, 4.089  # of the logarithm of the ratio of powers, to base 10
FLOOR = 1e-5  # of that ratio: below it, remaining noise looks alike
LEVEL_HOPS = 300.0  # over which the input's power is averaged, with exponentially falling weights
KEPT_HOPS = 6000  # that `take` gives at most: a minute
_SMOOTH = np.exp(-1.0)  # of the power that is left, from hop to hop
_TINY_POWER = 1e-14  # below silence in 16 bits


class SpeechDetector:
    """Follows a signal hop by hop. Until somebody asks it only notes powers, which costs next to nothing.

    One thread may ask while another one, such as the callback of a sound device, hands over sound.

    Args:
        channels: number of channels.
        hop: samples.

    Example:
        >>> detector = SpeechDetector(channels=1, hop=480)
        >>> detector.update(np.ones((1, 960), np.float32), np.ones((1, 960), np.float32))
        >>> detector.take().round(2)
        array([0.98, 0.98], dtype=float32)
    """

    def __init__(self, channels: int, hop: int) -> None:
        self._channels, self._hop = channels, hop
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self._probability = 0.0
        self._sum, self._weight = np.zeros(self._channels), 0.0
        self._left = np.zeros(self._channels)
        self._powers = np.zeros((KEPT_HOPS, 2, self._channels))  # of input and estimate, as a ring
        self._written = self._looked = 0  # hops that were noted, and looked at
        self._kept: deque[float] = deque(maxlen=KEPT_HOPS)

    def update(self, given: np.ndarray, estimate: np.ndarray) -> None:
        """Take whole hops of input and estimate, each [channels, samples]."""
        both = np.stack([given, estimate]).reshape(2, self._channels, -1, self._hop)
        powers = np.square(both).mean(axis=3, dtype=float).transpose(2, 0, 1)
        hops = np.arange(self._written, self._written + len(powers))[-KEPT_HOPS:]
        self._powers[hops % KEPT_HOPS] = powers[-KEPT_HOPS:]
        self._written += len(powers)

    @property
    def probability(self) -> float:
        """That somebody speaks in the latest hop, from 0 to 1, in the channel where it is highest."""
        self._look()
        return self._probability

    def take(self) -> np.ndarray:
        """Return the probabilities since the last call, float32 [hops], of the last minute at most."""
        self._look()
        taken = np.array(self._kept, np.float32)
        self._kept.clear()
        return taken

    def _look(self) -> None:
        fade = np.exp(-1 / LEVEL_HOPS)
        written = self._written  # another thread may go on writing
        for hop in range(max(self._looked, written - KEPT_HOPS), written):
            power_in, power_left = self._powers[hop % KEPT_HOPS]
            self._sum = fade * self._sum + power_in
            self._weight = fade * self._weight + 1
            self._left += (1 - _SMOOTH) * (power_left - self._left)
            ratio = (self._left / (self._sum / self._weight + _TINY_POWER)).max()
            self._probability = float(1 / (1 + np.exp(-OFFSET - SLOPE * np.log10(ratio + FLOOR))))
            self._kept.append(self._probability)
        self._looked = written
