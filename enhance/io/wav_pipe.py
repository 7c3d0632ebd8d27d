"""WAV through a pipe: read without seeking, as it comes; written with a header that needs no second visit.

libsndfile wants to seek in a WAV file, which standard input and output cannot. A length that is not known stands in the
header as 0xFFFFFFFF, as ffmpeg writes it: "until the end".

Reference: Microsoft, "Multiple Channel Audio Data and WAVE Files" (WAVEFORMATEXTENSIBLE); EBU Tech 3306 (RF64).
"""

import struct
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from enhance.io.formats import PCM_BITS, Encoding
from enhance.io.pcm import block_length, to_integers
from enhance.io.riff_chunks import UNKNOWN, is_unknown
from enhance.utils.errors import FileError
from enhance.utils.interrupt import Stopper

_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_SUBTYPES = {
    (_PCM, 8): "PCM_U8",
    (_PCM, 16): "PCM_16",
    (_PCM, 24): "PCM_24",
    (_PCM, 32): "PCM_32",
    (_FLOAT, 32): "FLOAT",
    (_FLOAT, 64): "DOUBLE",
}
_BITS = {subtype: (tag, bits) for (tag, bits), subtype in _SUBTYPES.items()}
_GUID_TAIL = bytes.fromhex("000000001000800000aa00389b71")


class PipeReader:
    """Reads WAV (RIFF or RF64; PCM of 8 to 32 bits, float of 32 or 64) from a binary stream.

    A sound chunk of size 0 counts as one of unknown size, as a recorder leaves it that was killed.

    Args:
        stream: with `read`; never sought.
        stopper: lets Ctrl-C break a read that waits.
        note: what a person should know about this stream.

    Attributes:
        sample_rate, channels, frames: of the sound; frames is None when the header does not say.
        encoding: as soundfile would tell it.
        notes: the note, if there is one.

    Raises:
        FileError: when the stream is not such a WAV.
    """

    def __init__(self, stream: BinaryIO, stopper: Stopper, note: str = "") -> None:
        self.notes = [note] if note else []
        self._stream = stream
        self._stopper = stopper
        magic = self._exactly(12, "a WAV header")
        if magic[:4] not in (b"RIFF", b"RF64") or magic[8:] != b"WAVE":
            raise FileError("not WAV; convert it on its way, for example: ffmpeg -i FILE -f wav - | mpeace denoise -")
        size = self._header()
        self.frames: int | None = None if size is None else size // (self.channels * self._width)

    def blocks(self) -> Iterator[np.ndarray]:
        """The sound in blocks, float32 [channels, samples].

        Raises:
            FileError: when the stream ends before the length in its header.
        """
        frame_bytes = self.channels * self._width
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
                yield self._samples(data[: frames * frame_bytes]).reshape(frames, self.channels).T
        if left:
            raise FileError(f"cut off: its header promises {self.frames} samples, there are {done}")

    def close(self) -> None:
        """Close the stream."""
        self._stream.close()

    def _header(self) -> int | None:
        """Read up to the samples. Returns their length in bytes, None when it is not known."""
        long_size, known = None, False
        while True:
            name, size = struct.unpack("<4sI", self._exactly(8, "its samples"))
            if name == b"data":
                if not known:
                    raise FileError("a WAV without a format before its samples")
                if size == UNKNOWN and long_size:
                    return long_size
                return None if is_unknown(size) else size
            content = self._exactly(size + size % 2, "its samples")
            if name == b"ds64":
                long_size = struct.unpack("<Q", content[8:16])[0]
            if name == b"fmt ":
                self._format(content)
                known = True

    def _format(self, content: bytes) -> None:
        if len(content) < 16:
            raise FileError(f"a WAV with a format of {len(content)} bytes, expected 16 or more")
        tag, self.channels, self.sample_rate, _, _, bits = struct.unpack("<HHIIHH", content[:16])
        if tag == _EXTENSIBLE and len(content) >= 26:
            (tag,) = struct.unpack("<H", content[24:26])
        if (tag, bits) not in _SUBTYPES or self.channels == 0:
            raise FileError(f"a WAV with format {tag}, {bits} bits, {self.channels} channels, expected PCM or float")
        self.encoding = Encoding("WAV", _SUBTYPES[tag, bits])
        self._width = bits // 8

    def _samples(self, data: bytes) -> np.ndarray:
        """Samples of full scale 1.0, float32 [any]."""
        if self.encoding.subtype in ("FLOAT", "DOUBLE"):
            return np.frombuffer(data, f"<f{self._width}").astype(np.float32)
        if self._width == 1:
            return (np.frombuffer(data, np.uint8).astype(np.float32) - 128) / 128
        wide = np.zeros((len(data) // self._width, 4), np.uint8)
        wide[:, 4 - self._width :] = np.frombuffer(data, np.uint8).reshape(-1, self._width)
        return (wide.view("<i4")[:, 0] / 2.0**31).astype(np.float32)

    def _exactly(self, size: int, what: str) -> bytes:
        with self._stopper.waiting():
            data = self._stream.read(size)
        if not data and what == "a WAV header":
            raise FileError("empty: nothing came")
        if len(data) < size:
            raise FileError(f"cut off before {what}")
        return data


class PipeWriter:
    """Writes WAV to a binary stream, each block at once.

    Args:
        stream: with `write` and `flush`.
        stopper: lets Ctrl-C break a write that waits.
        encoding: its subtype is one of PCM_U8, PCM_16, PCM_24, PCM_32, FLOAT, DOUBLE.
        sample_rate: Hz.
        channels: number of channels.
        frames: samples per channel that will come; None when nobody knows.
    """

    def __init__(
        self,
        stream: BinaryIO,
        stopper: Stopper,
        encoding: Encoding,
        sample_rate: int,
        channels: int,
        frames: int | None,
    ) -> None:
        self._stream = stream
        self._stopper = stopper
        self._subtype = encoding.subtype
        tag, bits = _BITS[self._subtype]
        self._width = bits // 8
        frame = channels * self._width
        size = UNKNOWN if frames is None or frames * frame > UNKNOWN - 2**16 else frames * frame
        self._padding = bytes(size % 2) if size != UNKNOWN else b""
        layout = struct.pack("<HIIHH", channels, sample_rate, sample_rate * frame, frame, bits)
        if channels > 2 or (tag == _PCM and bits > 16):
            mask = (1 << channels) - 1 if channels <= 18 else 0  # the first speakers in the order of the standard
            extension = struct.pack("<HHIH", 22, bits, mask, tag) + _GUID_TAIL
            layout = struct.pack("<H", _EXTENSIBLE) + layout + extension
        else:
            layout = struct.pack("<H", tag) + layout
        riff = UNKNOWN if size == UNKNOWN else 4 + 8 + len(layout) + 8 + size + size % 2
        self._put(struct.pack("<4sI4s4sI", b"RIFF", riff, b"WAVE", b"fmt ", len(layout)) + layout)
        self._put(struct.pack("<4sI", b"data", size))

    def write(self, block: np.ndarray) -> None:
        """Write float32 [channels, samples]; samples over full scale are clamped unless the subtype is float."""
        frames = block.T
        if self._subtype == "FLOAT":
            self._put(np.ascontiguousarray(frames, "<f4").tobytes())
        elif self._subtype == "DOUBLE":
            self._put(np.ascontiguousarray(frames, "<f8").tobytes())
        else:
            wide = to_integers(frames, PCM_BITS[self._subtype]).astype("<i4")
            if self._width == 1:
                self._put(((wide >> 24) + 128).astype(np.uint8).tobytes())
            else:
                self._put(wide.reshape(-1, 1).view(np.uint8)[:, 4 - self._width :].tobytes())

    def close(self) -> None:
        """End the sound. The stream stays open."""
        self._put(self._padding)

    def abort(self) -> None:
        """Nothing to undo: what was written is gone down the pipe."""

    def _put(self, data: bytes) -> None:
        with self._stopper.waiting():
            self._stream.write(data)
            self._stream.flush()
