"""Boxes of MP4 and MOV: the movie header of a file as a tree, taken apart, changed and put together again.

Reference: ISO/IEC 14496-12, section 4.2; QuickTime File Format Specification, "Atoms".
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

_PARENTS = frozenset({b"moov", b"trak", b"edts", b"mdia", b"minf", b"stbl"})
_LARGEST = 2**31  # bytes of a movie header that is still taken apart in memory


@dataclass
class Box:
    """One box: of a parent the children, of any other what is in it."""

    kind: bytes
    data: bytes = b""
    children: "list[Box]" = field(default_factory=list)

    def find(self, *path: bytes) -> "Box | None":
        """Return the first box down this path, or None."""
        box: Box | None = self
        for kind in path:
            box = next((child for child in (box.children if box else []) if child.kind == kind), None)
        return box

    def all(self, kind: bytes) -> "list[Box]":
        """Return the children of a kind."""
        return [child for child in self.children if child.kind == kind]

    def put(self, kind: bytes, box: "Box | None", before: bytes | None = None) -> None:
        """Put a box in the place of those of its kind, or, where there are none, before another one or at the end."""
        place = next((index for index, child in enumerate(self.children) if child.kind == kind), None)
        if place is None:
            place = next((index for index, child in enumerate(self.children) if child.kind == before), None)
        place = len(self.children) if place is None else place
        self.children[:] = [child for child in self.children if child.kind != kind]
        if box is not None:
            self.children.insert(place, box)

    def pack(self) -> bytes:
        """Return the box as it lies in a file."""
        content = b"".join(child.pack() for child in self.children) if self.kind in _PARENTS else self.data
        if len(content) + 8 < 2**32:
            return struct.pack(">I4s", len(content) + 8, self.kind) + content
        return struct.pack(">I4sQ", 1, self.kind, len(content) + 16) + content


@dataclass(frozen=True)
class Extent:
    """Place of a box in a file: its first byte, and its bytes with the head."""

    kind: bytes
    begin: int
    size: int
    head: int


def extents(file: BinaryIO) -> Iterator[Extent]:
    """Walk over the outermost boxes of a file, as far as they are whole."""
    end = file.seek(0, 2)
    place = 0
    while place + 8 <= end:
        file.seek(place)
        size, kind = struct.unpack(">I4s", file.read(8))
        head = 8
        if size == 1 and place + 16 <= end:
            (size,) = struct.unpack(">Q", file.read(8))
            head = 16
        elif size == 0:
            size = end - place
        if size < head or place + size > end:
            return
        yield Extent(kind, place, size, head)
        place += size


def read_movie(path: Path) -> Box | None:
    """Read the movie header (`moov`) of a file; None when it has none that is whole."""
    with path.open("rb") as file:
        for extent in extents(file):
            if extent.kind == b"moov" and extent.size < _LARGEST:
                file.seek(extent.begin + extent.head)
                return Box(b"moov", children=parse(file.read(extent.size - extent.head)))
    return None


@dataclass(frozen=True)
class Joined:
    """Recordings behind the first one of a file: how many, where they begin, and how many bytes they take."""

    count: int = 0
    begin: int = 0
    size: int = 0


def joined_behind(path: Path) -> Joined:
    """Return which recordings lie behind the first one in a file and are not read with it.

    A recording begins with its type (`ftyp`) and has one movie header (`moov`); old QuickTime files have no type.
    Where the first and the next are both in fragments (`moof`), FFmpeg reads on, and nothing is counted; unless the
    fragments name their data by its place in the file, which is another one now.
    """
    with path.open("rb") as file:
        boxes = list(extents(file))
        first = next((place for place, box in enumerate(boxes) if box.kind in (b"moov", b"mdat")), len(boxes))
        begins = [box.begin for box in boxes[first:] if box.kind == b"ftyp"]
        if not begins:
            firsts = {box.kind: box.begin + box.size for box in reversed(boxes)}
            behind = max(firsts.get(b"moov", 0), firsts.get(b"mdat", 0))
            begins = [behind] * (sum(box.kind == b"moov" for box in boxes) - 1)
        if not begins:
            return Joined()
        fragments = [box for box in boxes if box.kind == b"moof"]
        later = [box for box in fragments if box.begin >= begins[0]]
        if later and later[0] is not fragments[0] and not _names_places(file, later[0]):
            return Joined()
    return Joined(len(begins), begins[0], boxes[-1].begin + boxes[-1].size - begins[0])


def _names_places(file: BinaryIO, fragment: Extent) -> bool:
    """Return whether a fragment says where in the file its data lies (`base-data-offset`), not how far from itself."""
    file.seek(fragment.begin + fragment.head)
    tracks = [box for box in parse(file.read(fragment.size - fragment.head)) if box.kind == b"traf"]
    headers = [box for track in tracks for box in parse(track.data) if box.kind == b"tfhd"]
    return any(len(header.data) >= 4 and header.data[3] & 1 for header in headers)


def parse(data: bytes) -> list[Box]:
    """Take boxes that follow each other apart. Whatever is too short to be one is left out."""
    boxes: list[Box] = []
    place = 0
    while place + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, place)
        head = 8
        if size == 1 and place + 16 <= len(data):
            (size,) = struct.unpack_from(">Q", data, place + 8)
            head = 16
        elif size == 0:
            size = len(data) - place
        if size < head or place + size > len(data):
            break
        content = data[place + head : place + size]
        boxes.append(Box(kind, children=parse(content)) if kind in _PARENTS else Box(kind, content))
        place += size
    return boxes


def track_id(track: Box) -> int:
    """Return the number of a track (`trak`), 0 when it has none."""
    header = track.find(b"tkhd")
    if header is None or len(header.data) < 24:
        return 0
    return struct.unpack_from(">I", header.data, 20 if header.data[0] == 1 else 12)[0]


def clock(header: Box | None) -> tuple[int, int | None]:
    """Return ticks per second and length in ticks by a movie or media header (`mvhd`, `mdhd`); None when unknown."""
    if header is None or len(header.data) < 20:
        return 0, None
    if header.data[0] == 1 and len(header.data) >= 32:
        scale, duration = struct.unpack_from(">IQ", header.data, 20)
        return scale, None if duration in (0, 2**64 - 1) else duration
    scale, duration = struct.unpack_from(">II", header.data, 12)
    return scale, None if duration in (0, 2**32 - 1) else duration
