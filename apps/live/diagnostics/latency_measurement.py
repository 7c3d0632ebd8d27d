"""`mpeace live --measure`: the delay of the devices by ear, through a cable from output to input or across the desk.

Short bursts of noise are played once a second and looked for in the input by cross-correlation. What is found is the
time through both sides of the device; the network adds its part, which is known exactly.
"""

import sys
import time
from dataclasses import dataclass

import numpy as np

from apps.live.devices import devices, portaudio
from apps.live.devices.devices import INPUT, OUTPUT
from apps.live.devices.endpoints import common_rate
from apps.live.diagnostics.loopback_probe import Probe
from apps.live.engine.latency import Latency
from apps.live.engine.streams import BLOCKS_PER_SECOND, make_link
from apps.live.session.device_watch import sides
from apps.live.session.session import LiveSettings
from enhance.runtime.adaptive import model_ladder
from enhance.utils.errors import FileError
from enhance.utils.interrupt import Stopped, Stopper

_BURSTS = 5
_BURST, _PERIOD = 0.1, 1.0  # seconds
_LEVEL = 0.1  # amplitude
_CLEAR = 8.0  # times the usual correlation that a peak must reach
_OVERSAMPLING = 4


@dataclass(frozen=True)
class RoundTrip:
    """Seconds from the output to the input: of each burst that was heard."""

    delays: tuple[float, ...]

    @property
    def median(self) -> float:
        return float(np.median(self.delays))


def bursts(sample_rate: int) -> np.ndarray:
    """Return the test signal, float32 [samples]: a second of silence, then the bursts, faded at both ends."""
    rng = np.random.default_rng(6)
    burst = rng.uniform(-1, 1, round(_BURST * sample_rate)) * np.hanning(round(_BURST * sample_rate)) * _LEVEL
    signal = np.zeros(round((_BURSTS + 1) * _PERIOD * sample_rate), np.float32)
    for number in range(_BURSTS):
        start = round((number + 1) * _PERIOD * sample_rate)
        signal[start : start + len(burst)] = burst
    return signal


def find_bursts(heard: np.ndarray, signal: np.ndarray, sample_rate: int) -> RoundTrip:
    """Find the bursts in the recording.

    Args:
        heard: float32 [samples].
        signal: of `bursts`.
        sample_rate: of both, Hz.

    Raises:
        FileError: when fewer than half of them are there.

    Example:
        >>> signal = bursts(48_000)
        >>> find_bursts(np.roll(signal, 480), signal, 48_000).median
        0.01
    """
    period, delays = round(_PERIOD * sample_rate), []
    for number in range(_BURSTS):
        start = (number + 1) * period
        window = heard[start : start + period].astype(np.float64)
        burst = signal[start : start + round(_BURST * sample_rate)].astype(np.float64)
        size = len(window) + len(burst)
        spectrum = np.fft.rfft(window, size) * np.conj(np.fft.rfft(burst, size))
        correlation = np.abs(np.fft.irfft(spectrum, size * _OVERSAMPLING)[: len(window) * _OVERSAMPLING])
        peak = int(np.argmax(correlation))
        if correlation[peak] > _CLEAR * np.sqrt(np.mean(correlation**2)):
            delays.append(peak / _OVERSAMPLING / sample_rate)
    if 2 * len(delays) < _BURSTS:
        raise FileError(
            f"{len(delays)} of {_BURSTS} bursts came back: lead the output to the input (a cable, a loopback device, "
            "or a loudspeaker beside the microphone) and turn it up"
        )
    return RoundTrip(tuple(delays))


def run_measure(settings: LiveSettings) -> int:
    """Play, listen, and print the delay by its parts. Returns the exit status.

    Raises:
        UsageError: when the devices cannot be opened.
        FileError: when nothing comes back.
    """
    with Stopper() as stopper, portaudio.quiet():
        found = devices.list_devices()
        given, out = devices.choose(settings.source, INPUT, found), devices.choose(settings.target, OUTPUT, found)
        source, target = sides(given, out, 1)
        rate = common_rate(source, target, settings.sample_rate)
        block = round(rate / BLOCKS_PER_SECOND)
        signal = bursts(rate)
        network = model_ladder(settings.model)[0].stream(rate, live_block=block)
        probe = Probe(signal, rate, block)
        print(f"{given.name} <- {out.name}, {rate} Hz: {_BURSTS} bursts of noise, one a second", file=sys.stderr)
        link = make_link(probe, source, target, settings.policy, settings.shared_clock)
        try:
            deadline = time.monotonic() + 4 * len(signal) / rate
            while not probe.done and link.active and time.monotonic() < deadline:
                stopper.check()
                time.sleep(0.05)
            reported, xruns = link.latency(), link.xruns
        except Stopped as stopped:
            return stopped.exit_status
        finally:
            link.close()
    if not probe.done:
        raise FileError("the devices stopped before the end")
    _report(
        find_bursts(probe.heard, signal, rate), reported, (network.latency_samples + block) / rate, block / rate, xruns
    )
    return 0


def _report(trip: RoundTrip, reported: Latency, algorithm: float, block: float, xruns: int) -> None:
    network = algorithm - block  # the block is filled in the loop already
    spread = 500 * (max(trip.delays) - min(trip.delays))
    device = trip.median - block - reported.buffer
    print(
        f"through the loop {1000 * trip.median:.1f} ms (+-{spread:.1f}), {len(trip.delays)} of {_BURSTS} bursts heard"
    )
    if reported.measured is not None:
        print(f"by the system's time stamps {1000 * reported.measured:.1f} ms")
    print(
        f"mpeace live: {1000 * (trip.median + network):.1f} ms = algorithm {1000 * algorithm:.1f} "
        f"+ buffer {1000 * reported.buffer:.1f} + device {1000 * device:.1f}"
    )
    if xruns:
        print(f"{xruns} xruns on the way: try --latency safe")
