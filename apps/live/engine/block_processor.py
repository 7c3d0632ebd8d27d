"""The processing between microphone and loudspeaker, one block of the device at a time.

    block -> denoise (bypass, limit and mix are weights inside) -> mute -> out, and a copy of both for the meters

`BlockProcessor.process` runs in the callback of the sound device. It prints nothing, waits for nothing and leaves no
allocated memory behind; what the person changes meanwhile is picked up at the start of a block, and glides.
"""

from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np

from apps.live.engine.playback import DriftCompensatedOutput
from apps.live.engine.ring_buffer import Ring
from enhance.runtime.adaptive import AdaptiveModel
from enhance.runtime.stream import LOUDEST, Stream

GLIDE = 0.03  # seconds in which bypass, limit, mix and mute change
TAP_SECONDS = 5.0  # that meters and recorder may lag behind
_TIMES = 1000  # blocks over which the time of a block is measured


@dataclass(frozen=True)
class Controls:
    """Hold what the person sets while it runs."""

    bypass: bool = False
    muted: bool = False
    attenuation_limit_db: float | None = None
    mix: float = 1.0


class BlockProcessor:
    """Denoises blocks of one size.

    Args:
        model: steps of the network, warmed up.
        sample_rate: of the device in Hz.
        channels: of the sound.
        block: frames in a block.
        controls: at the start.

    Attributes:
        latency_samples: by which the output comes after the input, when whole blocks are exchanged.
        blocks: number of blocks so far.
        repaired: samples that were no numbers, and replaced by silence.
        tap: queue of [input channels, output channels] for the meters and the recorder.
        heard: blocks until which the input was other than exact zeros.
        listener: a second output that gets the same sound, or None.
    """

    def __init__(self, model: AdaptiveModel, sample_rate: int, channels: int, block: int, controls: Controls) -> None:
        self.sample_rate, self.channels, self.block = sample_rate, channels, block
        self._stream = Stream(model, sample_rate, channels, live_block=block)
        self.latency_samples = self._stream.latency_samples
        self.blocks = self.repaired = self.heard = 0
        self.listener: DriftCompensatedOutput | None = None
        self.tap = Ring(2 * channels, round(TAP_SECONDS * sample_rate))
        self._both = np.zeros((block, 2 * channels), np.float32)
        self._wanted = self._controls = controls
        self._gain = 0.0 if controls.muted else 1.0
        self._times = np.zeros(_TIMES)
        self._adjust(0.0)
        self.warm_up()

    def warm_up(self) -> None:
        """Send faint noise through all stages, so that everything is allocated, then forget it."""
        noise = np.random.default_rng(0).normal(0, 1e-4, (self.block, self.channels)).astype(np.float32)
        for _ in range(100):
            self.process(noise)
        self._stream.reset()
        self.blocks = self.repaired = self.heard = 0
        self.tap.taken = self.tap.written

    @property
    def controls(self) -> Controls:
        """Settings as last requested."""
        return self._wanted

    def change(self, **values: bool | float | None) -> None:
        """Change some of the controls from the next block on. Callable from any thread."""
        self._wanted = replace(self._wanted, **values)  # type: ignore[arg-type]

    def process(self, frames: np.ndarray) -> np.ndarray:
        """Take one block of float32 [block, channels]; give the output, float32 [block, channels]."""
        start = perf_counter()
        channels = self.channels
        self._both[:, :channels] = frames
        given = self._both[:, :channels]
        loudest = float(np.abs(given).max())
        if not loudest <= LOUDEST:
            self._repair(given)
        self.blocks += 1
        if loudest:
            self.heard = self.blocks
        if self._controls is not self._wanted:
            self._controls = self._wanted
            self._adjust(GLIDE)
        out = self._both[:, channels:]
        out[:] = self._stream.process(given.T).T
        self._mute(out)
        self.tap.write(self._both)
        if (listener := self.listener) is not None:
            listener.bring(out)
        self._times[(self.blocks - 1) % _TIMES] = perf_counter() - start
        return out

    @property
    def speech_probability(self) -> float:
        """Probability that somebody speaks, from 0 to 1, in the latest hop."""
        return self._stream.speech_probability

    def times(self) -> np.ndarray:
        """Return the seconds that each of the latest blocks took, in no order."""
        return self._times[: min(self.blocks, _TIMES)].copy()

    def _adjust(self, glide_seconds: float) -> None:
        controls = self._controls
        self._stream.adjust(
            attenuation_limit_db=controls.attenuation_limit_db,
            mix=0.0 if controls.bypass else controls.mix,
            glide_seconds=glide_seconds,
        )

    def _mute(self, out: np.ndarray) -> None:
        target = 0.0 if self._controls.muted else 1.0
        if self._gain == target:
            if not target:
                out[:] = 0
            return
        step = self.block / (GLIDE * self.sample_rate)
        gain = min(target, self._gain + step) if target else max(target, self._gain - step)
        out *= np.linspace(self._gain, gain, len(out), dtype=np.float32)[:, None]
        self._gain = gain

    def _repair(self, given: np.ndarray) -> None:
        broken = ~(np.abs(given) <= LOUDEST)
        self.repaired += int(broken.sum())
        given[broken] = 0
