"""Is a sound file whole? What libsndfile does not say: it reads a file that was cut off as if it were shorter."""

import struct
from pathlib import Path

from enhance.io.riff_chunks import Truncation, loss

_OGG_PAGE = 27 + 255 + 255 * 255  # bytes of the largest Ogg page (RFC 3533)


def what_is_missing(path: Path, major: str) -> str | None:
    """A few words on what a cut-off file lacks; None when it is whole as far as its container can tell.

    FLAC and MP3 tell it by their number of samples instead: see `declares_length`.

    Args:
        path: of the file.
        major: container in libsndfile's names.
    """
    if major == "OGG":
        return "its last page is not complete" if _ogg_is_cut(path) else None
    lost = Truncation(_au_missing(path)) if major == "AU" else loss(path)
    if lost.denied:
        return f"its header tells of no sound, but {lost.denied} bytes follow it"
    return f"{lost.absent} bytes of sound that its header promises are not there" if lost.absent else None


def declares_length(path: Path, major: str) -> bool:
    """Whether the number of samples that libsndfile tells is exact; an MP3 without a Xing header has an estimate."""
    return major != "MP3" or _mp3_has_length(path)


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


def _au_missing(path: Path) -> int:
    with path.open("rb") as file:
        header = file.read(12)
    if not header.startswith(b".snd"):
        return 0
    start, size = struct.unpack(">II", header[4:])
    return 0 if size == 0xFFFFFFFF else max(0, start + size - path.stat().st_size)


def _mp3_has_length(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(10)
        start = 0
        if head.startswith(b"ID3") and len(head) == 10:  # ID3v2: four times seven bits of length
            start = 10 + sum(byte << shift for byte, shift in zip(head[6:], (21, 14, 7, 0), strict=True))
        file.seek(start)
        first = file.read(8192)
    place = max(first.find(b"Xing"), first.find(b"Info"))
    return place >= 0 and len(first) >= place + 8 and bool(first[place + 7] & 1)
