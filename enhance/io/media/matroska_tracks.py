"""What Matroska says of its tracks and FFmpeg does not hand on: language tags, and the shape of the picture.

FFmpeg knows `Language`, three letters, and not `LanguageIETF`, a tag of BCP 47 such as de-CH or pt-BR. And a stream
that PyAV adds for copying has no aspect, so that an anamorphic picture would come out narrow. Both are read from the
input here. For the output FFmpeg is given a longer name in place of the three letters; when the file is complete, the
entry of the track is written again with all elements, inside the room that the name took, and nothing has to move.

Reference: RFC 9559 (Matroska), 5.1.4.1; RFC 8794 (EBML), 11.3.1 on CRC-32 and 11.3.2 on Void.
"""

import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

SEGMENT, _TRACKS, CLUSTER = 0x18538067, 0x1654AE6B, 0x1F43B675
_ENTRY, _KIND, _VIDEO, _VOID, _CRC = 0xAE, 0x83, 0xE0, 0xEC, 0xBF
_LANGUAGE, _LANGUAGE_IETF = 0x22B59C, 0x22B59D
_SHAPE = (0x54B0, 0x54BA, 0x54B2, 0x54B3, 0x54AA, 0x54BB, 0x54CC, 0x54DD)  # display size, unit and kind, crop
_KINDS = frozenset({1, 2, 17})  # video, audio, subtitles: the tracks that FFmpeg makes streams of
_LETTERS = 3
_SPARE = 8  # bytes of room beside what is needed: an element that fills the rest takes at least two
_LARGEST = 2**24  # bytes of all tracks that are still read


@dataclass(frozen=True)
class TrackExtras:
    """Properties of a track that FFmpeg does not hand on.

    Attributes:
        language: tag of BCP 47, empty when there is none.
        shape: elements of the picture's display size and crop, by their kind.
    """

    language: str = ""
    shape: Mapping[int, bytes] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.language or self.shape)


def read_extras(path: Path) -> list[TrackExtras]:
    """Return what FFmpeg does not hand on of each video, sound and subtitle track, in the order of the file."""
    with path.open("rb") as file:
        found = _find_tracks(file)
        data = file.read(found[1]) if found else b""
    return [_extras_of(data, begin, end) for begin, end in _entries(data)]


def roomy_language(language: str, extras: TrackExtras) -> str:
    """Return a name that begins with three letters and takes as much room as `write_extras` needs.

    Example:
        >>> roomy_language("ger", TrackExtras("de-CH"))
        'ger+++++++++++++++++'
    """
    shape = sum(len(_element(kind, content)) for kind, content in extras.shape.items())
    room = len(_element(_LANGUAGE_IETF, extras.language.encode())) + shape + _SPARE
    return (language if len(language) == _LETTERS else "und") + "+" * room


def write_extras(path: Path, extras: Mapping[int, TrackExtras]) -> None:
    """Write what FFmpeg did not, where it wrote the names of `roomy_language`.

    Args:
        path: of a complete file.
        extras: by the place of a track among those of pictures, sound and subtitles.

    Raises:
        OSError: when the file cannot be written.
    """
    if not extras:
        return
    with path.open("r+b") as file:
        found = _find_tracks(file)
        if found is None:
            return
        data = file.read(found[1])
        for place, (begin, end) in enumerate(_entries(data)):
            if place in extras:
                data = data[:begin] + _rewritten(data, begin, end, extras[place]) + data[end:]
        if data[:2] == bytes((_CRC, 0x84)):
            data = data[:2] + struct.pack("<I", zlib.crc32(data[6:])) + data[6:]
        file.seek(found[0])
        file.write(data)


def _entries(data: bytes) -> list[tuple[int, int]]:
    """Begin and end of what is in each entry of a video, sound or subtitle track."""
    found = [(begin, end) for kind, begin, end in _elements(data, 0, len(data)) if kind == _ENTRY]
    return [
        (begin, end)
        for begin, end in found
        if any(
            kind == _KIND and int.from_bytes(data[first:last]) in _KINDS
            for kind, first, last in _elements(data, begin, end)
        )
    ]


def _extras_of(data: bytes, begin: int, end: int) -> TrackExtras:
    language, shape = "", {}
    for kind, first, last in _elements(data, begin, end):
        if kind == _LANGUAGE_IETF:
            language = data[first:last].rstrip(b"\0").decode("ascii", "replace")
        elif kind == _VIDEO:
            inside = _elements(data, first, last)
            shape = {inner: data[start:stop] for inner, start, stop in inside if inner in _SHAPE}
    return TrackExtras(language, shape)


def _rewritten(data: bytes, begin: int, end: int, extras: TrackExtras) -> bytes:
    """Return an entry with all elements; as long as before, or as it was when there is no room."""
    made = b""
    for kind, first, last in _elements(data, begin, end):
        content = data[first:last]
        if kind == _LANGUAGE:
            made += _element(kind, content[:_LETTERS])
            made += _element(_LANGUAGE_IETF, extras.language.encode()) if extras.language else b""
        elif kind == _VIDEO and extras.shape:
            inside = [(inner, data[start:stop]) for inner, start, stop in _elements(data, first, last)]
            kept = [(inner, what) for inner, what in inside if inner not in _SHAPE]
            made += _element(kind, b"".join(_element(*pair) for pair in [*kept, *extras.shape.items()]))
        else:
            made += _element(kind, content)
    room = end - begin - len(made)
    if room < 2 or room > 2 + 0x7E:
        return data[begin:end]
    return made + _element(_VOID, bytes(room - 2))


def _element(kind: int, content: bytes) -> bytes:
    width = 1 if len(content) < 0x7F else 4
    size = (len(content) | 1 << 7 * width).to_bytes(width)
    return kind.to_bytes((kind.bit_length() + 7) // 8) + size + content


def _find_tracks(file: BinaryIO) -> tuple[int, int] | None:
    """Go to what is in the element of all tracks. Returns its place and size; None when there is none that is whole."""
    end = file.seek(0, 2)
    place = 0
    while place < end:
        file.seek(place)
        head = file.read(12)
        kind, size, length = head_of(head, 0)
        if length == 0 or kind == CLUSTER:
            return None
        if kind == _TRACKS:
            file.seek(place + length)
            return (place + length, size) if size is not None and size < min(_LARGEST, end) else None
        if kind != SEGMENT and size is None:
            return None
        place += length + (0 if kind == SEGMENT else size or 0)
    return None


def _elements(data: bytes, begin: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Walk over elements that follow each other: kind, begin and end of what is in them."""
    while begin < end:
        kind, size, length = head_of(data, begin)
        if length == 0 or size is None or begin + length + size > end:
            return
        yield kind, begin + length, begin + length + size
        begin += length + size


def head_of(data: bytes, place: int) -> tuple[int, int | None, int]:
    """Return the kind, size (None: unknown) and length of the head of an element; length 0 when there is none."""
    first = data[place] if place < len(data) else 0
    width = 9 - first.bit_length()
    if not 1 <= width <= 4 or place + width >= len(data):
        return 0, None, 0
    kind = int.from_bytes(data[place : place + width])
    second = data[place + width]
    digits = 9 - second.bit_length()
    if digits > 8 or place + width + digits > len(data):
        return 0, None, 0
    size = int.from_bytes(data[place + width : place + width + digits]) & ((1 << 7 * digits) - 1)
    return kind, None if size == (1 << 7 * digits) - 1 else size, width + digits
