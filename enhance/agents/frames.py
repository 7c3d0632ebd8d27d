"""What adapters for voice agents share: int16 sound in frames of any size, through one stream, without a surprise.

A program that talks must go on, so nothing is raised here. What fails is said once in the log and counted, and then
the sound goes on as it came: that is noisy, but the log says so.
"""

from __future__ import annotations

import logging
from os import PathLike
from typing import Any

import numpy as np

from enhance.io.pcm import to_integers
from enhance.runtime.denoiser import Denoiser
from enhance.runtime.low_delay import FrameStream

GLIDE_SECONDS = 0.03  # in which a switch or a new strength takes effect, so that it makes no click
_PAUSE_SECONDS = 0.5  # of sound at other rates, after which a rate that comes back begins anew


class AgentSound:
    """Denoises the sound of one participant, and remembers how strongly.

    Args:
        model: a `Denoiser`, which many may share; or what `Denoiser` takes.
        attenuation_limit_db: the most that noise is lowered, dB >= 0; None for no limit.
        mix: share of the denoised sound from 0 to 1.
        logger: where failures are said, each kind once.

    Attributes:
        bypassed: the sound comes as it was, with the same delay.
        errors: frames that could not be denoised, and came back as they were.

    Raises:
        ModelError: when the model cannot be used.
        ValueError: for a strength outside its range.
    """

    def __init__(
        self,
        model: Denoiser | str | PathLike[str] | None,
        attenuation_limit_db: float | None,
        mix: float,
        logger: logging.Logger,
    ) -> None:
        self._denoiser = model if isinstance(model, Denoiser) else Denoiser(model)
        self._streams: dict[tuple[int, int], FrameStream] = {}
        self._seconds = 0.0  # of all sound so far
        self._ends: dict[tuple[int, int], float] = {}  # of them, where the latest sound of each stream ended
        self._latest: FrameStream | None = None
        self._logger = logger
        self._said: set[str] = set()
        self._limit, self._mix = attenuation_limit_db, mix
        self.bypassed = False
        self.errors = 0
        self._check()

    def process(self, sound: bytes | memoryview, sample_rate: int, channels: int) -> bytes:
        """Denoise int16 samples, channels interleaved; as many come back, later by `delay_seconds`.

        Rates and channels may change from call to call: each pair has a stream of its own, which begins anew after half
        a second of others.
        """
        if not len(sound):
            return b""
        try:
            frame = np.frombuffer(sound, np.int16).reshape(-1, channels).T
            stream = self._stream(sample_rate, channels)
            out = to_integers(stream.process(frame), 16) >> 16
            self._seconds += frame.shape[1] / sample_rate
            self._ends[sample_rate, channels] = self._seconds
            return np.ascontiguousarray(out.T, np.int16).tobytes()
        except Exception as error:  # whatever it is, the call of somebody must go on
            self._streams.pop((sample_rate, channels), None)  # it may be out of step: the next frame begins anew
            self.failed(error, "the sound goes on as it came, noisy")
            return bytes(sound)

    def failed(self, error: Exception, consequence: str) -> None:
        """Count what went wrong; say it when it is the first of its kind."""
        self.errors += 1
        kind = f"{type(error).__name__}: {error}"
        if kind not in self._said and len(self._said) < 20:
            self._said.add(kind)
            self._logger.error("mpeace: %s; %s (said once; the attribute errors counts)", kind, consequence)

    def adjust(self, **settings: Any) -> None:
        """Change `attenuation_limit_db` or `mix`; what is not named stays.

        Raises:
            ValueError: for another name, or a value outside its range; then all stays.
        """
        known = {"attenuation_limit_db": self._limit, "mix": self._mix}
        if unknown := sorted(set(settings) - set(known)):
            raise ValueError(f"no setting {', '.join(unknown)}: there are {', '.join(known)}")
        before = self._limit, self._mix
        self._limit, self._mix = (known | settings).values()
        try:
            self._check()
        except (ValueError, TypeError) as error:
            self._limit, self._mix = before
            raise ValueError(f"{settings}: {error}") from None
        self._glide()

    def bypass(self, bypassed: bool) -> None:
        """Switch between the sound as it was and the denoised, both with the same delay, without a click."""
        self.bypassed = bool(bypassed)
        self._glide()

    def reset(self) -> None:
        """Forget the sound so far: another begins."""
        self._streams.clear()
        self._ends.clear()
        self._latest = None

    @property
    def speech_probability(self) -> float:
        """Probability that somebody speaks in the latest sound, from 0 to 1."""
        return self._latest.speech_probability if self._latest is not None else 0.0

    @property
    def delay_seconds(self) -> float | None:
        """Delay of the latest sound; None before the first frame."""
        return self._latest.latency_samples / self._latest.sample_rate if self._latest is not None else None

    def _stream(self, sample_rate: int, channels: int) -> FrameStream:
        """Return the stream of a rate, without those whose last milliseconds, still to come, are of another time."""
        for key in [key for key, end in self._ends.items() if self._seconds - end > _PAUSE_SECONDS]:
            del self._ends[key]
            self._streams.pop(key, None)
        stream = self._streams.get((sample_rate, channels))
        if stream is None:
            stream = FrameStream(self._denoiser, sample_rate, channels, **self._strength())
            self._streams[sample_rate, channels] = stream
        self._latest = stream
        return stream

    def _check(self) -> None:
        """Raise ValueError for a strength outside its range, bypassed or not."""
        FrameStream(self._denoiser, self._denoiser.info.sample_rate, attenuation_limit_db=self._limit, mix=self._mix)

    def _strength(self) -> dict[str, Any]:
        return {"attenuation_limit_db": self._limit, "mix": 0.0 if self.bypassed else self._mix}

    def _glide(self) -> None:
        for stream in self._streams.values():
            stream.adjust(**self._strength(), glide_seconds=GLIDE_SECONDS)


class SoundState:
    """What adapters show of their `AgentSound`."""

    _sound: AgentSound

    @property
    def bypassed(self) -> bool:
        """True while the sound passes as it came, with the same delay."""
        return self._sound.bypassed

    @property
    def errors(self) -> int:
        """Frames that could not be denoised and passed as they came, and settings that were refused; see the log."""
        return self._sound.errors

    @property
    def speech_probability(self) -> float:
        """Probability that somebody speaks in the latest sound, from 0 to 1."""
        return self._sound.speech_probability

    @property
    def delay_seconds(self) -> float | None:
        """Delay of the sound; None before the first frame."""
        return self._sound.delay_seconds
