"""Damage in the container of a recording that FFmpeg steps over without a word.

In Matroska, MPEG-TS and FLV FFmpeg looks for the next whole part behind one that is damaged, and hands on what it
finds: sound is missing, and nobody is told. A hole in the time stamps alone is no damage, since recorders leave holes,
too. So where a track has one, the structure of the file is read: elements that do not end where they should, packets
of a transport stream without their first byte or out of count, tags whose size does not stand behind them.

Reference: RFC 8794 (EBML), 5 to 7; ISO/IEC 13818-1, 2.4.3; Adobe Flash Video File Format Specification 10.1, annex E.
"""

from pathlib import Path
from typing import BinaryIO

import numpy as np

from enhance.io.media.matroska_tracks import CLUSTER, SEGMENT, head_of

_EBML, _VOID = 0x1A45DFA3, 0xEC
_SYNC, _PACKETS_AT_ONCE = 0x47, 50_000
_SIZES = (188, 192, 204)  # bytes of a packet of MPEG-TS: plain, behind a time stamp, before a checksum


def is_damaged(path: Path, container: str, track: int) -> bool:
    """Return whether the structure of a file is broken somewhere, or cut off.

    Args:
        path: of the file.
        container: name of FFmpeg's demuxer; False is returned for those that say damage themselves.
        track: identifier of the sound track in the file.

    Raises:
        OSError: when the file cannot be read.
    """
    with path.open("rb") as file:
        size = file.seek(0, 2)
        if "matroska" in container:
            return _matroska_is_damaged(file, size)
        if container == "mpegts":
            return _transport_is_damaged(file, track)
        return container == "flv" and _flv_is_damaged(file, size)


def bytes_cut_off(path: Path, container: str) -> int:
    """Return how many bytes of an AVI are not there, by its headers; 0 for other containers, which FFmpeg or their own
    lengths tell, and for one whose recorder wrote no sizes.

    Args:
        path: of the file.
        container: name of FFmpeg's demuxer.

    Raises:
        OSError: when the file cannot be read.
    """
    if container != "avi":
        return 0
    with path.open("rb") as file:
        size, end = file.seek(0, 2), 0
        while end < size:  # a long one is of several parts
            file.seek(end)
            head = file.read(8)
            length = int.from_bytes(head[4:], "little")
            if head[:4] != b"RIFF" or length in (0, 2**32 - 1):
                return 0
            end += 8 + length + length % 2
    return end - size if end > size + 8 else 0  # some writers count the head, too


def _matroska_is_damaged(file: BinaryIO, size: int) -> bool:
    place, segment, ends = 0, 0, [size]  # ends of the elements that are open, the innermost last
    while place < size:
        file.seek(place)
        kind, length, head = head_of(file.read(12), 0)
        ends = [size, *(end for end in ends[1:] if place < end)]
        if place >= segment and kind not in (_EBML, SEGMENT, _VOID):
            return False  # what stands behind the recording is none
        begin = place + head
        end = size if length is None else begin + length
        is_open = kind in (SEGMENT, CLUSTER)
        if head == 0 or end > ends[-1] or (length is None and not is_open):
            return True
        segment = end if kind == SEGMENT else segment
        if is_open and length is not None:
            ends.append(end)
        place = begin if is_open else end
    return False


def _transport_is_damaged(file: BinaryIO, track: int) -> bool:
    file.seek(0)
    start = np.frombuffer(file.read(8 * max(_SIZES)), np.uint8)
    places = [(width, first) for width in _SIZES for first in range(width) if np.all(start[first::width][:5] == _SYNC)]
    if not places:
        return True
    width, first = places[0]
    file.seek(first)
    counted = None
    while (data := file.read(width * _PACKETS_AT_ONCE)) and len(data) >= width:
        packets = np.frombuffer(data, np.uint8)[: len(data) // width * width].reshape(-1, width).astype(np.int64)
        if np.any(packets[:, 0] != _SYNC):
            return True
        ours = packets[((packets[:, 1] & 0x1F) << 8 | packets[:, 2]) == track]
        begins_anew = (ours[:, 3] & 0x20 > 0) & (ours[:, 4] > 0) & (ours[:, 5] & 0x80 > 0)
        with_sound = ours[:, 3] & 0x10 > 0
        counts = ours[with_sound, 3] & 0x0F
        steps = np.diff(counts, prepend=counts[:1] - 1 if counted is None else [counted]) % 16
        if np.any((steps > 1) & ~begins_anew[with_sound]):  # a packet may come twice
            return True
        counted = counts[-1] if len(counts) else counted
    return False


def _flv_is_damaged(file: BinaryIO, size: int) -> bool:
    file.seek(5)
    place = int.from_bytes(file.read(4)) + 4
    while place + 11 <= size:
        file.seek(place)
        length = 11 + int.from_bytes(file.read(4)[1:])
        file.seek(place + length)
        if int.from_bytes(file.read(4)) != length:
            return True
        place += length + 4
    return False
