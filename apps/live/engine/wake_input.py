"""An input that sleeps takes a second to wake, and then brings what it had stored: a delay that stays for ever.

A duplex stream cannot drop it, as it takes as many frames as it gives. Sound servers let a device be opened twice, so
the input is woken by a stream of its own first, which ends when the real one runs. A bare device of ALSA lets itself be
opened once; the first stream then has to go before the real one comes.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from apps.live.devices import portaudio
from apps.live.devices.endpoints import DeviceProblem, Endpoint, open_stream

_SERVERS = ("ALSA", "sound server")  # host APIs behind which there may be a server
_PATIENCE = 3.0  # seconds
_STEADY = 30  # calls in a row, each no sooner than half a block after the one before


@contextmanager
def input_awake(source: Endpoint, sample_rate: int, block: int, latency: str | float) -> Iterator[Callable[[], bool]]:
    """Keep the input awake inside the block; yield a function that ends that sooner, and says whether it was held."""
    if source.device.host_api not in _SERVERS:
        yield lambda: False
        return
    sounddevice = portaudio.load()
    steady, called = 0, time.perf_counter()

    def call(_given: Any, frames: int, _time: Any, _status: Any) -> None:
        nonlocal steady, called
        now = time.perf_counter()
        steady = steady + 1 if now - called > 0.5 * frames / sample_rate else 0
        called = now

    try:
        stream = open_stream(sample_rate, block, latency, call, source, None)
    except DeviceProblem:
        yield lambda: False
        return

    held = [stream]

    def let_go() -> bool:
        if not held:
            return False
        portaudio.close(held.pop())
        return True

    try:
        with portaudio.quiet(), suppress(sounddevice.PortAudioError):
            stream.start()
        deadline = time.perf_counter() + _PATIENCE
        while stream.active and steady < _STEADY and time.perf_counter() < deadline:
            time.sleep(0.02)
        yield let_go
    finally:
        let_go()
