"""Containers made of chunks: is the sound whole, and what lies beside it (RIFF, RF64, RIFX, AIFF, CAF, Wave64).

libsndfile reads a file that was cut off without a word, and drops the chunks that it does not know: broadcast data
(`bext`, `iXML`), cue points and their labels, embedded ID3 with cover and chapters. Here the chunks are walked: `loss`
compares what the sound chunk promises with what is there, and `copy_chunks` carries the others over to the output.

References: EBU Tech 3306 (RF64), EBU Tech 3285 (BWF), Apple's AIFF-C and CAF specifications, Sony's Wave64.
"""

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

UNKNOWN = 0xFFFFFFFF  # a 32-bit size that nobody knows
_WAVE64_TAIL = bytes.fromhex("f3acd3118cd100c04f8edb8a")  # ends the identifier of each Wave64 chunk but `riff`
_CARELESS = 16  # bytes; some programs count the padding or a wrong header, and nothing is lost
_LARGEST_COPY = 2**28  # bytes; what is larger is no description of the sound


@dataclass(frozen=True)
class _Layout:
    """How one family of containers writes its chunks."""

    family: str
    start: int  # bytes before the first chunk
    name_bytes: int
    size: str  # struct format of the chunk size
    alignment: int
    counts_header: bool  # the size includes name and size
    sound: bytes  # the chunk that holds the samples
    essential: frozenset[bytes]  # written by the encoder, never copied
    total: tuple[int, str] | None  # place and struct format of the size of the whole file

    @property
    def header(self) -> int:
        return self.name_bytes + struct.calcsize(self.size)


_WAVE = frozenset({b"fmt ", b"data", b"fact", b"ds64", b"PEAK", b"JUNK", b"PAD ", b"FLLR"})
_AIFF = frozenset({b"COMM", b"SSND", b"FVER", b"PEAK"})
_CAF = frozenset({b"desc", b"data", b"pakt", b"kuki", b"free", b"peak", b"chan"})
_LAYOUTS = {
    b"RIFF": _Layout("wave", 12, 4, "<I", 2, False, b"data", _WAVE, (4, "<I")),
    b"RIFX": _Layout("wave, big-endian", 12, 4, ">I", 2, False, b"data", _WAVE, (4, ">I")),
    b"RF64": _Layout("wave", 12, 4, "<I", 2, False, b"data", _WAVE, (20, "<Q")),
    b"FORM": _Layout("aiff", 12, 4, ">I", 2, False, b"SSND", _AIFF, (4, ">I")),
    b"caff": _Layout("caf", 8, 4, ">q", 1, False, b"data", _CAF, None),
    b"riff": _Layout("wave64", 40, 16, "<Q", 8, True, b"data", _WAVE, (16, "<Q")),
}
_TIED_TO_RATE = frozenset({b"cue ", b"smpl", b"plst", b"bext", b"MARK", b"INST", b"mark", b"regn"})


@dataclass(frozen=True)
class Chunk:
    """One chunk: the place of its header in the file, and the length of what follows the header, in bytes."""

    name: bytes
    start: int
    size: int


@dataclass(frozen=True)
class Truncation:
    """Bytes of sound that the header promises and the file lacks, and bytes that the file holds and the header denies.

    The second happens to a recorder that is killed: it leaves a sound chunk of size 0 with the sound behind it.
    """

    absent: int = 0
    denied: int = 0


def loss(path: Path) -> Truncation:
    """What a cut-off file lost; nothing when it is whole, when the header does not say, and for other containers."""
    with path.open("rb") as file:
        layout = _layout(file)
        if layout is None:
            return Truncation()
        end = file.seek(0, os.SEEK_END)
        chunks = list(_walk(file, layout, end))
    sound = next((chunk for chunk in chunks if chunk.name[:4] == layout.sound), None)
    if sound is None:
        return Truncation()
    begin = sound.start + layout.header
    if sound.size == 0 and sound is chunks[-1]:
        return Truncation(denied=end - begin)
    absent = begin + sound.size - end
    return Truncation() if is_unknown(sound.size) or absent < _CARELESS else Truncation(absent=absent)


def copy_chunks(source: Path, target: Path, same_rate: bool) -> None:
    """Append to `target` the chunks of `source` that are neither sound nor format, if both are of one family.

    Args:
        source: the input file.
        target: the finished output file; its chunks of the same names are kept, as the encoder wrote them.
        same_rate: False when the sample rate changed: chunks that count samples are then left out.
    """
    with source.open("rb") as old, target.open("r+b") as new:
        layout, own = _layout(old), _layout(new)
        if layout is None or own is None or layout.family != own.family:
            return
        present = {chunk.name for chunk in _walk(new, own, new.seek(0, os.SEEK_END))}
        for chunk in _walk(old, layout, old.seek(0, os.SEEK_END)):
            plain = chunk.name[:4]
            if plain in layout.essential or chunk.name in present - {b"LIST"} or chunk.size > _LARGEST_COPY:
                continue
            old.seek(chunk.start)
            content = old.read(layout.header + chunk.size)
            if not same_rate and (plain in _TIED_TO_RATE or content[layout.header :].startswith(b"adtl")):
                continue
            new.seek(0, os.SEEK_END)
            new.write(bytes(-new.tell() % own.alignment) + content)
        end = new.seek(0, os.SEEK_END)
        new.write(bytes(-end % own.alignment))
        if own.total is not None:
            place, number = own.total
            new.seek(place)
            new.write(struct.pack(number, end + -end % own.alignment - (0 if own.counts_header else 8)))


def _layout(file: BinaryIO) -> _Layout | None:
    file.seek(0)
    magic = file.read(4)
    return _LAYOUTS.get(b"RF64" if magic == b"BW64" else magic)


def _walk(file: BinaryIO, layout: _Layout, end: int) -> Iterator[Chunk]:
    """The chunks up to the end of the file, or up to the first bytes that are no chunk."""
    place, long_sound = layout.start, None
    while place + layout.header <= end:
        file.seek(place)
        name = file.read(layout.name_bytes)
        (size,) = struct.unpack(layout.size, file.read(layout.header - layout.name_bytes))
        size -= layout.header if layout.counts_header else 0
        if not name[:4].isascii() or not name[:4].decode().isprintable() or (size < 0 and name != layout.sound):
            return
        if layout.name_bytes == 16 and not name.endswith(_WAVE64_TAIL):
            return
        if name == b"ds64" and size >= 16:
            long_sound = struct.unpack("<Q", file.read(16)[8:])[0]
        if name == layout.sound and size == UNKNOWN and long_sound is not None:
            size = long_sound
        if name[:4] != layout.sound and place + layout.header + size > end:
            return
        yield Chunk(name, place, size)
        if size < 0:
            return
        place += layout.header + size
        place += -place % layout.alignment


def is_unknown(size: int) -> bool:
    """Whether a size stands for "until the end": ffmpeg, sox and arecord write such sizes when they cannot go back.

    Example:
        >>> is_unknown(UNKNOWN), is_unknown(96000)
        (True, False)
    """
    return size <= 0 or 0x7FFF0000 <= size <= 0x80000100 or 0xFFFFFF00 <= size <= UNKNOWN
