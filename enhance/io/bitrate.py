"""Bitrate of lossy outputs: a 320 kbit/s MP3 comes back at 320, a 24 kbit/s voice message at 24.

libsndfile takes one compression level from 0 to 1 for every encoder. The tables and formulas here turn a bitrate into
that level; they follow libsndfile's `ogg_opus.c`, `ogg_vorbis.c` and `mpeg_l3_encode.c`.
"""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from enhance.io.formats import Encoding
from enhance.io.sound.mp3_frames import bitrate, scan


@dataclass(frozen=True)
class Compression:
    """Settings of a lossy encoder of libsndfile: `level` from 0 (best) to 1, and for MP3 the bitrate mode."""

    level: float | None = None
    mode: str | None = None


# Nominal bits per second and channel of Vorbis q0..q10 and LAME V9..V0, both published for stereo at 44.1 kHz.
_VORBIS_RATES = (32e3, 40e3, 48e3, 56e3, 64e3, 80e3, 96e3, 112e3, 128e3, 160e3, 250e3)
_LAME_RATES = (32e3, 42e3, 50e3, 57e3, 65e3, 82e3, 87e3, 95e3, 112e3, 122e3)

_OPUS_RATE = 64e3  # of one channel of many: no more than what it gives a mono file


def compression_like(
    path: Path, encoding: Encoding, seconds: float | None, channels: int, sample_rate: int
) -> Compression:
    """Return the compression that gives about the bitrate of a file which has the same encoding.

    Args:
        path: of the input.
        encoding: of input and output.
        seconds: length of the input; None when nobody knows.
        channels: number of channels.
        sample_rate: of the output in Hz.
    """
    if encoding.subtype not in ("VORBIS", "OPUS", "MPEG_LAYER_III"):
        return Compression()
    stream = _stream(path, encoding)
    declared = int(getattr(stream, "bitrate_mode", 0))
    mode = {1: "CONSTANT", 2: "VARIABLE"}.get(declared, "AVERAGE")
    bits_per_second = float(getattr(stream, "bitrate", 0))
    if encoding.subtype == "MPEG_LAYER_III":  # without a header mutagen goes by the first frame
        bits_per_second, constant = bitrate(scan(path))
        mode = mode if declared else "CONSTANT" if constant else "VARIABLE"
    if bits_per_second <= 0:
        if not seconds:
            return usual_compression(encoding, channels)
        bits_per_second = 8 * path.stat().st_size / seconds
    return match_compression(encoding.subtype, bits_per_second, channels, sample_rate, mode)


def usual_compression(encoding: Encoding, channels: int) -> Compression:
    """Return the compression of sound that was in another codec: what the encoder does by itself, if that is good.

    libsndfile 1.2.2 leaves Opus of three channels or more without anything above 8 kHz unless it gets a level.

    Args:
        encoding: of the output.
        channels: number of channels.

    Example:
        >>> usual_compression(Encoding("OGG", "OPUS"), 6).level, usual_compression(Encoding("OGG", "OPUS"), 2).level
        (0.768, None)
    """
    if encoding.subtype == "OPUS" and channels > 2:
        return Compression(_opus_level(_OPUS_RATE))
    return Compression()


def _stream(path: Path, encoding: Encoding) -> Any:
    """Return what mutagen says of a stream, None when it says nothing; tags are not unpacked."""
    from mutagen import File, MutagenError
    from mutagen.mp3 import MP3
    from mutagen.oggopus import OggOpus
    from mutagen.oggvorbis import OggVorbis

    from enhance.io.bounded_tags import AS_STORED

    try:
        if encoding.major == "MP3":
            return MP3(path, known_frames=AS_STORED, load_v1=False).info
        return getattr(File(path, options=[OggOpus, OggVorbis]), "info", None)
    except MutagenError:
        return None


def match_compression(subtype: str, bits_per_second: float, channels: int, sample_rate: int, mode: str) -> Compression:
    """Return the compression that gives about this bitrate.

    Args:
        subtype: VORBIS, OPUS or MPEG_LAYER_III; others have no such setting.
        bits_per_second: of the input, all channels.
        channels: number of channels.
        sample_rate: of the output in Hz.
        mode: CONSTANT, AVERAGE or VARIABLE, for MP3.

    Example:
        >>> match_compression("OPUS", 64e3, 1, 48000, "AVERAGE")
        Compression(level=0.768, mode=None)
    """
    each = bits_per_second / channels
    if subtype == "OPUS":
        return Compression(_opus_level(each))
    if subtype == "VORBIS":  # quality = 1 - level
        return Compression(_clamped(1 - _place(each, _VORBIS_RATES)))
    if subtype != "MPEG_LAYER_III":
        return Compression()
    if mode == "VARIABLE":
        return Compression(_clamped(0.9 * (1 - _place(each, _LAME_RATES))), mode)
    # libsndfile: from the highest to the lowest rate of MPEG-1, 2 and 2.5, linear in the level
    highest, lowest = (320e3, 32e3) if sample_rate >= 32000 else (160e3, 8e3) if sample_rate >= 16000 else (64e3, 8e3)
    return Compression(_clamped((highest - bits_per_second) / (highest - lowest)), mode)


def _opus_level(each: float) -> float:
    """Return the level for bits per second and channel; libsndfile: 6 + (256 - 6) * (1 - level) kbit/s."""
    return _clamped((256e3 - each) / 250e3)


def _place(value: float, steps: tuple[float, ...]) -> float:
    """Return the place of a value in a rising table, from 0 (first) to 1 (last), linear in between."""
    for index, (low, high) in enumerate(pairwise(steps)):
        if value < high:
            return max(0.0, index + (value - low) / (high - low)) / (len(steps) - 1)
    return 1.0


def _clamped(level: float) -> float:
    return round(min(max(level, 0.0), 0.99), 6)
