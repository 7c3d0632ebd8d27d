"""A signal on its way to the model: resampled to its rate, cut into whole hops, and without its offset.

    block -> resample to the model -> whole hops -> take DC away

An offset (DC) is no speech, the network was not trained with it, and it costs up to 8 dB SI-SDR. It is taken away hop
by hop (`enhance.dsp.dc_blocker`), which needs no more delay than the wait for the hop does. What the resampler makes of
ones goes along as one more channel: that is the shape of an offset at the ends of a signal.
"""

from __future__ import annotations

import numpy as np

from enhance.dsp.audio_fifo import AudioFifo
from enhance.dsp.dc_blocker import DcBlocker
from enhance.dsp.polyphase import Polyphase
from enhance.dsp.resampling import Resampler

SETTLED_SECONDS = 0.1  # behind this, a live resampler makes ones of ones


class ModelInput:
    """Takes blocks of any size at the stream's rate and returns whole hops at the model's.

    Args:
        sample_rate: of the stream, Hz.
        model_rate: of the model, Hz.
        hop: of the model, samples.
        channels: number of channels.
        live: whether to resample with a short delay (`Polyphase`) or as for files (`Resampler`).
    """

    def __init__(self, sample_rate: int, model_rate: int, hop: int, channels: int, live: bool) -> None:
        self._hop = hop
        self._channels = channels
        kind = Polyphase if live else Resampler
        resampled = sample_rate != model_rate
        self._resampler = kind(sample_rate, model_rate, channels) if resampled else None
        self._ones = kind(sample_rate, model_rate) if resampled else None
        self._settled = round(SETTLED_SECONDS * sample_rate) if live else None
        self._dc_blocker = DcBlocker(model_rate, hop, channels)
        self._waiting = AudioFifo(channels + 1)  # for a whole hop; the last channel is the offset's shape
        self.reset()

    @property
    def held_back(self) -> int:
        """Samples that wait in the resampler of a live stream, at the stream's rate."""
        return self._resampler.half if isinstance(self._resampler, Polyphase) else 0

    def process(self, block: np.ndarray) -> np.ndarray:
        """Return the hops that float32 [channels, samples] makes ready: float32 [channels, n * hop]."""
        ones = np.ones((1, block.shape[1]), np.float32)
        if self._resampler is None or self._ones is None:
            return self._push(block, ones)
        resampled = self._resampler.process(block)
        present = np.ones((1, resampled.shape[1]), np.float32) if self._is_settled else self._ones.process(ones)
        self._taken += block.shape[1]
        return self._push(resampled, present)

    def flush(self, silence: int) -> np.ndarray:
        """End the signal and return the rest of it, with so many samples of silence behind it, in whole hops."""
        rest, present = np.zeros((self._channels, 0), np.float32), np.zeros((1, 0), np.float32)
        if self._resampler is not None and self._ones is not None:
            rest = self._resampler.flush()
            present = np.ones((1, rest.shape[1]), np.float32) if self._is_settled else self._ones.flush()
        return self._push(np.pad(rest, ((0, 0), (0, silence))), np.pad(present, ((0, 0), (0, silence))))

    def reset(self, silence: int = 0) -> None:
        """Begin a new signal, with so many samples of silence before it, at the model's rate."""
        self._taken = 0
        self._waiting.clear()
        self._dc_blocker.reset()
        for resampler in (self._resampler, self._ones):
            if resampler is not None:
                resampler.reset()
        self._waiting.push(np.zeros((self._channels + 1, silence), np.float32))

    @property
    def _is_settled(self) -> bool:
        return self._settled is not None and self._taken > self._settled

    def _push(self, block: np.ndarray, present: np.ndarray) -> np.ndarray:
        self._waiting.push(np.concatenate([block, present]))
        samples = len(self._waiting) // self._hop * self._hop
        if not samples:
            return np.zeros((self._channels, 0), np.float32)
        hops = self._waiting.pop(samples)
        return self._dc_blocker.process(hops[:-1], hops[-1])
