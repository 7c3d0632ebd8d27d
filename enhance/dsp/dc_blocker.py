"""Removal of a constant offset (DC) in hops: a high-pass at 0.5 Hz that counts only as far as it is sure.

Over the hops so far, weighted by a^age (a the pole of a one-pole filter at 0.5 Hz), the mean m and the variance v of
the samples are known. A voice without any offset has a mean, too, if it is cut in mid-speech: over t seconds, that of a
tone of f Hz and variance v is at most u = sqrt(2 v) / (pi f t). So m is shrunk as James and Stein (1961) do,

    offset = m max(0, 1 - u^2 / m^2)

with f = 130 Hz: next to nothing is taken from a clean recording, and a real offset is gone after the first hops.
The offset of a hop's end is known before the hop is used; within the hop it goes there along a straight line.

A resampler makes of a constant a signal that rises at its begin and falls at its end. `present` is what the resampler
makes of ones, and the offset is taken away in that shape, so that no edge is left.
"""

import math

import numpy as np

CORNER_HZ = 0.5
LOW_VOICE_HZ = 130.0
_LEAST = 1e-12  # keeps divisions finite where nothing came yet, or silence


class DcBlocker:
    """Takes the offset of each channel away.

    Args:
        sample_rate: in Hz.
        hop: samples in a hop.
        channels: number of channels.

    Example:
        >>> blocker = DcBlocker(sample_rate=8000, hop=80, channels=1)
        >>> float(abs(blocker.process(np.full((1, 160), 0.25, np.float32))).max())
        0.0
    """

    def __init__(self, sample_rate: int, hop: int, channels: int) -> None:
        self._hop = hop
        self._channels = channels
        self._hop_seconds = hop / sample_rate
        self._decay = 2 * math.pi * CORNER_HZ * self._hop_seconds  # of a weight, per hop, in nepers
        self._ramp = np.arange(1, hop + 1) / hop
        self.reset()

    def process(self, audio: np.ndarray, present: np.ndarray | None = None) -> np.ndarray:
        """Return whole hops without their offset.

        Args:
            audio: float32 [channels, hops * hop].
            present: float32 [hops * hop], the offset's shape: None for ones.

        Returns:
            float32, in the shape of `audio`.
        """
        wide = audio.reshape(self._channels, -1, self._hop).astype(np.float64)
        hops = wide.shape[1]
        shape = np.ones((hops, self._hop)) if present is None else present.reshape(hops, self._hop).astype(np.float64)
        sums = self._accumulate(
            np.concatenate([(wide * shape).mean(2), (wide * wide).mean(2), (shape * shape).mean(1)[np.newaxis]])
        )
        weight = np.maximum(sums[-1], _LEAST)  # in hops
        mean, power = sums[: self._channels] / weight, sums[self._channels : -1] / weight
        uncertainty = (power - mean**2) * 2 / (math.pi * LOW_VOICE_HZ * self._hop_seconds * weight) ** 2
        offset = mean * np.clip(1 - uncertainty / np.maximum(mean**2, _LEAST**2), 0, 1)
        before = np.concatenate([offset[:, :1] if self._offset is None else self._offset, offset[:, :-1]], axis=1)
        self._offset = offset[:, -1:]
        line = before[..., np.newaxis] + (offset - before)[..., np.newaxis] * self._ramp
        return (wide - line * shape).reshape(audio.shape).astype(np.float32)

    def reset(self) -> None:
        """Begin a new signal."""
        self._sums = np.zeros((2 * self._channels + 1, 1))
        self._offset: np.ndarray | None = None  # at the end of the last hop, [channels, 1]

    def _accumulate(self, values: np.ndarray) -> np.ndarray:
        """Return weighted sums of [n, hops] up to each hop: sums[k] = a sums[k - 1] + values[k], as a running sum."""
        growth = np.exp(self._decay * np.arange(1, values.shape[1] + 1))
        sums = (self._sums + np.cumsum(values * growth, axis=1)) / growth
        self._sums = sums[:, -1:]
        return sums
