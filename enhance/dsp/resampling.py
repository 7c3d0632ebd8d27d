"""Stateful resampling with an exact sample count, on the SoX resampler (soxr, "HQ": 20 bit, linear phase).

soxr compensates the delay of its filter: output sample k lies at the time k / out_rate of the input, so nothing has to
be cut from the start. It only *holds samples back* until its filters are filled. Its values do not depend on how the
samples were cut into blocks, but of long blocks it holds back more. What this module adds: channels first, one rule for
the total (`resampled_length`), and a bound on what is held back, for which soxr gets long blocks in pieces.

The band up to 91 % of the lower Nyquist frequency passes; what lies above the lower Nyquist frequency is removed.
Reference: R. Sykes, "The SoX Resampler library", https://sourceforge.net/projects/soxr.
"""

import math
from functools import lru_cache
from typing import NoReturn

import numpy as np
import soxr

from enhance.dsp.rate import check_sample_rate, resampled_length

_MOST_SECONDS = 0.1  # of sound that soxr gets in one call: with 0.3 s it holds back up to 80 ms more
_PROBE_SECONDS = 6  # soxr emits at least twice a second, even from 1 kHz to 48 kHz
_PROBE_BLOCKS_PER_SECOND = 1_000
_PROBE_MARGIN = 1.02  # its emissions beat with the output clock: in 240 s, 44 pairs of rates rose by 1.0 % at most


class Resampler:
    """Resamples a signal that comes in blocks. The sum of all output has `resampled_length(sum of input)` samples.

    Args:
        in_rate: Hz, whole number.
        out_rate: Hz, whole number.
        channels: number of channels, independent of each other.

    Example:
        >>> resampler = Resampler(8000, 48000, channels=2)
        >>> first = resampler.process(np.ones((2, 800), np.float32))
        >>> rest = resampler.flush()
        >>> first.shape[1] + rest.shape[1]
        4800
    """

    def __init__(self, in_rate: int, out_rate: int, channels: int = 1) -> None:
        self.in_rate = check_sample_rate(in_rate)
        self.out_rate = check_sample_rate(out_rate)
        self.channels = channels
        self._soxr = soxr.ResampleStream(self.in_rate, self.out_rate, channels, dtype="float32", quality="HQ")
        self._in = 0
        self._out = 0

    def process(self, block: np.ndarray) -> np.ndarray:
        """Resample a block [channels, samples] of float32. Returns float32 [channels, any number of samples]."""
        self._in += block.shape[1]
        frames, most = np.ascontiguousarray(block.T), math.ceil(_MOST_SECONDS * self.in_rate)
        parts = [self._soxr.resample_chunk(frames[at : at + most]) for at in range(0, max(1, len(frames)), most)]
        resampled = (np.concatenate(parts) if len(parts) > 1 else parts[0]).T
        self._out += resampled.shape[1]
        return resampled

    def flush(self) -> np.ndarray:
        """Return the samples that were held back. The signal ends here; `reset` begins a new one."""
        rest = self._soxr.resample_chunk(np.zeros((0, self.channels), np.float32), last=True).T
        missing = resampled_length(self._in, self.in_rate, self.out_rate) - self._out
        self._out += missing
        if rest.shape[1] < missing:
            rest = np.pad(rest, ((0, 0), (0, missing - rest.shape[1])))
        return rest[:, :missing]

    def __reduce__(self) -> NoReturn:
        """Refuse to be copied and pickled: soxr gives nothing of its state away."""
        raise TypeError(
            f"a stream from {self.in_rate} to {self.out_rate} Hz cannot be copied or pickled, as soxr keeps its "
            "state; hand on the Denoiser, and make a stream of it"
        )

    def reset(self) -> None:
        """Forget everything: the next block begins a new signal."""
        self._soxr.clear()
        self._in = self._out = 0


def resample(audio: np.ndarray, in_rate: int, out_rate: int) -> np.ndarray:
    """Resample a whole signal, float32 [channels, samples], to [channels, resampled_length(samples)].

    Example:
        >>> resample(np.zeros((1, 441), np.float32), 44100, 48000).shape
        (1, 480)
    """
    resampler = Resampler(in_rate, out_rate, audio.shape[0])
    return np.concatenate([resampler.process(audio), resampler.flush()], axis=1)


@lru_cache(maxsize=64)
def held_back_seconds(in_rate: int, out_rate: int) -> float:
    """Return the most that a `Resampler` holds back, in seconds: time of its input so far minus time of its output.

    Measured on the resampler itself with blocks of a millisecond, since soxr does not publish it, with a margin; one
    block is added because the greatest value may lie inside a block. 0.02 s from 44.1 to 48 kHz, 0.04 s from 16 kHz,
    0.18 s from 8 kHz.
    """
    resampler = Resampler(in_rate, out_rate)
    block = np.zeros((1, math.ceil(in_rate / _PROBE_BLOCKS_PER_SECOND)), np.float32)
    taken = given = 0
    most = 0.0
    while taken < _PROBE_SECONDS * in_rate:
        taken += block.shape[1]
        given += resampler.process(block).shape[1]
        most = max(most, taken / in_rate - given / out_rate)
    return _PROBE_MARGIN * most + block.shape[1] / in_rate
