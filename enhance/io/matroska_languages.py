"""Language tags of Matroska tracks such as de-CH or pt-BR, which FFmpeg neither reads nor writes.

A track has two elements: `Language`, three letters, which FFmpeg handles, and `LanguageIETF`, a tag of BCP 47. They are
read from the input here. For the output FFmpeg is given a longer name in place of the three letters, exactly as long as
both elements need; when the file is complete, they are written over it, and nothing has to move.

Reference: RFC 9559 (Matroska), 5.1.4.1; RFC 8794 (EBML), 11.3.1 on CRC-32.
"""

import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

_SEGMENT, _TRACKS, _CLUSTER = 0x18538067, 0x1654AE6B, 0x1F43B675
_ENTRY, _KIND, _LANGUAGE, _LANGUAGE_IETF, _CRC = 0xAE, 0x83, 0x22B59C, 0x22B59D, 0xBF
_KINDS = frozenset({1, 2, 17})  # video, audio, subtitles: the tracks that FFmpeg makes streams of
_FILLER = "++++"  # as long as the head of an element
_LETTERS = 3
_LARGEST = 2**24  # bytes of all tracks that are still read


def read_language_tags(path: Path) -> list[str]:
    """Return the tag of each video, sound and subtitle track, in the order of the file; empty where there is none."""
    tags: list[str] = []
    with path.open("rb") as file:
        found = _find_tracks(file)
        data = file.read(found[1]) if found else b""
    for kind, begin, end in _elements(data, 0, len(data)):
        if kind != _ENTRY:
            continue
        parts = {inner: data[first:last] for inner, first, last in _elements(data, begin, end)}
        if int.from_bytes(parts.get(_KIND, b"")) in _KINDS:
            tags.append(parts.get(_LANGUAGE_IETF, b"").rstrip(b"\0").decode("ascii", "replace"))
    return tags


def long_language(language: str, tag: str) -> str:
    """Return what stands for three letters and a tag until `write_language_tags` puts them there.

    Example:
        >>> long_language("ger", "de-CH")
        'ger++++de-CH'
    """
    return (language if len(language) == _LETTERS else "und") + _FILLER + tag


def write_language_tags(path: Path, names: Sequence[str]) -> None:
    """Put languages and their tags where FFmpeg wrote the names of `long_language`.

    Raises:
        OSError: when the file cannot be written.
    """
    if not names:
        return
    with path.open("r+b") as file:
        found = _find_tracks(file)
        if found is None:
            return
        begin, size = found
        data = file.read(size)
        for name in names:
            letters, tag = name.encode()[:_LETTERS], name.encode()[_LETTERS + len(_FILLER) :]
            long = _element(_LANGUAGE, name.encode())
            data = data.replace(long, _element(_LANGUAGE, letters) + _element(_LANGUAGE_IETF, tag), 1)
        if data[:2] == bytes((_CRC, 0x84)):
            data = data[:2] + struct.pack("<I", zlib.crc32(data[6:])) + data[6:]
        file.seek(begin)
        file.write(data)


def _element(kind: int, content: bytes) -> bytes:
    return kind.to_bytes(3) + bytes((0x80 | len(content),)) + content


def _find_tracks(file: BinaryIO) -> tuple[int, int] | None:
    """Go to what is in the element of all tracks. Returns its place and size; None when there is none that is whole."""
    end = file.seek(0, 2)
    place = 0
    while place < end:
        file.seek(place)
        head = file.read(12)
        kind, size, length = _head(head, 0)
        if length == 0 or kind == _CLUSTER:
            return None
        if kind == _TRACKS:
            file.seek(place + length)
            return (place + length, size) if size is not None and size < min(_LARGEST, end) else None
        if kind != _SEGMENT and size is None:
            return None
        place += length + (0 if kind == _SEGMENT else size or 0)
    return None


def _elements(data: bytes, begin: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Walk over elements that follow each other: kind, begin and end of what is in them."""
    while begin < end:
        kind, size, length = _head(data, begin)
        if length == 0 or size is None or begin + length + size > end:
            return
        yield kind, begin + length, begin + length + size
        begin += length + size


def _head(data: bytes, place: int) -> tuple[int, int | None, int]:
    """Kind, size (None: unknown) and length of the head of an element; length 0 when there is none."""
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
