"""Measurements for the screen and the log: levels, suppression, times of blocks, processor."""

import math
import time
from dataclasses import dataclass, field

import numpy as np

FLOOR = -100.0  # dBFS that stands for silence
_RELEASE = 20.0  # dB per second that a meter falls
_SMOOTHING = 0.2  # seconds over which the level is averaged
_SUPPRESSION = 0.5  # and the suppression


@dataclass
class Meter:
    """Level of one side: RMS and held peak in dBFS. The peak falls slowly, as on mixing desks."""

    rms: float = FLOOR
    peak: float = FLOOR
    _power: float = 0.0

    def feed(self, frames: np.ndarray, seconds: float) -> None:
        """Take what came in so many seconds, float32 [frames, channels]."""
        loudest = float(np.abs(frames).max(initial=0.0))
        power = float(np.mean(np.square(frames, dtype=np.float64)))
        self._power += (power - self._power) * min(1.0, seconds / _SMOOTHING)
        self.rms = decibels(math.sqrt(self._power))
        self.peak = max(decibels(loudest), self.peak - _RELEASE * seconds)


@dataclass
class Meters:
    """Measure input and output levels, and the suppression: the input's level minus the output's.

    Attributes:
        given, out: meters of the input and the output.
        suppression: dB by which the output is softer, smoothed over more than their delay; held while muted.
    """

    given: Meter = field(default_factory=Meter)
    out: Meter = field(default_factory=Meter)
    suppression: float = 0.0
    _powers: np.ndarray = field(default_factory=lambda: np.full(2, 1e-12))

    def feed(self, given: np.ndarray, out: np.ndarray, sample_rate: int, muted: bool = False) -> None:
        """Take both sides of the same frames, float32 [frames, channels]."""
        if not len(given):
            return
        seconds = len(given) / sample_rate
        self.given.feed(given, seconds)
        self.out.feed(out, seconds)
        if muted:
            return
        powers = np.array([np.mean(np.square(side, dtype=np.float64)) for side in (given, out)])
        self._powers += (powers - self._powers) * min(1.0, seconds / _SUPPRESSION)
        ratio = (self._powers[0] + 1e-12) / (self._powers[1] + 1e-12)
        self.suppression = max(0.0, 10 * math.log10(ratio))


class Processor:
    """Share of one core that this process takes."""

    def __init__(self) -> None:
        self._before = (time.perf_counter(), time.process_time())

    def percent(self) -> float:
        """Return the processor share since the call before, in percent of one core."""
        now = (time.perf_counter(), time.process_time())
        wall, cpu = now[0] - self._before[0], now[1] - self._before[1]
        self._before = now
        return 100 * cpu / wall if wall > 0 else 0.0


def decibels(amplitude: float) -> float:
    """Convert to dB relative to full scale, not below `FLOOR`.

    Example:
        >>> decibels(0.1), decibels(0.0)
        (-20.0, -100.0)
    """
    return max(FLOOR, 20 * math.log10(amplitude)) if amplitude > 0 else FLOOR


def percentiles(seconds: np.ndarray) -> dict[str, float]:
    """Return p50, p95 and p99 in milliseconds; zeros when there is nothing yet."""
    if not len(seconds):
        return {"p50": 0.0, "p95": 0.0, "p99": 0.0}
    values = np.percentile(seconds * 1000, [50, 95, 99])
    return {name: round(float(value), 3) for name, value in zip(("p50", "p95", "p99"), values, strict=True)}
