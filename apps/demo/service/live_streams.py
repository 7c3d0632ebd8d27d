"""Live streams: each microphone has an `enhance.Stream` of its own on the server, fed block by block.

The page calls these functions through Gradio, as does any program through `gradio_client`. A token that nobody can
guess names the stream, and the blocks are numbered, so that neither people nor blocks are mixed up.
"""

import base64
import binascii
import secrets
import threading
import time
from dataclasses import dataclass, field

import numpy as np

from apps.demo.limits import Limits
from apps.demo.service.service import DemoService
from apps.demo.service.visitor import VISITOR
from enhance.runtime.stream import Stream
from enhance.runtime.strength import Strength
from enhance.utils.errors import FileError

IDLE_SECONDS = 10.0  # after which a stream is forgotten
LONGEST_BLOCK = 2.0  # seconds
GLIDE_SECONDS = 0.02  # to another strength, so that it makes no click


@dataclass
class _Microphone:
    stream: Stream
    begun: float
    used: float
    visitor: str
    number: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


class LiveDesk:
    """The streams that are open.

    Args:
        service: for the models.
        limits: how many, and for how long.
    """

    def __init__(self, service: DemoService, limits: Limits) -> None:
        self._service = service
        self._limits = limits
        self._open: dict[str, _Microphone] = {}
        self._lock = threading.Lock()

    def open(self, sample_rate: int, block: int, strength: Strength, model: str | None) -> dict[str, object]:
        """Begin a stream of one channel.

        Args:
            sample_rate: Hz.
            block: samples; every block that comes is a multiple of it.
            strength: how much to remove.
            model: one of the live tab; the first one when None.

        Returns:
            `token`, and `delay_ms` of the stream itself: its output is the input, cleaned, that much later.

        Raises:
            FileError: when there are too many, or a value is out of range.
        """
        denoiser = self._service.denoiser(model or self._service.live[0])
        try:
            limit, mix = strength.attenuation_limit_db, strength.mix
            stream = denoiser.stream(sample_rate, attenuation_limit_db=limit, mix=mix, live_block=block)
        except (TypeError, ValueError) as error:
            raise FileError(str(error)) from None
        now, visitor = time.monotonic(), VISITOR.get()
        with self._lock:
            self._forget(now)
            own = sum(microphone.visitor == visitor for microphone in self._open.values()) if visitor else 0
            if own >= self._limits.visitor_live:
                raise FileError(f"{own} microphones of yours are open, which is the limit: close another page first")
            if len(self._open) >= self._limits.live:
                raise FileError(f"{self._limits.live} microphones are open, which is the limit: try again later")
            token = secrets.token_urlsafe(24)
            self._open[token] = _Microphone(stream, now, now, visitor)
        return {"token": token, "delay_ms": 1000 * stream.latency_samples / stream.sample_rate}

    def block(self, token: str, number: int, samples: str) -> dict[str, object]:
        """Denoise the next block.

        Args:
            token: of `open`.
            number: of the block, from 0.
            samples: base64 of int16, little-endian.

        Returns:
            `samples`, as many, in the same form, and the `milliseconds` that it took.

        Raises:
            FileError: when the stream has ended, or the block is not the next one or is no such sound.
        """
        begun = time.perf_counter()
        microphone = self._find(token)
        with microphone.lock:
            if number != microphone.number:
                raise FileError(f"block {number} came, block {microphone.number} was expected: open a new stream")
            stream = microphone.stream
            try:
                block = np.frombuffer(base64.b64decode(samples, validate=True), "<i2")
                if len(block) > LONGEST_BLOCK * stream.sample_rate:
                    raise FileError(f"a block of {len(block)} samples; expected {LONGEST_BLOCK:g} s at most")
                cleaned = stream.process(block[np.newaxis].astype(np.int16))
            except (binascii.Error, ValueError, TypeError) as error:
                raise FileError(str(error)) from None
            microphone.number += 1
        integers = np.clip(np.rint(cleaned[0] * 32768), -32768, 32767).astype("<i2")
        milliseconds = 1000 * (time.perf_counter() - begun)
        return {"samples": base64.b64encode(integers.tobytes()).decode(), "milliseconds": round(milliseconds, 2)}

    def adjust(self, token: str, strength: Strength) -> None:
        """Change the strength from the next block on.

        Raises:
            FileError: when the stream has ended or a value is out of range.
        """
        microphone = self._find(token)
        try:
            with microphone.lock:
                limit, mix = strength.attenuation_limit_db, strength.mix
                microphone.stream.adjust(attenuation_limit_db=limit, mix=mix, glide_seconds=GLIDE_SECONDS)
        except (TypeError, ValueError) as error:
            raise FileError(str(error)) from None

    def close(self, token: str) -> None:
        """End a stream; one that has ended already stays so."""
        with self._lock:
            self._open.pop(token, None)

    def _find(self, token: str) -> _Microphone:
        now = time.monotonic()
        with self._lock:
            self._forget(now)
            microphone = self._open.get(token)
            if microphone is None:
                raise FileError("this stream has ended: start the microphone again")
            microphone.used = now
        return microphone

    def _forget(self, now: float) -> None:
        for token, microphone in list(self._open.items()):
            idle = now - microphone.used > IDLE_SECONDS
            if idle or now - microphone.begun > 60 * self._limits.live_minutes:
                del self._open[token]
