"""Containers made of chunks: is the sound whole, and what lies beside it (RIFF, RF64, RIFX, AIFF, CAF, Wave64).

libsndfile believes the sizes in the headers and reads a file that was cut off without a word. Here the chunks are
walked: `find_sound` and `loss` compare what the sound chunk promises with what is there. `enhance.io.sound.chunk_copy`
carries the other chunks over to the output.

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
CARELESS = 16  # bytes; some programs count the padding or a wrong header, and nothing is lost


@dataclass(frozen=True)
class Layout:
    """Layout of the chunks of one family of containers."""

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
_AIFF = frozenset({b"COMM", b"SSND", b"FVER", b"PEAK", b"CHAN"})
_CAF = frozenset({b"desc", b"data", b"pakt", b"kuki", b"free", b"peak", b"chan"})
_WELL_KNOWN = frozenset({b"LIST", b"bext", b"iXML", b"id3 ", b"ID3 ", b"cue ", b"smpl", b"axml", b"_PMX", b"MARK"})
_LAYOUTS = {
    b"RIFF": Layout("wave", 12, 4, "<I", 2, False, b"data", _WAVE, (4, "<I")),
    b"RIFX": Layout("wave, big-endian", 12, 4, ">I", 2, False, b"data", _WAVE, (4, ">I")),
    b"RF64": Layout("wave", 12, 4, "<I", 2, False, b"data", _WAVE, (20, "<Q")),
    b"FORM": Layout("aiff", 12, 4, ">I", 2, False, b"SSND", _AIFF, (4, ">I")),
    b"caff": Layout("caf", 8, 4, ">q", 1, False, b"data", _CAF, None),
    b"riff": Layout("wave64", 40, 16, "<Q", 8, True, b"data", _WAVE, (16, "<Q")),
}


@dataclass(frozen=True)
class Chunk:
    """One chunk: the place of its header in the file, and the length of what follows the header, in bytes.

    `declared` is the length by the header; it lacks the bits above the 32nd where the sound of a WAV is longer.
    """

    name: bytes
    start: int
    size: int
    declared: int


@dataclass(frozen=True)
class Truncation:
    """Bytes of sound that the header promises and the file lacks, and bytes that the file holds and the header denies.

    The second happens to a recorder that is killed: it leaves a sound chunk of the size that it last noted, often 0,
    with more sound behind it.
    """

    absent: int = 0
    denied: int = 0
    declared: int = 0  # bytes of sound by the header


@dataclass(frozen=True)
class Sound:
    """The chunk that holds the samples.

    Attributes:
        layout: of the container.
        start, begin: place of the chunk, and of its first byte of sound.
        declared: size that the header declares, in bytes; negative or `is_unknown` when it declares none.
        size: bytes of sound that are there and meant: `declared`, or more where a 32-bit size has wrapped around.
        rest: bytes that follow and are neither chunk, tag nor padding.
        end: of the file.
        before: the chunks before it.
        more: bytes of sound in further chunks of its kind, which players never reach, and libsndfile refuses.
    """

    layout: Layout
    start: int
    begin: int
    declared: int
    size: int
    rest: int
    end: int
    before: tuple[Chunk, ...]
    more: int = 0

    @property
    def aligned(self) -> bool:
        """Return whether all chunks up to the sound begin where they should: no odd one lacks its padding."""
        return all(place % 2 == 0 for place in (self.start, *(chunk.start for chunk in self.before)))

    @property
    def wrapped(self) -> bool:
        """Return whether the size in the header is the true one without its bits above the 32nd."""
        return self.size > self.declared and not is_unknown(self.declared)


def find_sound(path: Path) -> Sound | None:
    """Return the sound chunk of a file; None when it has none, and for other containers."""
    with path.open("rb") as file:
        layout = layout_of(file)
        if layout is None:
            return None
        end = file.seek(0, os.SEEK_END)
        chunks = list(walk(file, layout, end))
        sound = next((chunk for chunk in chunks if chunk.name[:4] == layout.sound), None)
        if sound is None:
            return None
        begin = sound.start + layout.header
        before = tuple(chunks[: chunks.index(sound)])
        if is_unknown(sound.declared) and sound.declared != 0:
            return Sound(layout, sound.start, begin, sound.declared, max(0, end - begin), 0, end, before)
        rest = 0
        if sound is chunks[-1] and sound.size == sound.declared and end - begin - sound.size >= CARELESS:
            file.seek(begin + sound.size)
            rest = 0 if _is_no_sound(file) else end - begin - sound.size
        size = min(sound.size, end - begin)
        more = sum(chunk.size for chunk in chunks if chunk.name == sound.name and chunk is not sound)
        return Sound(layout, sound.start, begin, sound.declared, size, rest, end, before, more)


def loss(path: Path) -> Truncation:
    """Return what a cut-off file lost; nothing when it is whole, of another kind, or its header does not say."""
    sound = find_sound(path)
    if sound is None or (is_unknown(sound.declared) and sound.declared != 0):
        return Truncation()
    absent = sound.declared - (sound.end - sound.begin)
    return Truncation(absent if absent >= CARELESS else 0, sound.rest, sound.declared)


def layout_of(file: BinaryIO) -> Layout | None:
    """Return the layout of a file that is made of chunks, by its first bytes."""
    file.seek(0)
    magic = file.read(4)
    return _LAYOUTS.get(b"RF64" if magic == b"BW64" else magic)


def walk(file: BinaryIO, layout: Layout, end: int) -> Iterator[Chunk]:
    """Yield the chunks up to the end of the file, or up to the first bytes that are no chunk.

    A chunk of odd size is followed by a byte of padding, which some programs leave out: where no chunk begins behind
    the padding and one does right behind the content, the walk goes on there. Sound whose 32-bit size has wrapped
    around ends where a chunk follows, or the file ends.
    """
    place, long_sound = layout.start, None
    while (header := _next_chunk(file, layout, place, end)) is not None:
        name, declared = header
        if name == b"ds64" and declared >= 16:
            long_sound = struct.unpack("<Q", file.read(16)[8:])[0]
        if name == layout.sound and declared == UNKNOWN and long_sound is not None:
            declared = long_sound
        begin, size = place + layout.header, declared
        if name == layout.sound and layout.header == 8 and long_sound is None:
            size = _unwrapped(file, layout, begin, declared, end)
        yield Chunk(name, place, size, declared)
        if size < 0:
            return
        place = _behind(file, layout, begin + size, end)


def _behind(file: BinaryIO, layout: Layout, place: int, end: int) -> int:
    """Return where a chunk may begin behind content that ends at a place: behind its padding, if it has any.

    CAF has no padding, but libsndfile puts a byte behind sound of odd size.
    """
    padded = place + -place % layout.alignment
    usual, other = (padded, place) if padded != place else (place, place + place % 2)
    if usual == other or _next_chunk(file, layout, usual, end) or not _next_chunk(file, layout, other, end):
        return usual
    return other


def _unwrapped(file: BinaryIO, layout: Layout, begin: int, declared: int, end: int) -> int:
    """Return the size of sound by what is there, for a 32-bit size that may lack its upper bits."""
    size = declared
    while size == 0 or not is_unknown(declared):
        if _next_chunk(file, layout, _behind(file, layout, begin + size, end), end) is not None:
            return size
        if size > declared and end - begin - size < CARELESS:
            return size
        if size + 2**32 > end - begin + CARELESS:
            return declared
        size += 2**32
    return declared


def _next_chunk(file: BinaryIO, layout: Layout, place: int, end: int) -> tuple[bytes, int] | None:
    """Name and size of the chunk that begins at a place, if one does; the file then stands behind its header."""
    if place + layout.header > end:
        return None
    file.seek(place)
    name = file.read(layout.name_bytes)
    (size,) = struct.unpack(layout.size, file.read(layout.header - layout.name_bytes))
    size -= layout.header if layout.counts_header else 0
    if not name[:4].isascii() or not name[:4].decode().isprintable() or (size < 0 and name != layout.sound):
        return None
    if layout.name_bytes == 16 and not name.endswith(_WAVE64_TAIL):
        return None
    if name[:4] in _LAYOUTS:  # another file, joined to this one
        return None
    return None if name[:4] != layout.sound and place + layout.header + size > end else (name, size)


def remainder(file: BinaryIO, layout: Layout, last: Chunk, end: int) -> int:
    """Return bytes behind the last chunk that are neither padding nor sound: the tag of a player, a chunk cut off."""
    place = last.start + layout.header + last.size
    if last.size < 0 or is_unknown(last.declared) or end - place <= layout.alignment:
        return 0
    file.seek(place)
    if last.name[:4] == layout.sound and not _is_no_sound(file):
        return 0
    file.seek(place)
    content = file.read(2**20)
    return end - place if any(content) else 0


def _is_no_sound(file: BinaryIO) -> bool:
    """Return whether what follows in a file is a tag of a player, a known chunk that was cut, or only zeros."""
    head = file.read(2**16)
    if head.startswith((b"TAG", b"ID3", b"APETAGEX", b"LYRICSBEGIN")) or {head[:4], head[1:5]} & _WELL_KNOWN:
        return True
    while head and not any(head):
        head = file.read(2**20)
    return not head


def is_unknown(size: int) -> bool:
    """Return whether a size stands for "until the end": ffmpeg, sox and arecord write such when they cannot go back.

    Example:
        >>> is_unknown(UNKNOWN), is_unknown(2**63 - 25), is_unknown(96000)
        (True, True, False)
    """
    return size <= 0 or 0x7FFF0000 <= size <= 0x80000100 or 0xFFFFFF00 <= size <= UNKNOWN or size >= 2**62
