"""A model run over hops as they come: at once, or, of a model that hears ahead, by blocks of a fixed size.

The blocks of a signal begin at its first hop, so that the result does not depend on how the hops came. A block is
denoised when the hops behind it that the model looks at are there. The last one may be shorter, and its mirror image
follows it: a background that stopped would be heard backwards as well, and more noise left before it.
"""

from collections.abc import Iterator
from typing import Protocol

import numpy as np

from enhance.dsp.audio_fifo import AudioFifo
from enhance.runtime.metadata import ModelInfo

Pair = tuple[np.ndarray, np.ndarray]


class Model(Protocol):
    """A model as a stream uses it; `enhance.Denoiser` is one."""

    @property
    def info(self) -> ModelInfo: ...

    def initial_state(self, channels: int = 1) -> np.ndarray: ...

    def step(self, block: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]: ...


class BlockRunner:
    """Carries a model's state, and the hops that wait for those behind them.

    Args:
        model: the model.
        channels: number of channels.
    """

    def __init__(self, model: Model, channels: int) -> None:
        self._model, self._channels = model, channels
        self._waiting = AudioFifo(channels)
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self._waiting.clear()
        self._state = self._model.initial_state(self._channels)

    def process(self, hops: np.ndarray) -> Iterator[Pair]:
        """Denoise what is ready.

        Args:
            hops: [channels, a multiple of the hop], also none.

        Yields:
            Samples that were denoised, and their estimate, late by `info.latency`: [channels, samples] each.
        """
        info = self._model.info
        if not info.block:
            if hops.shape[1]:
                yield self._denoised(hops, hops.shape[1])
            return
        self._waiting.push(hops)
        while len(self._waiting) >= (info.block + info.ahead) * info.hop:
            yield self._denoised(self._waiting.peek((info.block + info.ahead) * info.hop), info.block * info.hop)

    def finish(self) -> Iterator[Pair]:
        """Denoise what waits, before its mirror image; yields as `process` does."""
        info = self._model.info
        ahead = info.ahead * info.hop
        while samples := min(len(self._waiting), info.block * info.hop):
            seen = self._waiting.peek(min(len(self._waiting), samples + ahead))
            missing = samples + ahead - seen.shape[1]
            yield self._denoised(np.pad(seen, ((0, 0), (0, missing)), mode="symmetric"), samples)

    def _denoised(self, audio: np.ndarray, samples: int) -> Pair:
        estimate, self._state = self._model.step(audio, self._state)
        if len(self._waiting):
            self._waiting.drop(samples)
        return audio[:, :samples], estimate
