"""The delay of live sound by its parts: what was asked for, what each part takes, and what was measured."""

import math
from dataclasses import dataclass, replace

import numpy as np

from enhance.utils.errors import UsageError

_KEPT = 256  # blocks over which the measured delay is the median


@dataclass(frozen=True)
class Policy:
    """Hold how much the device and the queue between two devices may buffer.

    Attributes:
        device: "low", "high", or seconds for each side of the device.
        slack: seconds that the sound waits between two devices, beyond what the resampling for drift takes.
        aim: seconds from microphone to loudspeaker that are wished, or None; `split` makes the others of it.
    """

    device: str | float
    slack: float
    aim: float | None = None

    @property
    def text(self) -> str:
        """As `parse` reads it.

        Example:
            >>> parse("0.15").text, parse("safe").text
            ('0.15', 'safe')
        """
        return str(self.aim) if self.aim is not None else "low" if self == LOW else "safe"

    def split(self, fixed: float, parts: int) -> "Policy":
        """Give to each of so many parts as much as is left of the aim after `fixed` seconds; without an aim the same.

        Example:
            >>> Policy("low", 0.004, aim=0.08).split(fixed=0.02, parts=3)
            Policy(device=0.02, slack=0.02, aim=0.08)
        """
        if self.aim is None:
            return self
        share = max(0.0, self.aim - fixed) / parts
        return replace(self, device=share, slack=share)


LOW, SAFE = Policy("low", 0.004), Policy("high", 0.03)


def parse(text: str) -> Policy:
    """Read `low`, `safe`, or the seconds from microphone to loudspeaker to aim at.

    Raises:
        UsageError: for anything else.

    Example:
        >>> parse("low")
        Policy(device='low', slack=0.004, aim=None)
    """
    if text in ("low", "safe"):
        return LOW if text == "low" else SAFE
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= 2:
        raise UsageError(f"--latency is low, safe, or seconds up to 2, not {text}")
    return replace(LOW, aim=seconds)


@dataclass(frozen=True)
class Latency:
    """Seconds, by part.

    Attributes:
        algorithm: of the network and of filling its hops, and of resampling to its rate and back.
        buffer: in queues of this program: 0 with one device.
        device: of both sides of the device and its system, as PortAudio reports them when it opens them.
        measured: from the microphone to the loudspeaker by the time stamps of the device, all parts together; None
            where the system gives none.
    """

    algorithm: float
    buffer: float
    device: float
    measured: float | None = None

    @property
    def total(self) -> float:
        """Measured if it can be, else the sum of the parts."""
        return self.algorithm + self.buffer + self.device if self.measured is None else self.measured

    @property
    def in_device(self) -> float:
        """Device delay in seconds: measured if possible, else as reported by the system."""
        return self.total - self.algorithm - self.buffer

    def in_milliseconds(self) -> dict[str, float | None]:
        """Return the parts in milliseconds, rounded."""
        parts = {"algorithm": self.algorithm, "buffer": self.buffer, "device": self.in_device, "total": self.total}
        rounded: dict[str, float | None] = {name: round(1000 * seconds, 1) for name, seconds in parts.items()}
        rounded["measured"] = None if self.measured is None else round(1000 * self.measured, 1)
        rounded["device_reported"] = round(1000 * self.device, 1)
        return rounded


class Stamps:
    """The latest delays, noted by a callback without allocation, and their median."""

    def __init__(self) -> None:
        self._delays = np.full(_KEPT, np.nan)
        self._count = 0

    def note(self, seconds: float) -> None:
        """Note one delay; nonsense, as some systems give it, is left out."""
        if 0 < seconds < 5:
            self._delays[self._count % _KEPT] = seconds
            self._count += 1

    def median(self) -> float | None:
        """Return the median in seconds; None before enough delays are known."""
        return float(np.nanmedian(self._delays)) if self._count >= 20 else None
