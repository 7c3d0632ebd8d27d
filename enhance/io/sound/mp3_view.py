"""One recording of an MP3 as libsndfile reads it right: behind an Info frame that states the right number of frames.

Reference: Gabriel Bouvigne, "MP3 Info Tag revision 1" (LAME).
"""

import struct
from pathlib import Path

from enhance.io.sound.byte_view import ByteView
from enhance.io.sound.mp3_frames import DECODER_DELAY, KILOBITS, Recording, Scan, frame_length, header_kind, side_bytes

_INFO_KILOBITS = 64  # of the Info frame that `view` writes: long enough for all fields, short for its ear


def view(path: Path, found: Scan, number: int) -> ByteView:
    """Return one recording of a file, as libsndfile reads it right, with the tags of the file if it is the first.

    The sound may go on behind its end: `Recording.samples` says how much of it counts.
    """
    recording = found.recordings[number]
    tags = found.tags if number == 0 else []
    before, behind = ([part for part in tags if (part[0] == 0) is front] for front in (True, False))
    head, tail = (_front(recording), b"") if recording.layer == 3 else (b"", _back(path, recording))
    return ByteView(path, [*before, head, *recording.ranges, tail, *behind])


def _front(recording: Recording) -> bytes:
    """Return a frame without sound that states the number of those which follow.

    libmpg123 leaves out what its decoder delays, 529 samples, wherever it finds such a frame. So that none is lost
    where no delay is stated, a silent frame comes first, and all of it is stated as delay.
    """
    if recording.lame or not recording.whole:
        return own_frame(recording.header, b"Info" + struct.pack(">II", 1, recording.frames) + recording.lame)
    delay = recording.samples_per_frame - DECODER_DELAY
    lame = b"mpeace".ljust(21, b"\0") + (delay << 12 | DECODER_DELAY).to_bytes(3, "big") + bytes(12)
    frame = own_frame(recording.header, b"Info" + struct.pack(">II", 1, recording.frames + 1) + lame)
    return frame + own_frame(recording.header, b"")


def own_frame(like: bytes, content: bytes) -> bytes:
    """Return a frame of layer III without sound, with `content` where a decoder that does not know it finds zeros."""
    kind, header = header_kind(like), bytearray(like)
    assert kind is not None
    header[1] |= 1  # no checksum
    header[2] = KILOBITS[kind.version == 3, 3].index(_INFO_KILOBITS) + 1 << 4 | header[2] & 0x0C
    return bytes((header + bytes(side_bytes(kind)) + content).ljust(frame_length(header, kind), b"\0"))


def _back(path: Path, recording: Recording) -> bytes:
    """Return the last frame again, until libmpg123, which guesses by the length of the first, expects all of them."""
    kind = header_kind(recording.header)
    assert kind is not None
    size = sum(end - start for start, end in recording.ranges)
    first, start, end = frame_length(recording.header, kind), *recording.last
    with path.open("rb") as file:
        file.seek(start)
        last = file.read(end - start)
    return last * (1 + max(0, (recording.frames + 2) * first - size) // len(last))
