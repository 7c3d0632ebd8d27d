"""Boxes of MP4 are taken apart, changed and put together again."""

import io
import struct
from pathlib import Path

from enhance.io.media.mp4_boxes import Box, Joined, clock, extents, joined_behind, parse, track_id

TKHD = Box(b"tkhd", bytes(12) + struct.pack(">I", 7) + bytes(68))
MOVIE = Box(b"moov", children=[Box(b"mvhd", bytes(100)), Box(b"trak", children=[TKHD, Box(b"mdia")]), Box(b"trak")])


def test_packed_and_parsed_is_the_same() -> None:
    assert parse(MOVIE.pack()) == [MOVIE]
    assert MOVIE.pack()[:8] == struct.pack(">I4s", len(MOVIE.pack()), b"moov")


def test_boxes_are_found_replaced_and_put_before_others() -> None:
    (movie,) = parse(MOVIE.pack())
    assert movie.find(b"trak", b"tkhd") == TKHD
    assert movie.find(b"trak", b"udta") is None
    assert len(movie.all(b"trak")) == 2
    track = movie.all(b"trak")[0]
    track.put(b"edts", Box(b"edts"), before=b"mdia")
    assert [child.kind for child in track.children] == [b"tkhd", b"edts", b"mdia"]
    track.put(b"edts", None)
    assert [child.kind for child in track.children] == [b"tkhd", b"mdia"]


def test_the_outermost_boxes_of_a_file_with_long_and_open_sizes() -> None:
    long = struct.pack(">I4sQ", 1, b"mdat", 16 + 5) + bytes(5)
    last = struct.pack(">I4s", 0, b"free") + bytes(3)
    found = [(box.kind, box.begin, box.size, box.head) for box in extents(io.BytesIO(MOVIE.pack() + long + last))]
    size = len(MOVIE.pack())
    assert found == [(b"moov", 0, size, 8), (b"mdat", size, 21, 16), (b"free", size + 21, 11, 8)]
    assert list(extents(io.BytesIO(struct.pack(">I4s", 100, b"mdat")))) == [], "a box that is cut off"


def test_numbers_of_tracks_and_clocks_of_both_versions() -> None:
    assert track_id(MOVIE.all(b"trak")[0]) == 7
    assert track_id(MOVIE.all(b"trak")[1]) == 0
    short = Box(b"mvhd", bytes(12) + struct.pack(">II", 600, 1200))
    long = Box(b"mvhd", b"\1" + bytes(19) + struct.pack(">IQ", 600, 2**33))
    unknown = Box(b"mvhd", bytes(12) + struct.pack(">II", 600, 2**32 - 1))
    assert [clock(box) for box in (short, long, unknown, None)] == [(600, 1200), (600, 2**33), (600, None), (0, None)]


def test_recordings_joined_behind_the_first_are_counted_where_they_are_skipped(tmp_path: Path) -> None:
    kind, movie, data, part = (Box(name, bytes(12)).pack() for name in (b"ftyp", b"moov", b"mdat", b"moof"))
    placed = Box(b"moof", Box(b"traf", Box(b"tfhd", bytes([0, 0, 0, 0x39]) + bytes(20)).pack()).pack()).pack()
    plain, early, old, in_fragments = kind + data + movie, kind + movie + data, data + movie, kind + movie + part + data
    for first, behind, count in (
        (plain, b"", 0),
        (b"\0\0\0\x08wide", plain, 0),
        (in_fragments, part + data, 0),
        (plain, plain, 1),
        (early, early + plain, 2),
        (plain, kind, 1),  # the rest was lost
        (old, old, 1),
        (movie + data, movie + data, 1),
        (in_fragments, plain, 1),
        (plain, in_fragments, 1),
        (in_fragments, in_fragments, 0),  # is read on
        (in_fragments, kind + movie + placed + data, 1),  # is not found where it was
    ):
        (tmp_path / "a.mp4").write_bytes(first + behind)
        found = Joined(count, len(first), len(behind)) if count else Joined()
        assert joined_behind(tmp_path / "a.mp4") == found
