"""Compressed tags are unpacked up to a bound."""

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import mpeace, write
from helpers import speech_like
from mutagen.id3 import ID3

from enhance.io import bounded_tags
from enhance.io.bounded_tags import bounded_tags as bounded
from enhance.utils.errors import FileError


def id3_with_packed_title(title: str) -> bytes:
    """ID3v2.4 with one compressed frame."""
    plain = b"\x03" + title.encode()
    packed = struct.pack(">I", len(plain)) + zlib.compress(plain)
    size = b"".join(bytes([len(packed) >> shift & 0x7F]) for shift in (21, 14, 7, 0))
    frame = b"TIT2" + size + b"\x00\x09" + packed
    whole = b"".join(bytes([len(frame) >> shift & 0x7F]) for shift in (21, 14, 7, 0))
    return b"ID3\x04\x00\x00" + whole + frame


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


def test_unpacking_stops_at_the_bound_and_outside_it_mutagen_is_as_it_was() -> None:
    reader: Any = pytest.importorskip("mutagen.id3._frames")
    packed = zlib.compress(bytes(1000))
    with bounded():
        assert reader.zlib.decompress(packed) == bytes(1000)
        with pytest.raises(reader.zlib.error):
            reader.zlib.decompress(packed[:-6])
    many = zlib.compress(np.zeros(bounded_tags.MOST_UNPACKED + 1, np.uint8).tobytes())
    with bounded(), pytest.raises(FileError, match="more than 64 MB"):
        reader.zlib.decompress(many)
    assert reader.zlib is zlib
