"""The frames of an MP3 counted, since no header of it can be trusted for its length.

An MP3 is a row of frames, each with a header of 4 bytes from which its own length follows. A Xing, Info or VBRI frame
at the front may say how many there are; encoders that write into a pipe leave it out, and joined files hold several.
`scan` walks from header to header and gives the recordings of which a file is made: a new one begins at each such
frame, and where the sample rate or the number of channels changes. `enhance.io.sound.mp3_view` shows them to
libsndfile.

Reference: ISO/IEC 11172-3 and 13818-3 (frame header); Gabriel Bouvigne, "MP3 Info Tag revision 1" (LAME);
id3.org (ID3v1, ID3v2), the APEv2 and Lyrics3 specifications (tags between and after the frames).
"""

import mmap
import re
import struct
from dataclasses import dataclass, field
from pathlib import Path

from enhance.io.sound.byte_view import Range

KILOBITS = {  # by (MPEG-1, layer), index 1 to 14
    (True, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}  # by the bits of the version
_NOT_ZERO = re.compile(rb"[^\0]")
DECODER_DELAY = 529  # samples that a decoder of layer III comes late


@dataclass(frozen=True)
class _Kind:
    """Contents of a frame header, but for its padding, mode and bitrate."""

    version: int
    layer: int
    rate: int
    mono: bool

    @property
    def samples(self) -> int:
        """Samples per channel in a frame."""
        return 384 if self.layer == 1 else 576 if self.layer == 3 and self.version != 3 else 1152


@dataclass
class Recording:
    """A run of frames of one kind.

    Attributes:
        sample_rate, channels, layer: of all its frames.
        header: first bytes of its first frame.
        whole: whether its first frame needs no bits of frames before it, which a stream that was cut has lost.
        declared: number of frames that its Xing, Info or VBRI frame declares; None without.
        lame: the extension of that frame by LAME, with delay and padding; empty without.
        frames: number of frames that are there, that frame left out.
        ranges: where they lie.
        last: where the last one lies.
        bitrates: codes of the bitrates that its frames have.
    """

    sample_rate: int
    channels: int
    layer: int
    header: bytes
    samples_per_frame: int
    declared: int | None = None
    lame: bytes = b""
    whole: bool = True
    frames: int = 0
    ranges: list[Range] = field(default_factory=list)
    last: Range = (0, 0)
    bitrates: set[int] = field(default_factory=set)

    @property
    def samples(self) -> int:
        """Samples per channel, without the delay and the padding of the encoder where they are known."""
        trimmed = 0
        if self.lame:
            both = int.from_bytes(self.lame[21:24], "big")
            trimmed = (both >> 12) + DECODER_DELAY + max(0, (both & 0xFFF) - DECODER_DELAY)
        elif self.layer == 3 and not self.whole:
            trimmed = DECODER_DELAY
        return max(0, self.frames * self.samples_per_frame - trimmed)


@dataclass
class Scan:
    """Parts of an MP3.

    Attributes:
        recordings: in their order; more than one where files were joined.
        junk: bytes that are neither frame nor tag.
        cut: whether the last frame is not complete.
        tags: ranges of the ID3 tags at the very front and the very end.
    """

    recordings: list[Recording] = field(default_factory=list)
    junk: int = 0
    cut: bool = False
    tags: list[Range] = field(default_factory=list)


def is_mp3(path: Path) -> bool:
    """Return whether a file begins with a frame of MPEG audio; tags and zeros may come before it.

    Raises:
        OSError: when it cannot be read.
        ValueError: when it has no bytes.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return _Walk(data, Scan()).begins()


def scan(path: Path) -> Scan:
    """Walk through all frames of a file.

    Raises:
        OSError: when it cannot be read.
    """
    found = Scan()
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        _Walk(data, found).run()
    found.recordings = [recording for recording in found.recordings if recording.frames]
    return found


def is_mostly_mp3(path: Path) -> bool:
    """Return whether at least half of a file is frames of MPEG audio: any bytes hold a few that look like one.

    Raises:
        OSError: when it cannot be read.
        ValueError: when it has no bytes.
    """
    ranges = [part for recording in scan(path).recordings for part in recording.ranges]
    return 2 * sum(end - start for start, end in ranges) >= path.stat().st_size


def bitrate(found: Scan) -> tuple[float, bool]:
    """Return bits per second of the frames, and whether all have the same."""
    size = sum(end - start for recording in found.recordings for start, end in recording.ranges)
    seconds = sum(part.frames * part.samples_per_frame / part.sample_rate for part in found.recordings)
    rates = set().union(*(recording.bitrates for recording in found.recordings))
    return 8 * size / seconds if seconds else 0.0, len(rates) == 1


class _Walk:
    def __init__(self, data: mmap.mmap, found: Scan) -> None:
        self._data = data
        self._end = len(data)
        self._found = found
        self._current: Recording | None = None
        self._kind: _Kind | None = None
        self._free: dict[_Kind, int] = {}  # bytes of a frame of free format, without its padding

    def begins(self) -> bool:
        """Return whether a frame is the first thing that is neither tag nor zeros."""
        place = 0
        while size := _tag_length(self._data, place):
            place += size
        if (found := _NOT_ZERO.search(self._data, place)) is None:
            return False
        place = found.start()
        header = self._data[place : place + 4]
        kind = header_kind(header)
        length = self._length(place, header, kind)
        return kind is not None and length > 0 and self._confirmed(place + length, kind)

    def run(self) -> None:
        """Walk through the whole file."""
        place = 0
        while place < self._end:
            header = self._data[place : place + 4]
            kind = header_kind(header)
            length = self._length(place, header, kind)
            if kind is None or not length or (kind != self._kind and not self._confirmed(place + length, kind)):
                place = self._no_frame(place)
            elif place + length > self._end:
                self._found.cut = self._current is not None
                return
            else:
                self._frame(place, length, header, kind)
                place += length

    def _frame(self, place: int, length: int, header: bytes, kind: _Kind) -> None:
        start = place + 4 + side_bytes(kind)
        mark = self._data[start : start + 4] if kind.layer == 3 else b""
        is_xing = mark in (b"Xing", b"Info")
        if not is_xing and kind.layer == 3 and self._data[place + 36 : place + 40] == b"VBRI":
            self._begin(header, kind)
            assert self._current is not None
            self._current.declared = int.from_bytes(self._data[place + 50 : place + 54], "big")
            return
        if is_xing:
            self._begin(header, kind)
            assert self._current is not None
            self._current.declared, self._current.lame = _read_info(self._data[start : place + length])
            return
        if self._current is None or kind != self._kind:
            self._begin(header, kind)
        assert self._current is not None
        if self._current.frames == 0 and kind.layer == 3:
            place_of_bits = place + (4 if header[1] & 1 else 6)  # behind the checksum
            bits = int.from_bytes(self._data[place_of_bits : place_of_bits + 2], "big")
            self._current.whole = bits >> (7 if kind.version == 3 else 8) == 0
        self._current.frames += 1
        self._current.bitrates.add(header[2] >> 4)
        self._current.last = (place, place + length)
        ranges = self._current.ranges
        if ranges and ranges[-1][1] == place:
            ranges[-1] = (ranges[-1][0], place + length)
        else:
            ranges.append((place, place + length))

    def _begin(self, header: bytes, kind: _Kind) -> None:
        self._kind = kind
        channels = 1 if kind.mono else 2
        self._current = Recording(kind.rate, channels, kind.layer, header, kind.samples)
        self._found.recordings.append(self._current)

    def _no_frame(self, place: int) -> int:
        """Step over a tag, or to the next frame. Returns where to go on."""
        size = _tag_length(self._data, place)
        if size:
            end = min(place + size, self._end)
            if place == 0 or end == self._end:
                self._found.tags.append((place, end))
            return end
        start = place + 1
        while (start := self._data.find(b"\xff", start)) >= 0:
            header = self._data[start : start + 4]
            kind = header_kind(header)
            length = self._length(start, header, kind)
            if kind is not None and length and self._confirmed(start + length, kind):
                break
            start += 1
        end = start if start >= 0 else self._end
        marks = (self._data.find(mark, place + 1, end) for mark in (b"APETAGEX", b"LYRICSBEGIN", b"ID3", b"TAG"))
        end = min([end, *(tag for tag in marks if tag >= 0 and _tag_length(self._data, tag))])
        if any(self._data[place:end]):  # zeros are padding
            self._found.junk += end - place - _ape_items(self._data[end : end + 32])
        return end

    def _confirmed(self, place: int, kind: _Kind) -> bool:
        """Return whether a frame that ends at `place` is followed by one of its kind, by a tag, or by nothing."""
        return (
            place >= self._end
            or header_kind(self._data[place : place + 4]) == kind
            or _tag_length(self._data, place) > 0
        )

    def _length(self, place: int, header: bytes, kind: _Kind | None) -> int:
        if kind is None:
            return 0
        if header[2] >> 4:
            return frame_length(header, kind)
        padding = header[2] >> 1 & 1
        if kind not in self._free:  # free format: the bitrate follows from the distance to the next frame
            start = place + 24
            while (start := self._data.find(header[:2], start, place + 8192)) >= 0:
                following = self._data[start : start + 4]
                if header_kind(following) == kind and not following[2] >> 4:
                    self._free[kind] = start - place - padding
                    break
                start += 1
        return self._free[kind] + padding if kind in self._free else 0


def header_kind(header: bytes) -> _Kind | None:
    """Return the kind of frame that a header of 4 bytes begins; None when it is no header."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return None
    key = (header[1] >> 1 & 0xF, header[2] >> 2 & 3, header[3] >= 0xC0)
    return None if header[2] >> 4 == 15 else _KINDS.get(key)


def frame_length(header: bytes | bytearray, kind: _Kind) -> int:
    """Return bytes of a frame that is not of free format."""
    bits = 1000 * KILOBITS[kind.version == 3, kind.layer][(header[2] >> 4) - 1]
    padding = header[2] >> 1 & 1
    if kind.layer == 1:
        return 4 * (12 * bits // kind.rate + padding)
    return kind.samples // 8 * bits // kind.rate + padding


def side_bytes(kind: _Kind) -> int:
    """Return the bytes of side information after a header of layer III: a Xing or Info mark stands behind them."""
    return (17 if kind.mono else 32) if kind.version == 3 else (9 if kind.mono else 17)


def _read_info(content: bytes) -> tuple[int | None, bytes]:
    """Return the number of frames, and LAME's extension, that follow the side information of a Xing or Info frame."""
    flags = int.from_bytes(content[4:8], "big")
    frames = int.from_bytes(content[8:12], "big") if flags & 1 else None
    start = 8 + 4 * bool(flags & 1) + 4 * bool(flags & 2) + 100 * bool(flags & 4) + 4 * bool(flags & 8)
    lame = content[start : start + 36]
    return frames, lame if len(lame) == 36 and lame[0] else b""


def _tag_length(data: mmap.mmap, place: int) -> int:
    """Return bytes of the tag at a place, 0 when there is none."""
    head = data[place : place + 32]
    if head.startswith(b"ID3") and len(head) >= 10 and max(head[6:10]) < 128:  # ID3v2: four times seven bits
        return 10 + sum(byte << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
    if head.startswith(b"TAG") and len(data) - place <= 128 + 227:  # ID3v1, and its longer form TAG+
        return len(data) - place
    if head.startswith(b"APETAGEX") and len(head) == 32:
        size, _, flags = struct.unpack("<III", head[12:24])
        return 32 + (size if flags & 1 << 29 else 0)
    if head.startswith(b"LYRICSBEGIN"):
        end = max(data.find(b"LYRICS200", place), data.find(b"LYRICSEND", place))
        return end + 9 - place if end >= 0 else 0
    return 0


def _ape_items(footer: bytes) -> int:
    """Return bytes before the footer of an APEv2 tag without header, which belong to it."""
    if not footer.startswith(b"APETAGEX") or footer[23] & 0x20:
        return 0
    return struct.unpack("<I", footer[12:16])[0] - 32


_KINDS = {
    (version << 2 | 4 - layer, rate, mono): _Kind(version, layer, _RATES[version][rate], mono)
    for version in _RATES
    for layer in (1, 2, 3)
    for rate in range(3)
    for mono in (False, True)
}
