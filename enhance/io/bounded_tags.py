"""ID3 tags are read up to a bound: a frame may be packed, a thousand times smaller than what it holds.

mutagen unpacks each such frame whole. So a tag is looked at first: mutagen hands out the frames that it does not know
as they are stored, and here it knows none. They are unpacked in pieces, and given up where tags cannot be meant, or
where reading them would take minutes.
Of all that mutagen reads, only ID3 is packed.

Reference: ID3v2.3, 3.3.1, and ID3v2.4, 4.1.2, "Frame format flags" (id3.org); ID3v2 Chapter Frame Addendum, 1.0.
"""

import re
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

from mutagen import FileType
from mutagen.aiff import AIFF
from mutagen.easyid3 import EasyID3
from mutagen.id3 import ID3, Frames, ID3NoHeaderError, ID3UnsupportedVersionError
from mutagen.mp3 import MP3
from mutagen.wave import WAVE

from enhance.utils.errors import FileError

MOST_UNPACKED = 64_000_000  # bytes of all frames of one tag
_FINDERS: dict[Any, Any] = {ID3: ID3, EasyID3: ID3, MP3: ID3, WAVE: WAVE, AIFF: AIFF}  # what finds the tag of a class
_MOST_COPIED = 10**11  # bytes, a few seconds: mutagen copies the rest of a frame for each of its texts
_DEEPEST = 4  # chapters in chapters; the addendum allows none
_HEADER = 10  # bytes in front of a frame and of a tag
_PACKED, _ENCRYPTED, _UNSYNCHRONISED, _LENGTH_TOLD = 8, 4, 2, 1  # flags of a frame of ID3v2.4
_PACKED_23, _ENCRYPTED_23 = 0x80, 0x40  # of ID3v2.3
_WHOLE_TAG = 0x80  # flag of a tag: it is unsynchronised


class _NamesOnly(dict[str, Any]):
    """Frames whose names are known, which say how sizes are written, and whose content is not read."""

    def __getitem__(self, name: str) -> Any:
        raise KeyError(name)


AS_STORED = _NamesOnly(Frames)  # `known_frames` of mutagen: no frame is unpacked


def read_bounded(kind: type[FileType] | type[ID3] | type[EasyID3], source: Path | bytes) -> Any:
    """Return what a class of mutagen reads from a file, or from the bytes of an ID3 tag.

    Raises:
        FileError: the tag unpacks to more than `MOST_UNPACKED` bytes, holds a frame of very many texts, or its chapters
            lie in one another.
        MutagenError: it cannot be read.
    """
    if kind in _FINDERS:
        _check(_FINDERS[kind], source)
    return kind(_opened(source))


def _check(finder: Any, source: Path | bytes) -> None:
    """Refuse a tag that unpacks to too much; the frames of its chapters count like all others."""
    left, found = MOST_UNPACKED, [(0, *_frames(finder, source))]
    while found:
        depth, version, flags, frames = found.pop()
        if depth > _DEEPEST:
            raise FileError(f"its tags hold chapters in chapters, {depth} deep, and are not kept")
        for frame in frames:
            content, size = _content(frame, version, bool(flags & _WHOLE_TAG), left)
            left -= size
            texts = _texts(frame[:4], content)
            if texts * len(content) > _MOST_COPIED:
                raise FileError(f"its tags hold {texts} texts in one frame, and are not kept")
            inner = _inner_frames(frame[:4], content)
            if inner:
                found.append((depth + 1, *_frames(ID3, _tag(version, flags, inner))))


def _opened(source: Path | bytes) -> Path | BytesIO:
    return BytesIO(source) if isinstance(source, bytes) else source


def _frames(finder: Any, source: Path | bytes) -> tuple[int, int, list[bytes]]:
    """Return the version (3 or 4), the flags, and the frames of ID3 in a file, as they are stored.

    Tags of ID3v1 and 2.2 hold nothing packed: they, and files without a tag, have no frames here.
    """
    try:
        read = finder(_opened(source), known_frames=AS_STORED, translate=False, load_v1=False)
    except (ID3NoHeaderError, ID3UnsupportedVersionError):
        return 0, 0, []
    tags = read if isinstance(read, ID3) else read.tags
    if tags is None or tags.version[1] < 3:
        return 0, 0, []
    return tags.version[1], _WHOLE_TAG * tags.f_unsynch, list(tags.unknown_frames)


def _content(frame: bytes, version: int, unsynchronised: bool, left: int) -> tuple[bytes, int]:
    """Return what a frame holds, and how many bytes were unpacked for that, at most `left`.

    Raises:
        FileError: they are more.
    """
    flags, stored = int.from_bytes(frame[8:_HEADER]), frame[_HEADER:]
    if flags & (_ENCRYPTED if version == 4 else _ENCRYPTED_23):
        return b"", 0
    if version == 3:
        return _unpacked([stored[4:]], left) if flags & _PACKED_23 else (stored, 0)
    length = stored[:4] if flags & (_PACKED | _LENGTH_TOLD) else b""
    stored = stored[len(length) :]
    if unsynchronised or flags & _UNSYNCHRONISED:
        stored = _synchronised(stored)
    return _unpacked([stored, length + stored], left) if flags & _PACKED else (stored, 0)


def _unpacked(ways: list[bytes], left: int) -> tuple[bytes, int]:
    """Return what is packed, in the first of some ways in which it can be read, and how many bytes all tries gave."""
    size = 0
    for packed in ways:  # old mutagen wrote no length
        unpacking = zlib.decompressobj()
        try:
            content = unpacking.decompress(packed, left - size + 1)
        except zlib.error:
            continue
        size += len(content)
        if size > left:
            raise FileError(f"its tags unpack to more than {MOST_UNPACKED // 1_000_000} MB, and are not kept")
        if unpacking.eof:
            return content, size
    return b"", size


def _synchronised(stored: bytes) -> bytes:
    """Undo the unsynchronisation, as mutagen does: bytes that cannot be unsynchronised stay as they are."""
    if re.search(rb"\xff(?:[\xe0-\xff]|\Z)", stored):
        return stored
    return stored.replace(b"\xff\x00", b"\xff")


def _texts(name: bytes, content: bytes) -> int:
    """Return how many texts a frame holds at most; 0 for frames that are no lists of texts."""
    if not name.startswith(b"T"):
        return 0
    return content.count(b"\0\0" if content[:1] in (b"\1", b"\2") else b"\0")  # UTF-16, or one byte a letter


def _inner_frames(name: bytes, content: bytes) -> bytes:
    """Return the frames inside a chapter or a table of contents; nothing in other frames."""
    _, _, rest = content.partition(b"\0")
    if name == b"CHAP":
        return rest[16:]  # start and end: times and places
    if name == b"CTOC" and len(rest) > 1:
        return rest[2:].split(b"\0", rest[1])[-1]  # flags, number of entries, their names
    return b""


def _tag(version: int, flags: int, frames: bytes) -> bytes:
    """Return a tag of ID3 with these frames."""
    size = bytes(len(frames) >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3" + bytes((version, 0, flags)) + size + frames
