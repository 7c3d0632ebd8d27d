"""A comparison: the network in the callback of the device, or in a worker thread behind two rings.

    python -m apps.live.diagnostics.callback_or_worker --input NAME --output NAME

Both ways run in turn on the same device with the same policy, while other processes keep all cores busy and a thread
like the screen's takes the interpreter now and then. The worker gets `--slack` milliseconds more delay. Counted are the
blocks that were not there when they had to be played, and what PortAudio calls lost.
"""

import argparse
import subprocess
import sys
import threading
import time
from typing import Any

import numpy as np

from apps.live.devices import portaudio
from apps.live.devices.devices import INPUT, OUTPUT, choose
from apps.live.devices.endpoints import Endpoint
from apps.live.engine.block_processor import BlockProcessor, Controls
from apps.live.engine.latency import parse
from apps.live.engine.ring_buffer import Ring
from apps.live.engine.streams import DuplexLink
from enhance import Denoiser
from enhance.runtime.adaptive import AdaptiveModel
from enhance.utils.errors import FileError

_RATE, _BLOCK = 48_000, 480
_SETTLE = 1.5  # seconds
_BUSY, _PAUSE = 0.01, 0.09  # seconds that the other thread takes, and rests


class InCallback:
    """The network runs in the callback. `missing` counts blocks that did not come; here none can."""

    sample_rate, channels, block = _RATE, 1, _BLOCK

    def __init__(self, path: BlockProcessor) -> None:
        self.latency_samples = path.latency_samples
        self.missing = 0
        self._path = path

    def process(self, frames: np.ndarray) -> np.ndarray:
        """Send one block through the network."""
        return self._path.process(frames)

    def close(self) -> None:
        """Do nothing: no thread runs beside."""


class InWorker:
    """The network runs in a thread; the callback only copies.

    Args:
        path: the network.
        slack: frames that wait before the callback.
    """

    sample_rate, channels, block = _RATE, 1, _BLOCK

    def __init__(self, path: BlockProcessor, slack: int) -> None:
        self.latency_samples = path.latency_samples + slack
        self.missing = 0
        self._path = path
        self._given, self._done = Ring(1, _RATE), Ring(1, _RATE)
        self._done.write(np.zeros((slack, 1), np.float32))
        self._out = np.zeros((_BLOCK, 1), np.float32)
        self._wake = threading.Lock()
        self._wake.acquire()
        self._running = True
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def process(self, frames: np.ndarray) -> np.ndarray:
        """Hand one block over, take one that is ready, or silence."""
        self._given.write(frames)
        if self._wake.locked():
            self._wake.release()
        if self._done.read(self._out) < _BLOCK:
            self._out[:] = 0
            self.missing += 1
        return self._out

    def close(self) -> None:
        """End the thread."""
        self._running = False
        self._thread.join()

    def _work(self) -> None:
        block, late = np.zeros((_BLOCK, 1), np.float32), 0
        while self._running:
            self._wake.acquire(timeout=0.1)
            while len(self._given) >= _BLOCK:
                self._given.read(block)
                sound = self._path.process(block)
                if late < self.missing:  # its time has passed
                    late += 1
                else:
                    self._done.write(sound)


def main(argv: list[str] | None = None) -> int:
    """Measure both ways and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--input", help="microphone, name or part of it")
    parser.add_argument("--output", help="where it is played")
    parser.add_argument("--latency", default="low", help="low, safe or seconds")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each way")
    parser.add_argument("--slack", type=float, default=10.0, help="ms of delay more for the worker")
    parser.add_argument("--hogs", type=int, default=2, help="processes that keep cores busy")
    options = parser.parse_args(argv)
    try:
        with portaudio.quiet():
            _compare(options)
    except FileError as problem:
        print(f"mpeace: {problem}", file=sys.stderr)
        return 1
    return 0


def _compare(options: argparse.Namespace) -> None:
    source = Endpoint(choose(options.input, INPUT), INPUT, 1)
    target = Endpoint(choose(options.output, OUTPUT), OUTPUT, 1)
    denoiser = Denoiser()
    slack = round(options.slack * _RATE / 1000)
    sys.setswitchinterval(0.0005)
    hogs = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(options.hogs)]
    resting = threading.Event()
    threading.Thread(target=_take_turns, args=(resting,), daemon=True).start()
    try:
        for name in ("in the callback", f"in a worker, {options.slack:g} ms later"):
            path = BlockProcessor(AdaptiveModel([denoiser], allowance=60), _RATE, 1, _BLOCK, Controls())
            way = InCallback(path) if name == "in the callback" else InWorker(path, slack)
            link = DuplexLink(way, source, target, parse(options.latency))
            time.sleep(_SETTLE)
            link.settle()
            calls, missing = link.calls, way.missing
            time.sleep(options.seconds)
            print(
                f"{name}: {link.calls - calls} blocks, {way.missing - missing} missing, {link.xruns} xruns, "
                f"p99 of the network {1000 * np.percentile(path.times(), 99):.2f} ms"
            )
            link.close()
            way.close()
    finally:
        resting.set()
        for hog in hogs:
            hog.kill()
            hog.wait()


def _take_turns(ending: Any) -> None:
    while not ending.wait(_PAUSE):
        end = time.perf_counter() + _BUSY
        while time.perf_counter() < end:
            pass


if __name__ == "__main__":
    sys.exit(main())
