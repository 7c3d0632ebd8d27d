"""An output with a clock of its own: a stream of PortAudio behind a queue whose length is kept by resampling."""

from time import perf_counter
from typing import Any

import numpy as np

from apps.live.devices import portaudio
from apps.live.devices.endpoints import Endpoint, mixed, open_stream
from apps.live.engine.drift_resampler import HELD_BACK, DriftResampler
from apps.live.engine.latency import Policy
from apps.live.engine.lost_sound import LostSound
from apps.live.engine.playout_buffer import PlayoutBuffer
from apps.live.engine.thread_priority import raise_thread_priority

_CAPACITY = 2.0  # seconds of the queue
_FIRST_MORE, _MOST_MORE, _MOST_SLACK = 0.001, 0.004, 0.2  # seconds added to the queue after a gap, and when that ends
_CALM, _EASE = 300.0, 50e-6  # seconds without a gap after which slack is given up again, and how much in a second
_TOO_LONG = 0.1  # seconds; what the queue is longer than wanted is then dropped at once


class DriftCompensatedOutput:
    """Plays what another device's callback brings.

    Args:
        sample_rate: of the sound and of the output, Hz.
        block: frames that come at a time.
        channels: of the sound that comes.
        target: where it goes.
        policy: how much the device and the queue may buffer.
        one_clock: the output has the clock of the device that brings the sound, so there is no drift.

    Attributes:
        slack: seconds that the sound waits on top of a block; grows after a gap, shrinks when there is none for long.
        drift: the resampling.
        outlet: the queue.
        flags: calls in which PortAudio said that sound was lost.
        stream: of PortAudio, not started.

    Raises:
        DeviceProblem: when the output cannot be opened.
    """

    def __init__(
        self,
        sample_rate: int,
        block: int,
        channels: int,
        target: Endpoint,
        policy: Policy,
        one_clock: bool = False,
    ) -> None:
        self.slack = self._least = policy.slack
        self.drift = DriftResampler(min(channels, target.channels))
        self.outlet = PlayoutBuffer(target.channels, sample_rate, _CAPACITY, 0)
        self.flags = 0
        self._lost = LostSound(sample_rate)  # by the output device, behind the queue
        self._hurried, self._drifts = False, not one_clock
        self._rate, self._block, self._channels = sample_rate, block, target.channels
        self._gaps, self._calm = 0, 0.0
        # When the output called last, how far ahead it plays, frames taken before.
        self._played = np.array([perf_counter(), 0, 0])
        self._adapt(0.0)
        self.stream = open_stream(sample_rate, block, policy.device, self._play, None, target)

    @property
    def buffer(self) -> float:
        """Seconds that the sound spends here on purpose."""
        return self.slack + HELD_BACK / self._rate

    @property
    def silence(self) -> float:
        """Seconds of silence that were heard because nothing came."""
        return self._lost.seconds + self.outlet.silent / self._rate

    @property
    def active(self) -> bool:
        """False when the system has ended the stream: the device is gone."""
        return self.stream.active

    @property
    def stalled(self) -> float:
        """Seconds since the output has called."""
        return perf_counter() - self._played[0]

    def bring(self, frames: np.ndarray) -> float:
        """Take float32 [frames, channels]. Returns when the last frame will be heard, by `perf_counter`, or nan."""
        outlet, elapsed = self.outlet, len(frames) / self._rate
        self._adapt(elapsed)
        outlet.ring.write(self.drift.process(mixed(frames, self._channels)))
        if not outlet.playing:
            self.drift.forget()
            return float("nan")
        wanted = self._block + self.slack * self._rate
        error = (outlet.waiting() - wanted) / self._rate
        if error > _TOO_LONG:
            outlet.playing = False
        if self._drifts:
            self.drift.correct(error, elapsed)
        called, ahead, taken = self._played
        return called + ahead + (outlet.ring.written - taken + HELD_BACK) / self._rate

    def settle(self) -> None:
        """Forget the gaps of starting, and fill the queue anew."""
        self._gaps, self.slack = self.outlet.gaps, self._least
        self._lost.forget()
        self.outlet.silent = 0
        self.outlet.playing = False

    def close(self) -> None:
        """Stop at once."""
        portaudio.close(self.stream)

    def _play(self, out: np.ndarray, frames: int, time: Any, status: Any) -> None:
        if not self._hurried:
            raise_thread_priority()
            self._hurried = True
        if status:
            self.flags += 1
        self._lost.note(time.outputBufferDacTime, frames)
        taken = self.outlet.ring.taken
        self.outlet.play(out)
        self._played[:] = perf_counter(), time.outputBufferDacTime - time.currentTime, taken

    def _adapt(self, elapsed: float) -> None:
        """Wait longer after a gap, and by and by less when there has been none."""
        if self.outlet.gaps != self._gaps:
            self._gaps, self._calm = self.outlet.gaps, 0.0
            if self.slack < _MOST_SLACK:  # one gap may be chance, several are not
                self.slack += min(_FIRST_MORE + self.slack - self._least, _MOST_MORE)
        else:
            self._calm += elapsed
            if self._calm > _CALM:
                self.slack = max(self._least, self.slack - _EASE * elapsed)
        self.outlet.wanted = round(self.slack * self._rate) + 3 * self._block // 2
