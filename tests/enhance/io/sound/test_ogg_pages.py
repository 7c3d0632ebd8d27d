"""Damaged pages of Ogg are found, with what is whole between them and when it is heard."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from command import write
from helpers import speech_like

from enhance.io.sound.ogg_pages import damage_of


def pages(content: bytes | bytearray) -> list[int]:
    """Places of all pages."""
    found = [content.find(b"OggS\0")]
    while (place := content.find(b"OggS\0", found[-1] + 4)) >= 0:
        found.append(place)
    return found


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_a_damaged_page_is_a_hole_between_two_stretches_at_their_places(tmp_path: Path, subtype: str) -> None:
    path = write(tmp_path / "a.ogg", speech_like(8, 48_000), format="OGG", subtype=subtype)
    whole = soundfile.read(path, dtype="float32")[0]
    assert damage_of(path) is None
    content = bytearray(path.read_bytes())
    begins = pages(content)
    content[begins[len(begins) // 2] + 100] ^= 0xFF
    path.write_bytes(content)
    found = damage_of(path)
    assert found is not None
    assert not found.end_is_lost
    (place, samples), (first, second) = found.missing[0], found.stretches
    assert (first.start, first.samples) == (0, place)
    assert second.start == place + samples
    assert second.start + second.samples == len(whole)
    assert f"s of sound are missing at {place / 48_000:.2f} s" in str(found)


def test_a_damaged_end_is_said(tmp_path: Path) -> None:
    path = write(tmp_path / "a.ogg", speech_like(8, 48_000))
    content = bytearray(path.read_bytes())
    content[pages(content)[-1] + 50] ^= 0xFF
    path.write_bytes(content)
    found = damage_of(path)
    assert found is not None
    assert found.end_is_lost
    assert str(found).endswith("its end is damaged")


def test_other_files_have_no_pages(tmp_path: Path) -> None:
    assert damage_of(write(tmp_path / "a.flac", np.zeros(100))) is None
