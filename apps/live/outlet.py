"""The far end of the queue between two devices: what the callback of the output plays, also when nothing has come.

A gap is faded into and out of, and remembered: the worker drops as much as was missed, or the delay would grow.
"""

from time import perf_counter

import numpy as np

from apps.live.ring import Ring

_FADE = 0.005  # seconds


class Outlet:
    """Plays from a ring.

    Args:
        channels: of the ring and of the output.
        sample_rate: Hz.
        capacity_seconds: of the ring.
        wanted: frames that have to wait in the ring before the first is played.

    Attributes:
        ring: filled by the other side.
        gaps: times that the ring ran dry.
        missed: frames that were missing then.
        playing: False at first and when set so: it then waits for the wanted number of frames, and drops what is more.
    """

    def __init__(self, channels: int, sample_rate: int, capacity_seconds: float, wanted: int) -> None:
        self.ring = Ring(channels, round(capacity_seconds * sample_rate))
        self.wanted = wanted
        self.gaps = self.missed = 0
        self.playing = False
        self._rate = sample_rate
        self._stamp = np.zeros(2)  # when the callback came, and how many frames it had taken then
        self._rise = np.linspace(0, 1, round(_FADE * sample_rate), dtype=np.float32)[:, None]
        self._fall = self._rise[::-1].copy()
        self._last = np.zeros((1, channels), np.float32)
        self._silent = True

    def play(self, out: np.ndarray) -> None:
        """Fill float32 [frames, channels]; called by the callback."""
        if not self.playing:
            excess = len(self.ring) - self.wanted
            self._silent = True
            if excess < 0:
                out[:] = 0
                return
            self.ring.taken += excess
            self.playing = True
        got = self.ring.read(out)
        self._stamp[0] = perf_counter()
        self._stamp[1] = self.ring.taken
        if self._silent and got:
            fade = min(got, len(self._rise))
            out[:fade] *= self._rise[:fade]
            self._silent = False
        if got == len(out):
            self._last[0] = out[-1]
            return
        self.gaps += 1
        self.missed += len(out) - got
        if got:
            self._last[0] = out[got - 1]
        rest = out[got:]
        rest[:] = 0
        fade = min(len(rest), len(self._fall))
        rest[:fade] = self._fall[:fade] * self._last
        self._last[0] = 0
        self._silent = True

    def waiting(self) -> float:
        """Frames in the ring now, as if they left it one by one: the time since the last callback is counted."""
        since = min(perf_counter() - self._stamp[0], 0.1)
        return self.ring.written - self._stamp[1] - since * self._rate
