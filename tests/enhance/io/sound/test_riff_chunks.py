"""Containers made of chunks: where the sound lies, and what a cut-off file lost."""

import struct
from pathlib import Path

import numpy as np
import pytest
from command import write

from enhance.io.sound.riff_chunks import CARELESS, find_sound, is_unknown, layout_of, loss, walk

SOUND = 0.1 * np.sin(np.arange(4800))  # 9600 bytes in 16 bits


@pytest.mark.parametrize(
    ("suffix", "family", "begin"),
    [("wav", "wave", 44), ("rf64", "wave", 104), ("w64", "wave64", 112), ("aiff", "aiff", 46), ("caf", "caf", 4088)],
)
def test_the_sound_is_found_in_every_family(tmp_path: Path, suffix: str, family: str, begin: int) -> None:
    path = write(tmp_path / f"a.{suffix}", SOUND, subtype="PCM_16")
    sound = find_sound(path)
    assert sound is not None
    assert sound.layout.family == family
    assert path.read_bytes()[sound.begin :][:4]
    assert sound.end - sound.begin >= sound.size >= 9600
    assert not sound.wrapped
    assert sound.rest == 0


def test_chunks_behind_a_chunk_of_odd_size_are_found_with_and_without_its_padding(tmp_path: Path) -> None:
    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack("<4sI", name, len(content)) + content

    for padding in (b"\0", b""):
        body = b"WAVE" + chunk(b"bext", b"odd") + padding + chunk(b"cue ", bytes(4)) + chunk(b"data", bytes(8))
        path = tmp_path / "a.wav"
        path.write_bytes(chunk(b"RIFF", body))
        with path.open("rb") as file:
            layout = layout_of(file)
            assert layout is not None
            assert [found.name for found in walk(file, layout, path.stat().st_size)] == [b"bext", b"cue ", b"data"]


def test_a_loss_is_counted_in_bytes_and_a_careless_one_is_none(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", SOUND, subtype="PCM_16")
    whole = path.read_bytes()
    for left_out, absent in ((0, 0), (CARELESS - 1, 0), (CARELESS, CARELESS), (5000, 5000)):
        path.write_bytes(whole[: len(whole) - left_out])
        assert loss(path).absent == absent
    assert loss(path).declared == 9600


def test_other_files_have_no_chunks(tmp_path: Path) -> None:
    assert find_sound(write(tmp_path / "a.flac", SOUND)) is None


def test_sizes_of_streams_are_unknown() -> None:
    assert is_unknown(0xFFFFFFFF)
    assert is_unknown(0x7FFFFFFF)
    assert not is_unknown(9600)
