"""Denoising with the lowest delay, of sound that comes in pieces of any size.

A live `Stream` is quickest in blocks of a hop, and must know their size. Here pieces of any size are gathered
into such blocks:

- `LowDelayStream` gives what is ready, aligned with the input: for pipes, whose reader takes what comes.
- `FrameStream` gives as many samples as came, at once, later by a constant delay: for programs that hand over frames.
"""

from __future__ import annotations

import math
from typing import Generic, TypeVar

import numpy as np

from enhance.dsp.audio_fifo import AudioFifo
from enhance.dsp.rate import check_sample_rate
from enhance.runtime.stream import Model, Stream, float_samples

_RAMP_SECONDS = 0.003  # of fading out and in where the delay has to grow


Inner = TypeVar("Inner", bound="Stream | LowDelayStream")


class _Around(Generic[Inner]):
    """What both have of the stream inside them."""

    _stream: Inner

    def adjust(
        self, *, attenuation_limit_db: float | None = None, mix: float = 1.0, glide_seconds: float = 0.0
    ) -> None:
        """Set the strength from the next returned sample on, as `Stream.adjust` does."""
        self._stream.adjust(attenuation_limit_db=attenuation_limit_db, mix=mix, glide_seconds=glide_seconds)

    @property
    def speech_probability(self) -> float:
        """The same as `Stream.speech_probability`."""
        return self._stream.speech_probability


class LowDelayStream(_Around["Stream"]):
    """Denoises pieces of any size; the samples out are those in, each given as soon as it is known.

    Args:
        denoiser: the model.
        sample_rate: Hz.
        channels: number of channels.
        attenuation_limit_db: the most that noise is lowered, dB >= 0; None for no limit.
        mix: share of the denoised signal from 0 to 1.

    Attributes:
        block: samples that are denoised at a time: a hop where that is a whole number of samples (10 ms), else 1.
        latency_samples: after whole blocks of n samples, n - latency_samples are out.

    Raises:
        ValueError: for a value outside its range.

    Example:
        >>> from enhance import Denoiser
        >>> stream = LowDelayStream(Denoiser(), 16_000)
        >>> stream.latency_samples, stream.process(np.zeros((1, 1000), np.float32)).shape, stream.flush().shape
        (224, (1, 736), (1, 264))
    """

    def __init__(
        self,
        denoiser: Model,
        sample_rate: int,
        channels: int = 1,
        *,
        attenuation_limit_db: float | None = None,
        mix: float = 1.0,
    ) -> None:
        hop, rate, sample_rate = denoiser.info.hop, denoiser.info.sample_rate, check_sample_rate(sample_rate)
        self.block = hop * sample_rate // rate if hop * sample_rate % rate == 0 else 1
        self._stream = Stream(
            denoiser, sample_rate, channels, attenuation_limit_db=attenuation_limit_db, mix=mix, live_block=self.block
        )
        self.sample_rate, self.channels = sample_rate, channels
        self.latency_samples = self._stream.latency_samples
        self._waiting = AudioFifo(channels)
        self.reset()

    def take_speech(self) -> np.ndarray:
        """Return what `Stream.take_speech` does."""
        return self._stream.take_speech()

    def process(self, piece: np.ndarray) -> np.ndarray:
        """Take [channels, samples] of the types that `Stream.process` takes.

        Returns:
            float32 [channels, samples that are ready], full scale 1.0, not clipped.

        Raises:
            ValueError: for another shape or type, and for NaN or infinite samples.
            RuntimeError: after `flush`.
        """
        piece = float_samples(piece)
        if piece.ndim != 2 or piece.shape[0] != self.channels:
            raise ValueError(f"piece of shape {piece.shape}: expected [channels = {self.channels}, samples]")
        self._waiting.push(piece)
        self._taken += piece.shape[1]
        return self._aligned(self._stream.process(self._waiting.pop(len(self._waiting) // self.block * self.block)))

    def flush(self) -> np.ndarray:
        """End the signal and return the samples that are missing, float32 [channels, samples].

        Raises:
            RuntimeError: when the stream was flushed before.
        """
        rest = self._waiting.pop(len(self._waiting))
        rest = np.pad(rest, ((0, 0), (0, -rest.shape[1] % self.block)))
        missing = self._taken - self._given
        out = [self._aligned(self._stream.process(rest)), self._aligned(self._stream.flush())]
        return np.concatenate(out, axis=1)[:, :missing]

    def reset(self) -> None:
        """Forget everything: the next piece begins a new signal."""
        self._stream.reset()
        self._waiting.clear()
        self._early = self.latency_samples  # samples of the live stream that belong to no input
        self._taken = self._given = 0

    def _aligned(self, out: np.ndarray) -> np.ndarray:
        early = min(self._early, out.shape[1])
        self._early -= early
        self._given += out.shape[1] - early
        return out[:, early:]


class FrameStream(_Around["LowDelayStream"]):
    """Denoises frames of any size: as many samples come back as went in, later by `latency_samples`.

    Frames of whole blocks (10 ms) wait for nothing. Others wait up to a block longer; where a program changes to such
    frames while it runs, the sound fades out, the delay grows, and it fades in again.

    Args:
        denoiser, sample_rate, channels, attenuation_limit_db, mix: as those of `LowDelayStream`.

    Attributes:
        latency_samples: delay of the output in samples; it is known after the first frame.

    Raises:
        ValueError: for a value outside its range.

    Example:
        >>> from enhance import Denoiser
        >>> stream = FrameStream(Denoiser(), 24_000)
        >>> stream.process(np.zeros((1, 1200), np.float32)).shape, stream.latency_samples
        ((1, 1200), 304)
    """

    def __init__(
        self,
        denoiser: Model,
        sample_rate: int,
        channels: int = 1,
        *,
        attenuation_limit_db: float | None = None,
        mix: float = 1.0,
    ) -> None:
        self._stream = LowDelayStream(
            denoiser, sample_rate, channels, attenuation_limit_db=attenuation_limit_db, mix=mix
        )
        self.sample_rate, self.channels = sample_rate, channels
        self.latency_samples = 0
        self._ready = AudioFifo(channels)
        self._ramp = round(_RAMP_SECONDS * sample_rate)
        self._grain = self._stream.block  # of what all frames so far are multiples, within a block
        self._last = np.zeros((channels, 1), np.float32)
        self._risen = self._ramp  # samples since the sound began to fade in

    def process(self, frame: np.ndarray) -> np.ndarray:
        """Take [channels, samples] of the types that `Stream.process` takes; return as many, float32, not clipped.

        Raises:
            ValueError: for another shape or type, and for NaN or infinite samples.
        """
        ready = self._stream.process(frame)
        samples = np.shape(frame)[1]
        if not samples:
            return ready
        self._grain = math.gcd(self._grain, samples)
        self._delay(self._stream.latency_samples + self._stream.block - self._grain)
        self._ready.push(ready)
        out = self._ready.pop(samples)
        if self._risen < self._ramp:
            place = np.arange(self._risen, self._risen + samples)
            out *= np.where(place < 0, 1, np.clip(place / self._ramp, 0, 1)).astype(np.float32)
            self._risen += samples
        self._last = out[:, -1:]
        return out

    def flush(self) -> np.ndarray:
        """End the signal and return its last `latency_samples` samples, float32 [channels, samples]."""
        self._ready.push(self._stream.flush())
        return self._ready.pop(len(self._ready))

    def _delay(self, samples: int) -> None:
        """Let the output come so many samples late, by a gap before what is next."""
        gap = samples - self.latency_samples
        if gap <= 0:
            return
        kept = self._ready.pop(len(self._ready))
        fall = np.clip(1 - np.arange(1, gap + 1) / min(gap, self._ramp), 0, None)
        self._ready.push((self._last * fall).astype(np.float32))
        self._ready.push(kept)
        if self.latency_samples:
            self._risen = -gap
        self.latency_samples = samples
