"""WAV through a pipe: read without seeking, as it comes; written with a header that needs no second visit.

libsndfile wants to seek in a WAV file, which standard input and output cannot. A length that is not known stands in the
header as 0xFFFFFFFF, as ffmpeg writes it: "until the end".

Reference: Microsoft, "Multiple Channel Audio Data and WAVE Files" (WAVEFORMATEXTENSIBLE); EBU Tech 3306 (RF64).
"""

import struct
from typing import BinaryIO

from enhance.io.codec_limits import check_input
from enhance.io.formats import Encoding
from enhance.io.pipes.raw_pcm import WIDTH, RawReader, RawWriter
from enhance.io.sound.riff_chunks import UNKNOWN, is_unknown
from enhance.io.sound.speakers import USUAL, Speakers, in_format
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
_CONTENT = 64  # bytes of a chunk that are looked at
_PART = 2**16  # bytes that are read at a time of a chunk that is passed over
_HINT = "convert it on its way, for example: ffmpeg -i FILE -f wav - | mpeace denoise -"
_GUID_TAIL = bytes.fromhex("000000001000800000aa00389b71")


class PipeReader(RawReader):
    """Reads WAV (RIFF or RF64; PCM of 8 to 32 bits, float of 32 or 64) from a binary stream.

    A sound chunk of size 0 counts as one of unknown size, as a recorder leaves it that was killed.

    Args:
        stream: with `read`; never sought.
        stopper: lets Ctrl-C break a read that waits.
        note: what a person should know about this stream.

    Attributes:
        sample_rate, channels, frames: of the sound; frames is None when the header does not say.
        encoding: as soundfile would report it.
        notes: the note, if there is one.

    Raises:
        FileError: when the stream is not such a WAV.
    """

    def __init__(self, stream: BinaryIO, stopper: Stopper, note: str = "") -> None:
        self._stream = stream
        self._stopper = stopper
        magic = self._exactly(12, "a WAV header")
        if magic[:4] not in (b"RIFF", b"RF64") or magic[8:] != b"WAVE":
            raise FileError(f"not WAV; {_HINT}")
        size = self._header()
        frames = None if size is None else size // (self.channels * WIDTH[self.encoding.subtype])
        super().__init__(stream, stopper, self.encoding.subtype, self.sample_rate, self.channels, frames)
        self.notes += [note] if note else []

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
            content = self._exactly(min(size + size % 2, _CONTENT), "its samples")
            for place in range(len(content), size + size % 2, _PART):  # a size may be anything: nothing is kept of it
                self._exactly(min(_PART, size + size % 2 - place), "its samples")
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
            self.speakers = Speakers(in_format(content))
        if (tag, bits) not in _SUBTYPES:
            what = f"a WAV with format {tag}, {bits} bits, {self.channels} channels, expected PCM or float"
            raise FileError(f"{what}; {_HINT}")
        check_input(self.sample_rate, self.channels)
        self.encoding = Encoding("WAV", _SUBTYPES[tag, bits])

    def _exactly(self, size: int, what: str) -> bytes:
        with self._stopper.waiting():
            data = self._stream.read(size)
        if not data and what == "a WAV header":
            raise FileError("empty: nothing came")
        if len(data) < size:
            raise FileError(f"cut off before {what}")
        return data


class PipeWriter(RawWriter):
    """Writes WAV to a binary stream, each block at once.

    Args:
        stream: with `write` and `flush`.
        stopper: lets Ctrl-C break a write that waits.
        encoding: its subtype is one of PCM_U8, PCM_16, PCM_24, PCM_32, FLOAT, DOUBLE.
        sample_rate: Hz.
        channels: number of channels.
        frames: samples per channel that will come; None when nobody knows.
        speakers: of the channels.
    """

    def __init__(
        self,
        stream: BinaryIO,
        stopper: Stopper,
        encoding: Encoding,
        sample_rate: int,
        channels: int,
        frames: int | None,
        speakers: Speakers = Speakers(),  # noqa: B008
    ) -> None:
        super().__init__(stream, stopper, encoding.subtype)
        tag, bits = _BITS[encoding.subtype]
        frame = channels * bits // 8
        size = UNKNOWN if frames is None or frames * frame > UNKNOWN - 2**16 else frames * frame
        self._padding = bytes(size % 2) if size != UNKNOWN else b""
        layout = struct.pack("<HIIHH", channels, sample_rate, sample_rate * frame, frame, bits)
        mask = speakers.mask
        if mask is None and tag == _PCM and bits > 16 and channels <= 2:
            mask = USUAL[channels]
        if mask is not None and (bits > 16 or channels > 2 or mask != USUAL[channels]):
            extension = struct.pack("<HHIH", 22, bits, mask, tag) + _GUID_TAIL
            layout = struct.pack("<H", _EXTENSIBLE) + layout + extension
        else:
            layout = struct.pack("<H", tag) + layout
        riff = UNKNOWN if size == UNKNOWN else 4 + 8 + len(layout) + 8 + size + size % 2
        self._put(struct.pack("<4sI4s4sI", b"RIFF", riff, b"WAVE", b"fmt ", len(layout)) + layout)
        self._put(struct.pack("<4sI", b"data", size))

    def close(self) -> None:
        """End the sound. The stream stays open."""
        self._put(self._padding)
