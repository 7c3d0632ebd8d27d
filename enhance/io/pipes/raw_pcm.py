"""Samples in a pipe, one after the other, with nothing around them: read as they come, written at once."""

from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from enhance.io.formats import PCM_BITS, Encoding
from enhance.io.pcm import block_length, to_integers
from enhance.io.sound.speakers import Speakers
from enhance.utils.errors import FileError
from enhance.utils.interrupt import Stopper

WIDTH = {"PCM_U8": 1, "PCM_16": 2, "PCM_24": 3, "PCM_32": 4, "FLOAT": 4, "DOUBLE": 8}  # bytes of a sample


class RawReader:
    """Reads samples, the channels in turn, little-endian, from a binary stream.

    Args:
        stream: with `read`; never sought.
        stopper: lets Ctrl-C break a read that waits.
        subtype: one of `WIDTH`.
        sample_rate: Hz.
        channels: number of channels.
        frames: samples per channel that must come; None for all until the end.

    Attributes:
        sample_rate, channels, frames: as given.
        encoding: what a WAV of these samples would be.
        notes: what a person should know about the sound that was read.
        speakers: of the channels; unknown.
    """

    speakers = Speakers()

    def __init__(
        self,
        stream: BinaryIO,
        stopper: Stopper,
        subtype: str,
        sample_rate: int,
        channels: int,
        frames: int | None = None,
    ) -> None:
        self.sample_rate, self.channels, self.frames = sample_rate, channels, frames
        self.encoding = Encoding("WAV", subtype)
        self.notes: list[str] = []
        self._stream = stream
        self._stopper = stopper

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield the sound in blocks, float32 [channels, samples].

        Raises:
            FileError: when the stream ends before the length that was promised.
        """
        frame_bytes = self.channels * WIDTH[self.encoding.subtype]
        most = block_length(self.sample_rate, self.channels)
        left, done = self.frames, 0
        rest = b""
        while left is None or left > 0:
            wanted = most if left is None else min(most, left)
            # `read1` gives what is there: a live source is denoised as it comes, not when four seconds are full.
            read = getattr(self._stream, "read1", self._stream.read)
            with self._stopper.waiting():
                data = rest + read(wanted * frame_bytes - len(rest))
            frames = len(data) // frame_bytes
            if len(data) == len(rest):
                break
            rest = data[frames * frame_bytes :]
            if frames:
                done += frames
                left = None if left is None else left - frames
                samples = to_floats(data[: frames * frame_bytes], self.encoding.subtype)
                yield samples.reshape(frames, self.channels).T
        if left:
            raise FileError(f"cut off: its header promises {self.frames} samples, there are {done}")
        if rest:
            self.notes.append(f"it ends inside a sample of {frame_bytes} bytes: the last {len(rest)} are left out")

    def close(self) -> None:
        """Close the stream."""
        self._stream.close()


class RawWriter:
    """Writes samples to a binary stream, each block at once.

    Args:
        stream: with `write` and `flush`.
        stopper: lets Ctrl-C break a write that waits.
        subtype: one of `WIDTH`.
    """

    def __init__(self, stream: BinaryIO, stopper: Stopper, subtype: str) -> None:
        self._stream = stream
        self._stopper = stopper
        self._subtype = subtype

    def write(self, block: np.ndarray) -> None:
        """Write float32 [channels, samples]; samples over full scale are clamped unless the subtype is float."""
        if block.size:
            self._put(to_bytes(block.T, self._subtype))

    def close(self) -> None:
        """End the sound. The stream stays open."""

    def abort(self) -> None:
        """Do nothing: what was written is gone down the pipe."""

    def _put(self, data: bytes) -> None:
        with self._stopper.waiting():
            self._stream.write(data)
            self._stream.flush()


def to_floats(data: bytes, subtype: str) -> np.ndarray:
    """Read little-endian samples. Returns float32 [any] of full scale 1.0.

    Example:
        >>> to_floats(bytes([0, 0, 0xC0]), "PCM_24")
        array([-0.5], dtype=float32)
    """
    width = WIDTH[subtype]
    if subtype in ("FLOAT", "DOUBLE"):
        return np.frombuffer(data, f"<f{width}").astype(np.float32)
    if width == 1:
        return (np.frombuffer(data, np.uint8).astype(np.float32) - 128) / 128
    wide = np.zeros((len(data) // width, 4), np.uint8)
    wide[:, 4 - width :] = np.frombuffer(data, np.uint8).reshape(-1, width)
    return (wide.view("<i4")[:, 0] / 2.0**31).astype(np.float32)


def to_bytes(frames: np.ndarray, subtype: str) -> bytes:
    """Write float32 [samples, channels] as little-endian samples; integers are rounded and clamped.

    Example:
        >>> to_bytes(np.array([[0.5], [-2.0]]), "PCM_16").hex(" ", 2)
        '0040 0080'
    """
    if subtype == "FLOAT":
        return np.ascontiguousarray(frames, "<f4").tobytes()
    if subtype == "DOUBLE":
        return np.ascontiguousarray(frames, "<f8").tobytes()
    wide = np.ascontiguousarray(to_integers(frames, PCM_BITS[subtype]), "<i4")
    if WIDTH[subtype] == 1:
        return ((wide >> 24) + 128).astype(np.uint8).tobytes()
    return wide.reshape(-1, 1).view(np.uint8)[:, 4 - WIDTH[subtype] :].tobytes()
