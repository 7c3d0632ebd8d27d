"""Is a sound file whole? What libsndfile does not say: it reads a file that was cut off as if it were shorter."""

import struct
from pathlib import Path

from enhance.io.sound.riff_chunks import CARELESS, UNKNOWN, Truncation, loss

_OGG_PAGE = 27 + 255 + 255 * 255  # bytes of the largest Ogg page (RFC 3533)


def what_is_missing(path: Path) -> str | None:
    """Return a few words on what a cut-off file lacks; None when it is whole as far as its container shows.

    FLAC and MP3 show it by their number of samples instead: see `SoundReader` and `pieces_of`.
    """
    with path.open("rb") as file:
        magic = file.read(4)
    if magic == b"OggS":
        return "its last page is not complete" if _ogg_is_cut(path) else None
    lost = _au_loss(path) if magic == b".snd" else loss(path)
    if lost.denied:
        said = "no sound, but" if lost.declared == 0 else f"{lost.declared} bytes of sound, and"
        return f"its header says {said} {lost.denied} bytes follow it"
    return f"{lost.absent} bytes of sound that its header promises are not there" if lost.absent else None


def _ogg_is_cut(path: Path) -> bool:
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - _OGG_PAGE))
        tail = file.read()
    page = tail.rfind(b"OggS\0")
    if page < 0:
        return False
    if len(tail) < page + 27 or len(tail) < page + 27 + tail[page + 26]:
        return True
    lacing = tail[page + 27 : page + 27 + tail[page + 26]]
    return len(tail) < page + 27 + len(lacing) + sum(lacing)


def _au_loss(path: Path) -> Truncation:
    with path.open("rb") as file:
        start, size = struct.unpack(">II", file.read(12)[4:].ljust(8, b"\0"))
    there = path.stat().st_size - start
    if size == UNKNOWN or start < 24:
        return Truncation()
    return Truncation(max(0, size - there), there - size if there - size >= CARELESS else 0, size)
