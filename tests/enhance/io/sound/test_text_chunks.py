"""Titles and names in WAV and AIFF that are not UTF-8 keep their letters in other containers."""

import struct
from pathlib import Path
from typing import Any

from command import mpeace, write
from helpers import speech_like
from mutagen.flac import FLAC
from mutagen.id3 import ID3


def with_chunk(path: Path, name: bytes, content: bytes, size: str) -> Path:
    """Put a chunk behind the sound of a file."""
    content += bytes(len(content) % 2)
    whole = path.read_bytes() + name + struct.pack(size, len(content)) + content
    path.write_bytes(whole[:4] + struct.pack(size, len(whole) - 8) + whole[8:])
    return path


def entry(name: bytes, text: bytes) -> bytes:
    return name + struct.pack("<I", len(text) + 1) + text + bytes(1 + (len(text) + 1) % 2)


def test_texts_of_windows_programs_keep_their_letters(tmp_path: Path, tiny_model: Path) -> None:
    texts = entry(b"INAM", "Gespräch – 1".encode("cp1252")) + entry(b"IART", "Jürgen".encode("cp1252"))
    source = write(tmp_path / "a.wav", speech_like(0.1, 16_000), 16_000)
    with_chunk(source, b"LIST", b"INFO" + texts + entry(b"ICMT", "schön".encode()), "<I")
    for name in ("b.flac", "b.mp3"):
        assert mpeace("denoise", source, "-o", tmp_path / name, "--model", tiny_model).status == 0
    kept: Any = FLAC(tmp_path / "b.flac")
    assert dict(kept) == {"title": ["Gespräch – 1"], "artist": ["Jürgen"], "comment": ["schön"]}
    assert str(ID3(tmp_path / "b.mp3")["TPE1"]) == "Jürgen"


def test_texts_of_the_old_macintosh_keep_their_letters(tmp_path: Path, tiny_model: Path) -> None:
    source = write(tmp_path / "a.aiff", speech_like(0.1, 16_000), 16_000)
    with_chunk(source, b"NAME", "Gespräch".encode("mac_roman"), ">I")
    assert mpeace("denoise", source, "-o", tmp_path / "b.flac", "--model", tiny_model).status == 0
    kept: Any = FLAC(tmp_path / "b.flac")
    assert dict(kept) == {"title": ["Gespräch"]}
