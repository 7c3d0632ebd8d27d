"""Ogg files with damaged pages: what is whole between them, and when it is heard.

Each page has a checksum, a number, and the time at which its sound ends (the granule position). Decoders drop a page
whose checksum is wrong without a word, so that what follows moves forward. Here the pages are checked, and each stretch
of whole pages is shown to libsndfile as a file of its own, which ends at the time that its last page declares.

References: RFC 3533 (Ogg), RFC 7845 (Opus in Ogg), Vorbis I, A.2.
"""

import mmap
import struct
import zlib
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import soundfile

from enhance.io.sound.byte_view import ByteView, Range

_FIRST = 2  # flag of the first page of a stream
_HEADER = 27  # bytes of a page before its table of segments
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_OPUS_RATE = 48_000  # Hz of the clock of Opus, whatever the rate of the sound
_PRESKIP = slice(10, 12)  # in the first packet of Opus: samples in front that are not heard


@dataclass(frozen=True)
class Page:
    """A whole page: its place in the file, number, granule position (-1: no packet ends in it), stream, and whether it
    is the first of its stream.
    """

    begin: int
    end: int
    number: int
    granule: int
    serial: int
    first: bool


@dataclass(frozen=True)
class Stretch:
    """Whole pages that follow each other.

    Attributes:
        parts: what to show of the file: headers, then the pages.
        start: place of the first sample in the recording.
        samples: per channel.
    """

    parts: tuple[bytes | Range, ...]
    start: int
    samples: int


@dataclass(frozen=True)
class Damage:
    """What is left of a damaged file.

    Attributes:
        stretches: in their order.
        missing: place and number of samples of what lies between them.
        end_is_lost: whether its last page is damaged, so that nobody knows how long it was.
        sample_rate: in Hz.
    """

    stretches: list[Stretch]
    missing: list[tuple[int, int]]
    end_is_lost: bool
    sample_rate: int

    def __str__(self) -> str:
        rate = self.sample_rate
        holes = [
            f"{samples / rate:.2f} s of sound are missing at {place / rate:.2f} s" for place, samples in self.missing
        ]
        holes += ["its end is damaged"] if self.end_is_lost else []
        return ", ".join(holes)


def damage_of(path: Path) -> Damage | None:
    """Check all pages of a file of one Vorbis or Opus stream.

    Returns:
        What is left of it; None when it is whole as far as its last complete page, or is another kind of file.

    Raises:
        OSError: when it cannot be read.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        pages, bad_end = _whole_pages(content)
        heads = _heads(pages)
        if not heads or len({page.serial for page in pages}) != 1:
            return None
        runs = _runs(pages[heads:])
        at_start = bool(runs) and runs[0][0].number == heads
        if not runs or (len(runs) == 1 and at_start and not bad_end):
            return None
        first = content[: pages[0].end]
    headers: tuple[bytes | Range, ...] = ((0, pages[heads - 1].end),)
    skipped = _skipped(first)
    stretches: list[Stretch] = []
    missing: list[tuple[int, int]] = []
    base = done = rate = 0
    for run in runs:
        own = at_start and run is runs[0]
        if skipped is not None and not own:  # nothing is skipped where the sound goes on
            headers = (_without_skip(first), (pages[0].end, pages[heads - 1].end))
        parts = (*headers, (run[0].begin, run[-1].end))
        measured = _measured(path, parts)
        end = max(page.granule for page in run)
        if measured is None or end < 0:  # no packet ends in it
            continue
        rate, _, samples = measured
        stop = end if skipped is None else (end - skipped) * rate // _OPUS_RATE
        if own:  # the recording of a broadcast begins at any time
            base = stop - samples
        start = stop - samples - base
        if start > done:
            missing.append((done, start - done))
        stretches.append(Stretch(parts, start, samples))
        done = stop - base
    return Damage(stretches, missing, bad_end, rate) if stretches else None


@dataclass(frozen=True)
class Link:
    """One recording of a chain: its bytes in the file, sample rate in Hz, channels, and samples per channel."""

    bytes: Range
    sample_rate: int
    channels: int
    samples: int


def chain_of(path: Path) -> list[Link]:
    """Return the recordings of a file in which several follow each other; empty when there is one, or they are mixed.

    Raises:
        OSError: when it cannot be read.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        pages, size = _whole_pages(content)[0], len(content)
    starts = [page for page in pages if page.first]
    if len(starts) < 2 or any(one.end == other.begin for one, other in pairwise(starts)):
        return []
    places = [0, *(page.begin for page in starts[1:]), size]
    measured = [(part, _measured(path, (part,))) for part in pairwise(places)]
    return [Link(part, *facts) for part, facts in measured if facts is not None]


def _whole_pages(content: mmap.mmap) -> tuple[list[Page], bool]:
    """Return the pages with a right checksum, and whether the last complete one has a wrong one."""
    pages: list[Page] = []
    place, bad = content.find(b"OggS\0"), False
    while place >= 0:
        head = content[place : place + _HEADER]
        table = content[place + _HEADER : place + _HEADER + head[26]] if len(head) == _HEADER else b""
        end = place + _HEADER + len(table) + sum(table)
        if len(head) < _HEADER or len(table) < head[26] or end > len(content):
            break  # cut off
        granule, serial, number, declared = struct.unpack_from("<qIII", head, 6)
        bad = _checksum(content[place:end]) != declared
        if not bad:
            pages.append(Page(place, end, number, granule, serial, bool(head[5] & _FIRST)))
        place = content.find(b"OggS\0", place + 4 if bad else end)
    return pages, bad


def _heads(pages: list[Page]) -> int:
    """Return how many pages in front hold headers and no sound; 0 when one is missing."""
    heads = 0
    for page in pages:
        if page.number != heads or page.granule > 0:
            break
        heads += 1
    return heads if heads > 1 else 0


def _runs(pages: list[Page]) -> list[list[Page]]:
    """Return the pages in stretches that follow each other by their numbers and in the file."""
    runs: list[list[Page]] = []
    for page in pages:
        if runs and page.number == runs[-1][-1].number + 1 and page.begin == runs[-1][-1].end:
            runs[-1].append(page)
        else:
            runs.append([page])
    return runs


def _skipped(first: bytes) -> int | None:
    """Return the samples in front that are not heard, at 48 kHz, if the first page is one of Opus."""
    packet = first[_HEADER + first[26] :]
    return struct.unpack("<H", packet[_PRESKIP])[0] if packet.startswith(b"OpusHead") else None


def _without_skip(first: bytes) -> bytes:
    """Return the first page of Opus with nothing to skip."""
    place = _HEADER + first[26] + _PRESKIP.start
    page = first[:place] + b"\0\0" + first[place + 2 :]
    return page[:22] + struct.pack("<I", _checksum(page)) + page[26:]


def _checksum(page: bytes) -> int:
    """Return the checksum that a page should have: CRC-32 from the highest bit on, which zlib has mirrored."""
    plain = page[:22] + bytes(4) + page[26:]
    mirrored = zlib.crc32(plain.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{mirrored:032b}"[::-1], 2)


def _measured(path: Path, parts: tuple[bytes | Range, ...]) -> tuple[int, int, int] | None:
    """Return sample rate, channels and samples of a stretch as libsndfile reads them; None when it has no sound."""
    view = ByteView(path, list(parts))
    try:
        with soundfile.SoundFile(view) as sound:  # type: ignore[arg-type]
            return sound.samplerate, sound.channels, sound.frames
    except soundfile.LibsndfileError:
        return None
    finally:
        view.close()
