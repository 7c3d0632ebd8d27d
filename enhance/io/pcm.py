"""Samples between files and the network: how many at a time, how floats become integers, and what fills a hole."""

from collections.abc import Iterator

import numpy as np

from enhance.utils.errors import FileError

_SECONDS = 4.0  # of one channel in a block: hundreds of hops, so that a call of the network costs little by itself
_LEAST_SECONDS = 0.1
_LONGEST_HOLE = 24 * 3600  # seconds
_BLOCK = 48_000  # samples of silence at a time: a hole may last for hours


def block_length(sample_rate: int, channels: int) -> int:
    """Return the samples per channel to work on at once: fewer with many channels, so that memory stays the same.

    Example:
        >>> block_length(48000, 1), block_length(48000, 2), block_length(48000, 64)
        (192000, 96000, 4800)
    """
    return max(1, round(sample_rate * max(_LEAST_SECONDS, _SECONDS / channels)))


def to_integers(samples: np.ndarray, bits: int) -> np.ndarray:
    """Round to `bits` and shift to the top of int32, clamped to what the type holds; the shape stays.

    libsndfile rounds float samples towards minus infinity when it writes few bits, so that silence with an error of
    1e-9 becomes -1. Here they are rounded to the nearest, and an integer sample that was read comes back as it was.

    Example:
        >>> to_integers(np.array([0.0, -1e-9, 0.5, 1.0, -1.0]), 16) >> 16
        array([     0,      0,  16384,  32767, -32768], dtype=int32)
    """
    scale = 2.0 ** (bits - 1)
    integers = np.rint(samples.astype(np.float64) * scale)
    return np.clip(integers, -scale, scale - 1).astype(np.int32) << (32 - bits)


def silence(channels: int, count: int, sample_rate: int) -> Iterator[np.ndarray]:
    """Yield so many samples of silence, float32 [channels, samples], a second or so at a time.

    Raises:
        FileError: when it would last longer than anything that was recorded.
    """
    if count > _LONGEST_HOLE * sample_rate:
        hours = count / sample_rate / 3600
        raise FileError(f"its time stamps jump by {hours:.0f} h: they are damaged; save it anew first")
    for begin in range(0, count, _BLOCK):
        yield np.zeros((channels, min(_BLOCK, count - begin)), np.float32)
