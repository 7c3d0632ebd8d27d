"""A test signal through real devices: what is played, and what comes back, counted in samples."""

import numpy as np

from apps.live.engine.block_processor import BlockProcessor


class Probe:
    """Stands where a link expects the sound path: plays a signal once and records the input meanwhile.

    Args:
        signal: to play, float32 [samples]; silence follows.
        sample_rate: Hz.
        block: frames in a block.
        network: denoises the signal block by block before it is played, as if it came from the microphone.

    Attributes:
        heard: the input, float32 [samples], zeros where nothing has come yet.
        place: samples so far.
    """

    def __init__(self, signal: np.ndarray, sample_rate: int, block: int, network: BlockProcessor | None = None) -> None:
        self.sample_rate, self.block, self.channels = sample_rate, block, 1
        self.latency_samples = 0
        blocks = -(-len(signal) // block)
        self._signal = np.zeros((blocks * block, 1), np.float32)
        self._signal[: len(signal), 0] = signal
        self._silence = np.zeros((block, 1), np.float32)
        self._network = network
        self.heard = np.zeros(blocks * block, np.float32)
        self.place = 0

    @property
    def done(self) -> bool:
        """True when the signal has been played, and as much was heard."""
        return self.place >= len(self.heard)

    def process(self, frames: np.ndarray) -> np.ndarray:
        """Take a block of the input, give the next block of the signal."""
        if self.done:
            return self._silence
        begin, end = self.place, self.place + self.block
        self.heard[begin:end] = frames[:, 0]
        self.place = end
        sound = self._signal[begin:end]
        return sound if self._network is None else self._network.process(sound)
