"""What libsndfile is shown of a sound file, so that the data and not a header decides where the sound ends.

Most files are shown as they are. An MP3 is shown as the recordings of which it is made, each behind a header with the
right count; a WAV of which the size has wrapped at 4 GB, or whose recorder lost its power, with the size that its bytes
have; a WAV in GSM or ADPCM ends where its `fact` chunk says, not with its last block.
"""

import mmap
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

from enhance.dsp.rate import resampled_length
from enhance.io.sound import mp3_frames, mp3_view, ogg_pages
from enhance.io.sound.byte_view import ByteView, Range
from enhance.io.sound.riff_chunks import UNKNOWN, Sound, find_sound, is_unknown, layout_of, walk

_BLOCKS = {0x0002: 2, 0x0011: 2, 0x0031: 1}  # MS ADPCM, IMA ADPCM, GSM 6.10: blocks of padding at the end at most
_FLAC = b"fLaC\0\0\0\x22"
_LONG = b"ds64"  # the chunk with the sizes of an RF64
_FLOATS = b"\3\0"  # code of a format
_WAVE = ("wave", "wave, big-endian", "wave64")


@dataclass(frozen=True)
class Piece:
    """One recording in a file.

    Attributes:
        open: gives what soundfile opens: the path, or a view of the file.
        samples: per channel: reading ends there; None to read as long as libsndfile gives any.
        sample_rate, channels: of the recording; None to believe libsndfile.
        start: place of its first sample, where sound is missing before it; None when it follows the one before.
    """

    open: Callable[[], Path | ByteView]
    samples: int | None = None
    sample_rate: int | None = None
    channels: int | None = None
    start: int | None = None


@dataclass
class Pieces:
    """The recordings in a file, and what is wrong with it.

    Attributes:
        recordings: in their order; empty when there is nothing that libsndfile could read.
        lacks: what a file that was cut off lacks, in a few words; empty when it is whole.
        notes: what a person should know of a file that can be read.
        tolerance: samples per recording that a decoder may drop where a recording begins in the middle of a stream.
    """

    recordings: list[Piece]
    lacks: str = ""
    notes: list[str] = field(default_factory=list)
    tolerance: int = 0

    def length(self, sample_rate: int) -> int | None:
        """Return the samples per channel of all recordings together at one rate; None when one does not say."""
        total = 0
        for piece in self.recordings:
            if piece.samples is None:
                return None
            total = max(total, piece.start or 0)
            total += resampled_length(piece.samples, piece.sample_rate or sample_rate, sample_rate)
        return total


def pieces_of(path: Path, salvage: bool) -> Pieces:
    """Return the parts of a file to show to libsndfile.

    Args:
        path: of the file.
        salvage: of a file whose header denies some of its sound, show all that is there.

    Raises:
        OSError: when it cannot be read.
    """
    sound = find_sound(path)
    if sound is None and salvage and _begins(path, b".snd"):
        return Pieces([Piece(lambda: ByteView(path, [(0, 8), b"\xff" * 4, (12, path.stat().st_size)]))])
    if sound is None and _begins(path, b"OggS"):
        return _of_ogg(path)
    if sound is None and len(joined := _of_flac(path)) > 1:
        return Pieces(joined, notes=[_joined(len(joined))])
    if sound is None:
        return _of_mp3(path) if mp3_frames.is_mp3(path) else Pieces([Piece(lambda: path)])
    size, notes, limit = sound.size, [], None
    if sound.more:
        notes.append(f"{sound.more} bytes of sound in a further chunk are left out: players stop at the first")
    if sound.wrapped:
        notes.append(f"its header says {sound.declared} bytes of sound, there are {size}: all are read")
    elif salvage and sound.rest:
        size += sound.rest
    elif sound.layout.family in _WAVE:
        with path.open("rb") as file:
            limit = _counted(file, sound)
            ancient = file.seek(0) == 0 and file.read(4) == b"BW64"
        if ancient and _is_understood(path, sound):  # libsndfile knows the same container by its earlier name only
            return Pieces([Piece(lambda: ByteView(path, [b"RF64", (4, sound.end)]))])
    if size == sound.declared and not sound.more and _is_understood(path, sound):
        return Pieces([Piece(lambda: path, limit)], notes=notes)
    header = _header(path, sound, size)
    view = lambda: ByteView(path, [*header, (sound.begin, sound.begin + size)])  # noqa: E731
    return Pieces([Piece(view, limit)], notes=notes)


def _is_understood(path: Path, sound: Sound) -> bool:
    """Return whether libsndfile finds the sound and what it is: it trusts padding, but reads it as sound in Wave64.

    Nor does it look for floats behind the extended format of Wave64, or skip the padding of odd chunks in RF64.
    """
    if any(chunk.name == _LONG for chunk in sound.before) and any(chunk.size % 2 for chunk in sound.before):
        return False
    if sound.layout.family == "wave64":
        return sound.begin + sound.size == sound.end and _extended_floats(path, sound) is None
    return sound.aligned or sound.layout.alignment == 1


def _extended_floats(path: Path, sound: Sound) -> int | None:
    """Return the place of the code of a Wave64's format when that is extended and stands for floats."""
    place = next((chunk.start + sound.layout.header for chunk in sound.before if chunk.name[:4] == b"fmt "), 0)
    with path.open("rb") as file:
        file.seek(place)
        content = file.read(26)
    return place if content[:2] == b"\xfe\xff" and content[24:] == _FLOATS else None


def _of_flac(path: Path) -> list[Piece]:
    """Return the recordings of a FLAC: each begins with a mark and a block of properties, 34 bytes (RFC 9639)."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        places = [0] if content[:8] == _FLAC else []
        while places and (place := content.find(_FLAC, places[-1] + 8)) >= 0:
            places.append(place)
        recordings = []
        for begin, end in pairwise([*places, len(content)]):
            declared = int.from_bytes(content[begin + 18 : begin + 26], "big")  # 20, 3, 5 and 36 bits
            view = lambda part=(begin, end): ByteView(path, [part])  # noqa: E731
            recordings.append(Piece(view, declared & (1 << 36) - 1 or None, declared >> 44, (declared >> 41 & 7) + 1))
        return recordings


def _begins(path: Path, mark: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(mark)) == mark


def _of_ogg(path: Path) -> Pieces:
    """Return all recordings of a chain, or of a damaged file the stretches that are whole, each at its time."""
    chain = ogg_pages.chain_of(path)
    if chain:
        found = Pieces([], notes=[_joined(len(chain))])
        for link in chain:
            view = lambda part=link.bytes: ByteView(path, [part])  # noqa: E731
            found.recordings.append(Piece(view, link.samples, link.sample_rate, link.channels))
        return found
    damage = ogg_pages.damage_of(path)
    if damage is None:
        return Pieces([Piece(lambda: path)])
    recordings = [
        Piece(lambda parts=stretch.parts: ByteView(path, list(parts)), stretch.samples, start=stretch.start)
        for stretch in damage.stretches
    ]
    return Pieces(recordings, str(damage))


def _joined(count: int) -> str:
    return f"{count} recordings, joined in one file: all are read"


def _of_mp3(path: Path) -> Pieces:
    scan = mp3_frames.scan(path)
    found = Pieces([], tolerance=2 * 1152)
    for number, recording in enumerate(scan.recordings):
        if recording.declared is not None and recording.frames < recording.declared - 1:  # some count the header too
            found.lacks = f"its header promises {recording.declared} frames, there are {recording.frames}"
        show = lambda number=number: mp3_view.view(path, scan, number)  # noqa: E731
        found.recordings.append(Piece(show, recording.samples, recording.sample_rate, recording.channels))
    if len(scan.recordings) > 1:
        found.notes.append(_joined(len(scan.recordings)))
    if scan.cut and not found.lacks:
        found.notes.append("its last frame is not complete and is left out")
    if scan.junk:
        found.notes.append(f"{scan.junk} bytes between its frames are no sound and are left out")
    return found


def _header(path: Path, sound: Sound, size: int) -> list[bytes | Range]:
    """Return the header of a file with the right size of its sound, all padding, and nothing behind the sound."""
    layout = sound.layout
    with path.open("rb") as file:
        content = bytearray(file.read(layout.start))
        becomes_long = size >= UNKNOWN and layout.family == "wave" and content[:4] == b"RIFF"
        counts_padding = becomes_long or content[:4] in (b"RF64", b"BW64")  # which libsndfile does not skip there
        if content[:4] == b"BW64":
            content[:4] = b"RF64"
        for chunk in sound.before:
            file.seek(chunk.start)
            place = len(content)
            content += file.read(layout.header + chunk.size)
            content += bytes(-len(content) % layout.alignment)
            if counts_padding:
                content[place + 4 : place + layout.header] = struct.pack("<I", len(content) - place - layout.header)
        file.seek(sound.start)
        content += file.read(layout.header)
    begin = len(content)
    if layout.family == "wave64" and (code := _extended_floats(path, sound)) is not None:
        content[code : code + 2] = _FLOATS
    if becomes_long:
        total = begin + 36 + size - 8
        long = struct.pack("<4sI4s4sIQQQI", b"RF64", UNKNOWN, b"WAVE", _LONG, 28, total, size, 0, 0)
        return [long, bytes(content[12 : begin - layout.header]), struct.pack("<4sI", b"data", UNKNOWN)]
    if size != sound.declared:
        number = struct.pack(layout.size, size + (layout.header if layout.counts_header else 0))
        content[begin - len(number) :] = number
    if layout.total is not None:
        place, form = layout.total
        total = struct.pack(form, begin + size - (0 if layout.counts_header else 8))
        content[place : place + len(total)] = total
    return [bytes(content)]


def _counted(file: BinaryIO, sound: Sound) -> int | None:
    """Return samples per channel of a WAV in blocks; None for other encodings, where each sample has its own bytes.

    The `fact` chunk counts, as long as it agrees with the blocks: their last one is filled up with padding.
    """
    layout = layout_of(file)
    assert layout is not None
    declared, content = None, b""
    for chunk in walk(file, layout, sound.end):
        if chunk.name[:4] in (b"fact", b"fmt "):
            file.seek(chunk.start + layout.header)
            data = file.read(min(chunk.size, 64))
            if chunk.name[:4] == b"fmt ":
                content = data
            elif len(data) >= 4:
                (declared,) = struct.unpack(layout.size[0] + "I", data[:4])
    if len(content) < 20:
        return None
    tag, _, _, _, width, _, _, each = struct.unpack(layout.size[0] + "HHIIHHHH", content[:20])
    if tag not in _BLOCKS or not width or not each:
        return None
    there = sound.size // width * each
    if declared is None or is_unknown(declared) or not there - _BLOCKS[tag] * each <= declared <= there:
        return there if tag == 0x0031 else None
    return declared
