"""Texts in WAV and AIFF whose letters are not UTF-8: those of Windows programs, and of the old Macintosh.

libsndfile hands such texts on as they are, and soundfile puts a sign for "no letter" into them. RIFF means code page
1004 where nothing says otherwise, which is Windows-1252.

References: Microsoft, "Multimedia Programming Interface and Data Specifications 1.0" (INFO, CSET); Apple, AIFF 1.3.
"""

import os
import struct
from collections.abc import Iterator
from pathlib import Path

from enhance.io.sound.riff_chunks import layout_of, walk

_INFO = {b"INAM": "title", b"ICOP": "copyright", b"ISFT": "software", b"IART": "artist", b"ICMT": "comment",
         b"ICRD": "date", b"IPRD": "album", b"ITRK": "tracknumber", b"IGNR": "genre"}  # fmt: skip
_AIFF = {b"NAME": "title", b"AUTH": "artist", b"ANNO": "comment", b"(c) ": "copyright"}
_LONGEST = 2**20  # bytes of a chunk of texts


def read_texts(path: Path) -> dict[str, str]:
    """Return title, artist and the like of a WAV or AIFF, by the names that libsndfile has for them.

    Raises:
        OSError: when it cannot be read.
    """
    with path.open("rb") as file:
        layout = layout_of(file)
        if layout is None or layout.family not in ("wave", "wave, big-endian", "aiff"):
            return {}
        texts = {}
        for chunk in list(walk(file, layout, file.seek(0, os.SEEK_END))):
            is_text = chunk.name in _AIFF if layout.family == "aiff" else chunk.name == b"LIST"
            if not is_text or chunk.size > _LONGEST:
                continue
            file.seek(chunk.start + layout.header)
            content = file.read(chunk.size)
            if layout.family == "aiff":
                texts[_AIFF[chunk.name]] = _decoded(content, "mac_roman")
            elif content.startswith(b"INFO"):
                texts |= {_INFO[name]: _decoded(text, "cp1252") for name, text in _entries(content, layout.size)}
        return texts


def _entries(content: bytes, size: str) -> Iterator[tuple[bytes, bytes]]:
    """Yield the names and texts of a list that are known; `size` is how lengths are written."""
    place = 4
    while place + 8 <= len(content):
        name, (length,) = content[place : place + 4], struct.unpack_from(size, content, place + 4)
        if name in _INFO:
            yield name, content[place + 8 : place + 8 + length]
        place += 8 + length + length % 2


def _decoded(text: bytes, otherwise: str) -> str:
    text = text.partition(b"\0")[0]
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text.decode(otherwise, "replace")
