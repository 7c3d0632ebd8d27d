"""The streams of PortAudio and their callbacks: one duplex stream on one device, or two streams on two devices.

The network runs in the callback that brings the sound. The alternative, a worker thread behind two ring buffers, was
measured to be less steady at the same delay (`python -m apps.live.diagnostics.callback_or_worker`): a device calls late
and then several times at once, and only work inside the callback is sure to be done before the next call.
"""

from time import perf_counter, sleep
from typing import Any, Protocol

import numpy as np

from apps.live.devices import portaudio
from apps.live.devices.endpoints import DeviceProblem, Endpoint, mixed, one_stream, open_stream, start_stream
from apps.live.engine.drift_resampler import HELD_BACK
from apps.live.engine.latency import Latency, Policy, Stamps
from apps.live.engine.lost_sound import LostSound
from apps.live.engine.playback import DriftCompensatedOutput
from apps.live.engine.thread_priority import raise_thread_priority
from apps.live.engine.wake_input import input_awake

BLOCKS_PER_SECOND = 100  # a block of 10 ms is a hop of the network
_LIVES, _PATIENCE = 25, 3.0  # calls after which a duplex stream has started, and seconds that it may take
_GROWN = 0.25  # seconds beyond the delay at first after which it is time to open the device anew
_NEAR = 0.9  # share of the buffering that was aimed at with which a duplex stream is not opened anew


class Path(Protocol):
    """Declare what a link needs of `BlockProcessor`."""

    sample_rate: int
    channels: int
    block: int
    latency_samples: int

    def process(self, frames: np.ndarray) -> np.ndarray: ...


class Link:
    """Share what both kinds of link have in common. The sound runs from the construction to `close`.

    Args:
        path: what happens to the sound.

    Attributes:
        path: as given.
        calls: of the callback that brings sound.
        called: when it came last, by `perf_counter`.
        lost_in: sound that the microphone's side has lost.
        lost_out: silence that was heard because nothing came.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.calls = 0
        self.called = perf_counter()
        self._flags = 0
        self._forgiven = 0
        self._stamps = Stamps()
        self._at_first: float | None = None  # delay in seconds, when the start was over
        self._streams: list[Any] = []
        self.lost_in, self.lost_out = LostSound(path.sample_rate), LostSound(path.sample_rate)

    @property
    def xruns(self) -> int:
        """Calls in which PortAudio said that sound was lost, and gaps between two devices."""
        return self._troubles() - self._forgiven

    @property
    def active(self) -> bool:
        """False when the system has ended a stream: its device is gone."""
        return all(stream.active for stream in self._streams)

    @property
    def stalled(self) -> float:
        """Seconds since the last call, of the side that is silent for longest."""
        return perf_counter() - self.called

    def close(self) -> None:
        """Stop at once. The callbacks are not called any more when this returns.

        Raises:
            StuckError: when the system does not let go of a stream.
        """
        streams, self._streams = self._streams, []
        portaudio.close(*streams)

    def _open(self, latency: str | float, source: Endpoint | None, target: Endpoint | None) -> None:
        """Open a stream and start it."""
        stream = open_stream(self.path.sample_rate, self.path.block, latency, self._call, source, target)
        self._start(stream)

    def _start(self, stream: Any) -> None:
        self._streams.append(stream)
        try:
            start_stream(stream)
        except DeviceProblem:
            self.close()
            raise

    def settle(self) -> None:
        """Forget the troubles of starting."""
        self._forgiven = self._troubles()
        self._at_first = self._stamps.median()
        self.lost_in.forget()
        self.lost_out.forget()

    @property
    def silence(self) -> float:
        """Seconds of silence that were heard because nothing came."""
        return self.lost_out.seconds

    @property
    def grown(self) -> bool:
        """Whether the delay is much longer than at first: a system that was busy keeps what came meanwhile."""
        now = self._stamps.median()
        return self._at_first is not None and now is not None and now - self._at_first > _GROWN

    @property
    def algorithm(self) -> float:
        """Seconds of the network, resampling and a block, which the device fills: no part of the device's delay."""
        return (self.path.latency_samples + self.path.block) / self.path.sample_rate

    def latency(self) -> Latency:
        """Return the delay by its parts."""
        path = self.path
        reported = sum(float(np.sum(stream.latency)) for stream in self._streams)
        device = max(0.0, reported - path.block / path.sample_rate)
        return Latency(self.algorithm, self._buffer(), device, self._stamps.median())

    def _buffer(self) -> float:
        return 0.0

    def _troubles(self) -> int:
        return self._flags

    def _age(self, frames: int, time: Any) -> float:
        """Return the seconds since a block's first frame was heard: as the system says, but no less than the block."""
        return max(time.currentTime - time.inputBufferAdcTime, frames / self.path.sample_rate)

    def _note_call(self, status: Any) -> None:
        self.called = perf_counter()
        if not self.calls:
            raise_thread_priority()
        self.calls += 1
        if status:
            self._flags += 1

    def _call(self, *_: Any) -> None:
        raise NotImplementedError


class DuplexLink(Link):
    """One stream for both directions, with one clock: what comes in goes out in the same call.

    Args:
        path: what happens to the sound.
        source, target: the two sides; of one device, or of two that share a clock.
        policy: how much the device may buffer.

    Raises:
        DeviceProblem: when the device cannot be opened.
    """

    def __init__(self, path: Path, source: Endpoint, target: Endpoint, policy: Policy) -> None:
        super().__init__(path)
        policy = policy.split(self.algorithm, 2)
        self._run(policy.device, source, target)
        heard = self._stamps.median()
        if policy.aim is None or heard is None or not self.active:
            return
        wanted, found = policy.aim - self.algorithm, heard - self.algorithm
        if 0 < found < _NEAR * wanted:  # many systems empty the input's buffer at once, so that it delays nothing
            self.close()
            self.calls = self._flags = 0
            self._stamps = Stamps()
            self._run(wanted * min(0.5 * wanted / found, 1.0), source, target)

    def _run(self, latency: str | float, source: Endpoint, target: Endpoint) -> None:
        """Open and start, and wait until it has called some times."""
        path = self.path
        with input_awake(source, path.sample_rate, path.block, latency) as let_go:
            try:
                self._open(latency, source, target)
            except DeviceProblem:
                if not let_go():
                    raise
                self._open(latency, source, target)
            deadline = perf_counter() + _PATIENCE
            while self.active and self.calls < _LIVES and perf_counter() < deadline:
                sleep(0.01)

    def _call(self, given: np.ndarray, out: np.ndarray, frames: int, time: Any, status: Any) -> None:
        self._note_call(status)
        out[:] = mixed(self.path.process(given), out.shape[1])
        self.lost_in.note(time.inputBufferAdcTime, frames)
        self.lost_out.note(time.outputBufferDacTime, frames)
        ahead = time.outputBufferDacTime - time.currentTime
        self._stamps.note(ahead + self._age(frames, time) + self.path.latency_samples / self.path.sample_rate)


class PairLink(Link):
    """Two streams on devices of their own clocks.

    Args:
        path: what happens to the sound.
        source, target: the two sides.
        policy: how much the devices and the queue may buffer.
        one_clock: the devices have one clock, and only cannot share a stream.

    Attributes:
        feed: the output.

    Raises:
        DeviceProblem: when a device cannot be opened.
    """

    def __init__(self, path: Path, source: Endpoint, target: Endpoint, policy: Policy, one_clock: bool = False) -> None:
        super().__init__(path)
        policy = policy.split(self.algorithm + HELD_BACK / path.sample_rate, 3)
        self.feed = DriftCompensatedOutput(path.sample_rate, path.block, path.channels, target, policy, one_clock)
        self._start(self.feed.stream)
        try:
            self._open(policy.device, source, None)
        except DeviceProblem:
            self.close()
            raise

    @property
    def stalled(self) -> float:
        return max(super().stalled, self.feed.stalled)

    def settle(self) -> None:
        super().settle()
        self.feed.settle()

    @property
    def silence(self) -> float:
        return self.feed.silence

    def _call(self, given: np.ndarray, frames: int, time: Any, status: Any) -> None:
        self._note_call(status)
        self.lost_in.note(time.inputBufferAdcTime, frames)
        heard = self.feed.bring(self.path.process(given))
        behind = self._age(frames, time) + (self.path.latency_samples - frames) / self.path.sample_rate
        self._stamps.note(heard - self.called + behind)

    def _buffer(self) -> float:
        return self.feed.buffer

    def _troubles(self) -> int:
        return self._flags + self.feed.flags + self.feed.outlet.gaps


def make_link(path: Path, source: Endpoint, target: Endpoint, policy: Policy, shared_clock: bool = False) -> Link:
    """Open the right kind of link for two sides.

    Args:
        path: what happens to the sound.
        source, target: the two sides.
        policy: how much may be buffered.
        shared_clock: treat different devices as if they had one clock.

    Raises:
        DeviceProblem: when a device cannot be opened.
    """
    if (shared_clock or source.device == target.device) and one_stream(source, target):
        duplex = DuplexLink(path, source, target, policy)
        if duplex.active:
            return duplex
        duplex.close()  # PortAudio ends duplex streams to sound servers that resample; two streams it does not
    return PairLink(path, source, target, policy)  # its queue is kept short by what mends drift, shared clock or not
