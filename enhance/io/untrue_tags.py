"""Tags that describe the old stream and not the recording: the delay of its encoder, its checksum, gains for its level.

A wrong delay costs samples at the next reading, a wrong gain makes players too loud or too soft.

References: ReplayGain 2.0 (Hydrogenaudio wiki), RFC 7845 (R128 gains of Opus), ID3v2.4 (id3.org; RVA2, MLLT, ASPI).
"""

from io import BytesIO
from typing import Any

from mutagen import MutagenError
from mutagen.id3 import ID3

from enhance.io.bounded_tags import read_bounded
from enhance.utils.errors import FileError

_OF_THE_STREAM = frozenset({"itunsmpb", "encoder_delay", "encoder_padding", "md5", "encoding params"})
_GAINS = ("replaygain_", "r128_", "itunnorm", "mp3gain_")
_GAIN_FRAMES = ("RVA2", "RVAD", "RGAD")
_STREAM_FRAMES = ("MLLT", "ASPI", "SEEK")  # of ID3: places in the old file


def is_untrue(name: str, level: bool) -> bool:
    """Return whether a field of this name describes the old stream; with another `level` gains do.

    Example:
        >>> is_untrue("iTunSMPB", level=False), is_untrue("REPLAYGAIN_TRACK_GAIN", level=False)
        (True, False)
    """
    return name.lower() in _OF_THE_STREAM or (level and name.lower().startswith(_GAINS))


def drop_untrue(tags: Any, level: bool) -> list[str]:
    """Take away the tags of mutagen that describe the old stream: its encoder's delay, its checksum, and its gain.

    Args:
        tags: of a file; changed in place.
        level: whether the level of the sound changed, so that gains are not true any more.

    Returns:
        Their names.
    """
    if tags is None:
        return []
    dropped = []
    for key in list(tags.keys()):
        parts = key.split(":")  # ----:com.apple.iTunes:NAME, TXXX:NAME, COMM:NAME:eng
        name = parts[1] if parts[0] in ("TXXX", "COMM") and len(parts) > 1 else parts[-1]
        if is_untrue(name, level) or key[:4] in _STREAM_FRAMES or (level and key[:4] in _GAIN_FRAMES):
            dropped.append(name)
            del tags[key]
    return dropped


def true_id3(content: bytes, level: bool) -> tuple[bytes, list[str]]:
    """Return an ID3 tag, as WAV and AIFF hold it in a chunk, without what is not true any more, and the names of that.

    Args:
        content: of the chunk; what cannot be read as a tag comes back as it is.
        level: whether the level of the sound changed.
    """
    try:
        tags = read_bounded(ID3, content)
    except (MutagenError, FileError):
        return content, []
    dropped = drop_untrue(tags, level)
    if not dropped:
        return content, []
    early = tags.version < (2, 4, 0)
    if early:
        tags.update_to_v23()
    written = BytesIO()
    tags.save(written, v1=0, v2_version=3 if early else 4)
    return written.getvalue(), dropped
