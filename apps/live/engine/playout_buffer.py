"""The far end of the queue between two devices: what the callback of the output plays, also when nothing has come.

A gap is faded into and out of. It ends when the queue is as long as wanted again: whether the sound that was missed is
late or lost, the delay is then the same as before.
"""

from time import perf_counter

import numpy as np

from apps.live.engine.ring_buffer import Ring

_FADE = 0.005  # seconds


class PlayoutBuffer:
    """Plays from a ring.

    Args:
        channels: of the ring and of the output.
        sample_rate: Hz.
        capacity_seconds: of the ring.
        wanted: frames that have to wait in the ring before the first is played.

    Attributes:
        ring: filled by the other side.
        wanted: as given; may be changed.
        gaps: times that the ring ran dry.
        silent: frames of the gaps.
        playing: False at first, after a gap, and when set so: it then falls silent, waits for the wanted number of
            frames, and drops what is more.
    """

    def __init__(self, channels: int, sample_rate: int, capacity_seconds: float, wanted: int) -> None:
        self.ring = Ring(channels, round(capacity_seconds * sample_rate))
        self.wanted = wanted
        self.gaps = self.silent = 0
        self.playing = self._in_gap = False
        self._rate = sample_rate
        self._stamp = np.zeros(2)  # when the callback came, and how many frames it had taken then
        self._rise = np.linspace(0, 1, round(_FADE * sample_rate), dtype=np.float32)[:, None]
        self._fall = self._rise[::-1].copy()
        self._last = np.zeros((1, channels), np.float32)
        self._fallen = len(self._fall)  # frames of the fall that have been played; all of them is silence

    def play(self, out: np.ndarray) -> None:
        """Fill float32 [frames, channels]; called by the callback."""
        ready = self._ready()
        got = self.ring.read(out) if ready else 0
        self._stamp[:] = perf_counter(), self.ring.taken
        if got:
            if self._fallen:
                fade = min(got, len(self._rise))
                out[:fade] *= self._rise[:fade]
                self._fallen = 0
            self._last[0] = out[got - 1]
        if got == len(out):
            return
        if ready:
            self.gaps += 1
            self.playing, self._in_gap = False, True
        if self._in_gap:
            self.silent += len(out) - got
        self._fall_silent(out[got:])

    def waiting(self) -> float:
        """Return the frames in the ring, as if they left it one by one: the time since the last callback is counted."""
        since = min(perf_counter() - self._stamp[0], 0.1)
        return self.ring.written - self._stamp[1] - since * self._rate

    def _ready(self) -> bool:
        """Return whether there is sound to play; drops what has waited too long."""
        if self.playing:
            return True
        excess = len(self.ring) - self.wanted
        if self._fallen < len(self._fall) or excess < 0:
            return False
        self.ring.taken += excess
        self.playing, self._in_gap = True, False
        return True

    def _fall_silent(self, rest: np.ndarray) -> None:
        fall = self._fall[self._fallen : self._fallen + len(rest)]
        rest[: len(fall)] = fall * self._last
        rest[len(fall) :] = 0
        self._fallen += len(fall)
