"""An output with a clock of its own: a stream of PortAudio behind a queue whose length is kept by resampling."""

from time import perf_counter
from typing import Any

import numpy as np

from apps.live import portaudio
from apps.live.drift import HELD_BACK, Drift
from apps.live.latency import Policy
from apps.live.outlet import Outlet
from apps.live.sides import Side, open_stream

_CAPACITY = 2.0  # seconds of the queue
_MORE_SLACK, _MOST_SLACK = 0.005, 0.2  # seconds added to the queue after a gap, and when that ends
_TOO_LONG = 0.1  # seconds; what the queue is longer than wanted is then dropped at once


class Feed:
    """Plays what another device's callback brings.

    Args:
        sample_rate: of the sound and of the output, Hz.
        block: frames that come at a time.
        channels: of the sound that comes.
        target: where it goes.
        policy: how much the device and the queue may buffer.

    Attributes:
        slack: seconds that the sound waits on top of a block; grows after a gap.
        drift: the resampling.
        outlet: the queue.
        flags: calls in which PortAudio said that sound was lost.
        stream: of PortAudio, not started.

    Raises:
        DeviceProblem: when the output cannot be opened.
    """

    def __init__(self, sample_rate: int, block: int, channels: int, target: Side, policy: Policy) -> None:
        self.slack = policy.slack
        self.drift = Drift(channels)
        self.outlet = Outlet(
            target.channels, sample_rate, _CAPACITY, round(policy.slack * sample_rate) + 3 * block // 2
        )
        self.flags = 0
        self._rate, self._block = sample_rate, block
        self._gaps = self._dropped = 0
        self._played = np.zeros(3)  # when the output called last, how far ahead it plays, frames taken before
        self.stream = open_stream(sample_rate, block, policy.device, self._play, None, target)

    @property
    def buffer(self) -> float:
        """Seconds that the sound spends here on purpose."""
        return self.slack + HELD_BACK / self._rate

    def bring(self, frames: np.ndarray) -> float:
        """Take float32 [frames, channels]. Returns when the last frame will be heard, by `perf_counter`, or nan."""
        outlet = self.outlet
        outlet.ring.write(self._without_late(self.drift.process(frames)))
        if not outlet.playing:
            return float("nan")
        wanted = self._block + self.slack * self._rate
        error = (outlet.waiting() - wanted) / self._rate
        if error > _TOO_LONG:
            outlet.playing = False
        self.drift.correct(error, self._block, len(frames) / self._rate)
        called, ahead, taken = self._played
        return called + ahead + (outlet.ring.written - taken + HELD_BACK) / self._rate

    def close(self) -> None:
        """Stop at once."""
        with portaudio.quiet():
            self.stream.abort()
            self.stream.close()

    def _play(self, out: np.ndarray, frames: int, time: Any, status: Any) -> None:
        if status:
            self.flags += 1
        taken = self.outlet.ring.taken
        self.outlet.play(out)
        self._played[:] = perf_counter(), time.outputBufferDacTime - time.currentTime, taken

    def _without_late(self, sound: np.ndarray) -> np.ndarray:
        """Drop what should have been played during a gap, but for a little: the queue was too short."""
        outlet = self.outlet
        if outlet.gaps != self._gaps:
            self._gaps = outlet.gaps
            if self.slack < _MOST_SLACK:
                self.slack += _MORE_SLACK
                self._dropped += round(_MORE_SLACK * self._rate)
        late = outlet.missed - outlet.ring.lost - self._dropped
        if late <= 0:
            return sound
        count = min(late, len(sound))
        self._dropped += count
        return sound[count:]
