"""Speakers of the channels of a sound track in MOV: the layout (`chan`) in the description of its samples.

Apple's layouts may list the speakers in any order (C L R ...). FFmpeg reads such an order as a "custom" layout, and
PyAV frees the list of one twice, as soon as somebody asks for it: the process ends. So it gets a layout by bits first.
The samples of PCM stay in the order of the file, and the box goes into the new file as it is; decoders of compressed
sound have an order of their own, which they tell when they are opened.

Reference: QuickTime File Format Specification, "Sound Sample Descriptions" and "Audio Channel Layout Atom".
"""

import struct
from contextlib import suppress
from typing import TYPE_CHECKING

from av.error import FFmpegError

from enhance.io.media.mp4_boxes import Box, parse, track_id
from enhance.io.sound.speakers import NAMES, Speakers, from_apple

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer

_FIELDS = {0: 28, 1: 44, 2: 64}  # bytes of a sound description by its version, before its boxes
_ENTRY = 8  # version, flags and count of `stsd`
_HEAD = 8  # size and type of a box


def settle_layouts(container: "InputContainer", movie: Box) -> None:
    """Give the decoders of tracks that name their speakers a layout by bits, before anybody asks for their layout."""
    for stream in container.streams.audio:
        description = _description(_track(movie, stream))
        if description is None or _layout(description) is None or stream.codec_context is None:
            continue
        names = _names(description)
        stream.codec_context.layout = "+".join(names) if names else f"{_channels(description)} channels"
        if not _is_pcm(stream):
            with suppress(FFmpegError):  # what cannot be opened is refused with the first packet
                stream.codec_context.open(strict=False)


def named_speakers(stream: "AudioStream", movie: Box) -> Speakers | None:
    """Return the speakers of PCM sound; None where the decoder tells them, or the file names none."""
    description = _description(_track(movie, stream))
    layout = _layout(description)
    if description is None or layout is None or not _is_pcm(stream):
        return None
    return _speakers(layout, description) if _names(description) else Speakers()


def carry_speakers(old: Box, new: Box) -> None:
    """Put the layout of a track (`trak`) into the description of another one whose samples are in the same order."""
    layout, place = _layout(_description(old)), new.find(b"mdia", b"minf", b"stbl", b"stsd")
    description = _description(new)
    if layout is None or place is None or description is None:
        return
    fields = _HEAD + _fields(description)
    boxes = [box for box in parse(description[fields:]) if box.kind != b"chan"]
    content = description[_HEAD:fields] + b"".join(box.pack() for box in [*boxes, layout])
    place.data = place.data[:_ENTRY] + Box(description[4:8], content).pack()


def _description(track: Box | None) -> bytes | None:
    """Return the only description of the samples of a track, with its head; None when there are more or none."""
    box = track.find(b"mdia", b"minf", b"stbl", b"stsd") if track is not None else None
    if box is None or len(box.data) < _ENTRY + _HEAD + _FIELDS[0] or box.data[4:_ENTRY] != b"\0\0\0\1":
        return None
    description = box.data[_ENTRY:]
    return description if len(description) >= _HEAD + _fields(description) else None


def _fields(description: bytes) -> int:
    """Return the bytes of a description before its boxes, without the head."""
    (version,) = struct.unpack_from(">H", description, _HEAD + 8)
    return _FIELDS.get(version, _FIELDS[0])


def _channels(description: bytes) -> int:
    if _fields(description) == _FIELDS[2]:
        return struct.unpack_from(">I", description, _HEAD + 40)[0]
    return struct.unpack_from(">H", description, _HEAD + 16)[0]


def _layout(description: bytes | None) -> Box | None:
    """Return the box with the layout; old files have it among the settings of the decoder (`wave`)."""
    if description is None:
        return None
    boxes = parse(description[_HEAD + _fields(description) :])
    inner = [box for outer in boxes if outer.kind == b"wave" for box in parse(outer.data)]
    return next((box for box in boxes + inner if box.kind == b"chan" and len(box.data) >= 16), None)


def _speakers(layout: Box, description: bytes) -> Speakers:
    return from_apple(layout.data[4:], _channels(description))


def _names(description: bytes) -> list[str]:
    """Return the speakers in the order of their bits; nothing where they are not known."""
    layout = _layout(description)
    mask = _speakers(layout, description).mask if layout is not None else None
    names = [name for bit, name in enumerate(NAMES) if (mask or 0) >> bit & 1]
    return names if len(names) == _channels(description) else []


def _track(movie: Box, stream: "AudioStream") -> Box | None:
    return next((track for track in movie.all(b"trak") if track_id(track) == stream.id), None)


def _is_pcm(stream: "AudioStream") -> bool:
    return stream.codec_context.name.startswith("pcm_")
