"""The length of an MP3 in its first frame, so that the delay and the padding of the encoder are not heard.

LAME writes such a frame itself, at the bitrate of the sound where that is constant; and none where it would be too
short for all fields: below 64 kbit/s at 48 kHz, as for voices.

Reference: Gabriel Bouvigne, "MP3 Info Tag revision 1" (LAME).
"""

import struct
from pathlib import Path

from enhance.io.sound.mp3_frames import scan
from enhance.io.sound.mp3_view import own_frame
from enhance.utils.insertion import insert

_DELAY = 576  # samples that LAME puts in front
_MOST = 0xFFF  # samples of padding that can be noted
_FRAMES, _BYTES = 1, 2  # flags of fields


def state_length(path: Path, samples: int) -> None:
    """Put a frame in front of the sound of a new MP3 that notes its length, where LAME has written none.

    Args:
        path: of a file that libsndfile wrote.
        samples: per channel, without delay and padding.

    Raises:
        OSError: when the file cannot be written.
    """
    found = scan(path)
    if len(found.recordings) != 1:
        return
    (recording,) = found.recordings
    padding = recording.frames * recording.samples_per_frame - _DELAY - samples
    if recording.declared is not None or not 0 <= padding <= _MOST:
        return
    size = sum(end - start for start, end in recording.ranges)
    lame = b"LAME3.100".ljust(21, b"\0") + (_DELAY << 12 | padding).to_bytes(3, "big") + bytes(12)
    size += len(own_frame(recording.header, b""))
    note = b"Info" + struct.pack(">III", _FRAMES | _BYTES, recording.frames, size) + lame
    with path.open("r+b") as file:
        insert(file, recording.ranges[0][0], own_frame(recording.header, note))
