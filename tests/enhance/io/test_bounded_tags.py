"""Compressed tags are unpacked up to a bound."""

import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import mpeace, write
from helpers import speech_like
from mutagen.id3 import CHAP, CTOC, ID3, TIT2
from mutagen.mp3 import MP3

from enhance.io import bounded_tags
from enhance.io.bounded_tags import AS_STORED, read_bounded
from enhance.utils.errors import FileError

SYNCSAFE, PLAIN = 7, 8  # bits of size in a byte


def number(value: int, bits: int) -> bytes:
    """Return a number in four bytes."""
    return bytes(value >> bits * place & (1 << bits) - 1 for place in (3, 2, 1, 0))


def unsynchronised(data: bytes) -> bytes:
    """Return bytes in which nothing looks like the start of an MP3 frame."""
    out = bytearray()
    for byte, following in zip(data, data[1:] + b"\0", strict=True):
        out.append(byte)
        if byte == 0xFF and (following == 0 or following >= 0xE0):
            out.append(0)
    return bytes(out)


def tag(version: int, flags: int, *frames: bytes) -> bytes:
    """ID3 with these frames."""
    return b"ID3" + bytes((version, 0, flags)) + number(sum(map(len, frames)), SYNCSAFE) + b"".join(frames)


def packed_24(name: bytes, plain: bytes, flags: int = 9) -> bytes:
    """Return a compressed frame of ID3v2.4 with the length of its data; with flag 2 it is unsynchronised."""
    packed = zlib.compress(plain)
    stored = number(len(plain), SYNCSAFE) + (unsynchronised(packed) if flags & 2 else packed)
    return name + number(len(stored), SYNCSAFE) + bytes((0, flags)) + stored


def packed_23(name: bytes, plain: bytes) -> bytes:
    """Return a compressed frame of ID3v2.3, in front of which stands the length of its data."""
    stored = number(len(plain), PLAIN) + zlib.compress(plain)
    return name + number(len(stored), PLAIN) + bytes((0, 0x80)) + stored


def id3_with_packed_title(title: str) -> bytes:
    """ID3v2.4 with one compressed frame."""
    return tag(4, 0, packed_24(b"TIT2", b"\x03" + title.encode()))


def letters(count: int) -> bytes:
    """Return a text of ID3 in Latin-1 that packs badly, so that its packed bytes hold all values."""
    return b"\0" + np.random.default_rng(1).integers(1, 256, count, np.uint8).tobytes()


def test_packed_tags_are_kept_as_far_as_tags_go(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = write(tmp_path / "plain.mp3", speech_like(0.5, 48_000)).read_bytes()
    (tmp_path / "a.mp3").write_bytes(id3_with_packed_title("T" * 5000) + sound)
    ended = mpeace("denoise", tmp_path / "a.mp3", "-o", tmp_path / "b.mp3", "--model", tiny_model)
    assert ended.status == 0, ended.stderr
    assert ID3(tmp_path / "b.mp3")["TIT2"].text == ["T" * 5000]
    monkeypatch.setattr(bounded_tags, "MOST_UNPACKED", 4000)
    ended = mpeace("denoise", tmp_path / "a.mp3", "-o", tmp_path / "c.mp3", "--model", tiny_model)
    assert ended.status == 0, ended.stderr
    assert "note: its tags unpack to more than 0 MB, and are not kept" in ended.problems[0]
    assert (tmp_path / "c.mp3").stat().st_size > 1000


@pytest.mark.parametrize("count", [20_000, 20_001])
def test_frames_are_unpacked_as_each_version_stores_them(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    text = letters(count)
    whole = unsynchronised(packed_23(b"TIT2", text))
    stored = {
        "2.4": tag(4, 0, packed_24(b"TIT2", text)),
        "2.4, frame unsynchronised": tag(4, 0, packed_24(b"TIT2", text, 11)),
        "2.4, all frames unsynchronised": tag(4, 0x80, packed_24(b"TIT2", text, 11)),
        "2.4, extended header": tag(4, 0x40, number(6, SYNCSAFE) + b"\x01\x00", packed_24(b"TIT2", text)),
        "2.4, no length": tag(4, 0, b"TIT2" + number(len(zlib.compress(text)), 7) + b"\0\x08" + zlib.compress(text)),
        "2.3": tag(3, 0, packed_23(b"TIT2", text)),
        "2.3, unsynchronised": tag(3, 0x80, whole),
        "2.3, extended header": tag(3, 0x40, number(6, PLAIN) + bytes(6), packed_23(b"TIT2", text)),
    }
    assert len(whole) > len(packed_23(b"TIT2", text)), "bytes that are unsynchronised occur"
    for how, content in stored.items():
        assert read_bounded(ID3, content)["TIT2"].text == [text[1:].decode("latin-1")], how
    monkeypatch.setattr(bounded_tags, "MOST_UNPACKED", count)
    for how, content in stored.items():
        with pytest.raises(FileError, match="unpack to more than"):
            print(how, read_bounded(ID3, content))
    monkeypatch.setattr(bounded_tags, "MOST_UNPACKED", count + 1)
    for how, content in stored.items():
        if how != "2.4, no length":  # whose first try may give something
            assert len(read_bounded(ID3, content)) == 1, how


def test_all_frames_of_a_tag_count_and_those_inside_chapters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_tags, "MOST_UNPACKED", 1_000_000)
    half = b"\x03" + b"a" * (bounded_tags.MOST_UNPACKED // 2)
    two = packed_24(b"TIT2", half), packed_24(b"TIT3", half)
    times = b"1\0" + bytes(16)
    for name, start in ((b"CHAP", times), (b"CTOC", b"toc\0\3\2a\0b\0")):
        inside = start + two[1]
        held = name + number(len(inside), SYNCSAFE) + b"\0\0" + inside
        assert set(read_bounded(ID3, tag(4, 0, two[0]))) == {"TIT2"}
        with pytest.raises(FileError, match="more than 1 MB"):
            read_bounded(ID3, tag(4, 0, two[0], held))
        with pytest.raises(FileError, match="more than 1 MB"):
            read_bounded(ID3, tag(4, 0, two[0], packed_24(name, inside)))
    with pytest.raises(FileError, match="more than 1 MB"):
        read_bounded(ID3, tag(4, 0, *two))


def test_unpacking_stops_at_the_bound() -> None:
    picture = packed_24(b"APIC", b"\0image/png\0\3\0" + bytes(bounded_tags.MOST_UNPACKED))
    with pytest.raises(FileError, match="more than 64 MB"):
        read_bounded(ID3, tag(4, 0, picture))


def test_chapters_are_read_and_chapters_in_chapters_are_not() -> None:
    written = BytesIO()
    chapters = ID3()
    chapters.add(CHAP("c1", 0, 1000, sub_frames=[TIT2(3, "First")]))
    chapters.add(CTOC("toc", 3, ["c1"], sub_frames=[TIT2(3, "All")]))
    chapters.save(written)
    read = read_bounded(ID3, written.getvalue())
    assert read["CHAP:c1"].sub_frames["TIT2"] == "First"
    assert read["CTOC:toc"].sub_frames["TIT2"] == "All"
    frame = b""
    for _ in range(6):
        inside = b"1\0" + bytes(16) + (frame or b"TIT2" + number(2, SYNCSAFE) + b"\0\0\x03a")
        frame = b"CHAP" + number(len(inside), SYNCSAFE) + b"\0\0" + inside
    with pytest.raises(FileError, match="chapters in chapters, 5 deep, and are not kept"):
        read_bounded(ID3, tag(4, 0, frame))


def test_frames_of_many_texts_are_read_and_those_of_very_many_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    many = b"\x03" + b"a\0" * 1000
    for content in (packed_24(b"TIT2", many), b"TIT2" + number(len(many), SYNCSAFE) + b"\0\0" + many):
        monkeypatch.setattr(bounded_tags, "_MOST_COPIED", 1000 * len(many))
        assert read_bounded(ID3, tag(4, 0, content))["TIT2"].text == ["a"] * 1000
        monkeypatch.setattr(bounded_tags, "_MOST_COPIED", 1000 * len(many) - 1)
        with pytest.raises(FileError, match="hold 1000 texts in one frame"):
            read_bounded(ID3, tag(4, 0, content))
    wide = b"\1" + "a".encode("utf-16") * 1000  # each letter has a zero beside it
    held = b"TIT2" + number(len(wide), SYNCSAFE) + b"\0\0" + wide
    assert len(read_bounded(ID3, tag(4, 0, held))["TIT2"].text) == 1


def test_what_is_cut_off_is_left_out() -> None:
    packed = zlib.compress(b"\x03" + bytes(1000))[:-6]
    cut = b"TIT2" + number(len(packed) + 4, SYNCSAFE) + b"\0\x09" + number(1001, SYNCSAFE) + packed
    plain = b"TIT3" + number(2, SYNCSAFE) + b"\0\0\x03a"
    assert set(read_bounded(ID3, tag(4, 0, cut, plain))) == {"TIT3"}


def test_bitrates_are_found_without_unpacking(tmp_path: Path) -> None:
    sound = write(tmp_path / "plain.mp3", speech_like(0.5, 48_000)).read_bytes()
    (tmp_path / "a.mp3").write_bytes(id3_with_packed_title("T" * 5000) + sound)
    stream: Any = MP3(tmp_path / "a.mp3", known_frames=AS_STORED, load_v1=False)
    assert stream.tags is not None
    assert not stream.tags
    plain: Any = MP3(tmp_path / "plain.mp3")
    assert stream.info.bitrate == plain.info.bitrate
