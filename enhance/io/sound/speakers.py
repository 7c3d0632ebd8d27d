"""Which speaker each channel is for: read from a sound file, and written into the new one.

Speakers are kept as the channel mask of WAV files, one bit a speaker, and the channels in the order of the bits. FLAC
has the same order, and fixed speakers for each number of channels unless a tag has another mask. Vorbis and Opus have
fixed speakers in an order of their own. CAF and AIFF hold a layout of Apple's: a mask, one label a channel, or the
number of a named layout. AU, Wave64 and MP3 as libsndfile writes them name no speakers.

References: Microsoft, "Multiple Channel Audio Data and WAVE Files"; RFC 9639 (FLAC), section 8.6.2; RFC 7845 (Opus),
section 5.1.1.2; Vorbis I, section 4.3.9; Apple, "Core Audio Format Specification" and CoreAudioBaseTypes.h.
"""

import os
import struct
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mutagen import MutagenError
from mutagen.flac import FLAC

from enhance.io.formats import Encoding
from enhance.io.sound.chunk_copy import Chunks, append
from enhance.io.sound.riff_chunks import layout_of, walk

NAMES = ("FL", "FR", "FC", "LFE", "BL", "BR", "FLC", "FRC", "BC", "SL", "SR", "TC", "TFL", "TFC", "TFR", "TBL", "TBC",
         "TBR")  # fmt: skip
_LAYOUTS = {
    0x4: "mono", 0x3: "stereo", 0xB: "2.1", 0x7: "3.0", 0x103: "3.0(back)", 0x33: "quad", 0x603: "quad(side)",
    0x107: "4.0", 0xF: "3.1", 0x37: "5.0", 0x607: "5.0(side)", 0x3F: "5.1", 0x60F: "5.1(side)", 0x13F: "6.1(back)",
    0x70F: "6.1", 0x63F: "7.1", 0xFF: "7.1(wide)", 0: "no speakers",
}  # fmt: skip
USUAL = {1: 0x4, 2: 0x3, 3: 0x7, 4: 0x33, 5: 0x37, 6: 0x3F, 7: 0x70F, 8: 0x63F}  # of Vorbis and Opus
_OF_FLAC = USUAL | {5: 0x607, 6: 0x60F}  # as flac itself and FFmpeg read "back or surround"
# Channel i of a Vorbis or Opus file is channel ORDER[channels][i] in the order of the bits.
VORBIS_ORDER = {3: (0, 2, 1), 5: (0, 2, 1, 3, 4), 6: (0, 2, 1, 4, 5, 3), 7: (0, 2, 1, 5, 6, 4, 3),
                8: (0, 2, 1, 6, 7, 4, 5, 3)}  # fmt: skip
_MASK_TAG = "WAVEFORMATEXTENSIBLE_CHANNEL_MASK"
_WITH_MASK = ("WAVEX", "RF64")  # containers of libsndfile with a mask in their `fmt ` chunk
_APPLE = {"CAF": b"chan", "AIFF": b"CHAN"}
_BY_LABELS, _BY_MASK = 0, 1 << 16
# Apple's named layouts, number << 16 | channels, as FFmpeg reads them.
_APPLE_LAYOUTS = {
    100 << 16 | 1: "FC", 101 << 16 | 2: "FL FR",
    108 << 16 | 4: "FL FR SL SR", 113 << 16 | 3: "FL FR FC", 114 << 16 | 3: "FC FL FR", 115 << 16 | 4: "FL FR FC BC",
    116 << 16 | 4: "FC FL FR BC", 117 << 16 | 5: "FL FR FC SL SR", 118 << 16 | 5: "FL FR SL SR FC",
    119 << 16 | 5: "FL FC FR SL SR", 120 << 16 | 5: "FC FL FR SL SR", 121 << 16 | 6: "FL FR FC LFE SL SR",
    122 << 16 | 6: "FL FR SL SR FC LFE", 123 << 16 | 6: "FL FC FR SL SR LFE", 124 << 16 | 6: "FC FL FR SL SR LFE",
    125 << 16 | 7: "FL FR FC LFE SL SR BC", 126 << 16 | 8: "FL FR FC LFE SL SR FLC FRC",
    127 << 16 | 8: "FC FLC FRC FL FR SL SR LFE", 128 << 16 | 8: "FL FR FC LFE SL SR BL BR",
    131 << 16 | 3: "FL FR BC", 132 << 16 | 4: "FL FR SL SR", 133 << 16 | 3: "FL FR LFE", 134 << 16 | 4: "FL FR LFE BC",
    135 << 16 | 5: "FL FR LFE SL SR", 136 << 16 | 4: "FL FR FC LFE",
}  # fmt: skip


@dataclass(frozen=True)
class Speakers:
    """The speakers of the channels of a file.

    Attributes:
        mask: one bit a speaker, 0 when the channels belong to none (several microphones), None when nothing is known.
        order: place in the file of each channel in the order of the bits; empty when they are in that order.
        apple: a layout of a CAF or AIFF file that no mask can say; it goes to such files as it is.
    """

    mask: int | None = None
    order: tuple[int, ...] = ()
    apple: bytes = b""

    def __str__(self) -> str:
        return name_of(self.mask)


def name_of(mask: int | None) -> str:
    """Return the usual name of a mask, else its speakers.

    Example:
        >>> name_of(0x60F), name_of(0x5)
        ('5.1(side)', 'FL+FC')
    """
    if mask is None:
        return "not named"
    known = _LAYOUTS.get(mask)
    return known or "+".join(name for bit, name in enumerate(NAMES) if mask >> bit & 1) or f"mask {mask:#x}"


def from_names(names: Iterable[str]) -> Speakers:
    """Return speakers of channels by FFmpeg's names; nothing when one of them is not known or is there twice.

    Example:
        >>> from_names(["FC", "FL", "FR"])
        Speakers(mask=7, order=(1, 2, 0), apple=b'')
    """
    listed = list(names)
    if not listed or len(set(listed)) != len(listed) or not set(listed) <= set(NAMES):
        return Speakers()
    bits = [NAMES.index(name) for name in listed]
    order = tuple(sorted(range(len(bits)), key=bits.__getitem__))
    return Speakers(sum(1 << bit for bit in bits), order if order != tuple(range(len(bits))) else ())


def in_format(content: bytes) -> int | None:
    """Return the mask in the content of a `fmt ` chunk; None when it has no place for one."""
    if len(content) < 24 or content[:2] != b"\xfe\xff":
        return None
    return struct.unpack_from("<I", content, 20)[0]


def read_speakers(path: Path, encoding: Encoding, channels: int) -> Speakers:
    """Return the speakers that a sound file names.

    Args:
        path: of the file.
        encoding: its container and subtype.
        channels: number of its channels.
    """
    if encoding.major == "OGG":
        wanted = VORBIS_ORDER.get(channels, ())
        order = tuple(wanted.index(channel) for channel in range(len(wanted)))
        return Speakers(USUAL.get(channels) if channels > 2 else None, order)
    if encoding.major == "FLAC":
        with suppress(MutagenError, ValueError, IndexError):
            tags: Any = FLAC(path).tags
            if tags is not None and _MASK_TAG in tags:
                return Speakers(int(tags[_MASK_TAG][0], 0))
        return Speakers(_OF_FLAC.get(channels) if channels > 2 else None)
    if encoding.major in _APPLE:
        return from_apple(_chunk(path, _APPLE[encoding.major])[1], channels)
    return Speakers(in_format(_chunk(path, b"fmt ")[1]))


def with_mask(encoding: Encoding, speakers: Speakers, channels: int) -> Encoding:
    """Return the encoding, changed to WAV with a mask where the speakers would be lost without.

    Example:
        >>> with_mask(Encoding("WAV", "PCM_16"), Speakers(0x60F), 6).major
        'WAVEX'
    """
    import soundfile

    unusual = speakers.mask is not None and not (channels <= 2 and speakers.mask == USUAL[channels])
    if encoding.major == "WAV" and unusual and soundfile.check_format("WAVEX", encoding.subtype, encoding.endian):
        return Encoding("WAVEX", encoding.subtype, encoding.endian)
    return encoding


def write_speakers(path: Path, encoding: Encoding, speakers: Speakers, channels: int) -> str | None:
    """Name the speakers in a finished file, where its container can and the writer of the sound has not.

    Returns:
        A note where they are lost, else None.

    Raises:
        OSError: when the file cannot be written.
    """
    mask, usual = speakers.mask, USUAL.get(channels)
    if encoding.major in _WITH_MASK:
        start, content = _chunk(path, b"fmt ")
        if in_format(content) is not None:
            with path.open("r+b") as file:
                file.seek(start + 20)
                file.write(struct.pack("<I", mask if mask is not None else usual or 0 if channels <= 2 else 0))
        return None
    if encoding.major == "FLAC":
        _tag(path, mask if mask != _OF_FLAC.get(channels) else None)
        return None
    if encoding.major in _APPLE and (mask is not None or speakers.apple):
        content = speakers.apple or struct.pack(">III", _BY_MASK, mask or 0, 0)
        name, form = _APPLE[encoding.major], ">q" if encoding.major == "CAF" else ">I"
        chunk = name + struct.pack(form, len(content)) + content
        append(Chunks(encoding.major.lower(), behind=[(name, chunk)]), path, front_is_written=True)
        return None
    if mask is None or (mask == usual and (channels <= 2 or encoding.major == "OGG")):
        return None
    instead = f"; they are those of {name_of(usual)}" if encoding.major == "OGG" and usual else ""
    return f"{encoding.major} has no place for its speakers ({speakers}){instead}"


def _tag(path: Path, mask: int | None) -> None:
    try:
        file: Any = FLAC(path)
        if mask is None and (file.tags is None or _MASK_TAG not in file.tags):
            return
        if file.tags is None:
            file.add_tags()
        if mask is None:
            del file[_MASK_TAG]
        else:
            file[_MASK_TAG] = f"{mask:#06x}"
        file.save()
    except MutagenError as error:
        raise OSError(f"tags: {error}") from error


def _chunk(path: Path, name: bytes) -> tuple[int, bytes]:
    """Return the place and content of the first chunk of a name; nothing when there is none."""
    with path.open("rb") as file:
        layout = layout_of(file)
        if layout is not None:
            for chunk in walk(file, layout, file.seek(0, os.SEEK_END)):
                if chunk.name[:4] == name:
                    start = chunk.start + layout.header
                    file.seek(start)
                    return start, file.read(min(chunk.size, 2**16))
    return 0, b""


def from_apple(content: bytes, channels: int) -> Speakers:
    """Return the speakers of a layout of Apple's: its tag, mask and number of labels, then 20 bytes for each label."""
    if len(content) < 12:
        return Speakers()
    tag, mask, count = struct.unpack_from(">III", content)
    if tag == _BY_MASK and mask < 1 << len(NAMES):
        return Speakers(mask)
    if tag == _BY_LABELS and count == channels and len(content) >= 12 + 20 * count:
        labels = [struct.unpack_from(">I", content, 12 + 20 * number)[0] for number in range(count)]
        names = [NAMES[label - 1] if 1 <= label <= len(NAMES) else "" for label in labels]
    else:
        names = _APPLE_LAYOUTS.get(tag, "").split()
    speakers = from_names(names)
    if speakers.mask is None:
        return Speakers(apple=content)
    return speakers
