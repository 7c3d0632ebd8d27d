"""Whether a sound file is whole, by what its container tells."""

from pathlib import Path

import numpy as np
import pytest
from command import write

from enhance.io.sound.integrity import what_is_missing


def cut(path: Path, left_out: int) -> str | None:
    path.write_bytes(path.read_bytes()[:-left_out])
    return what_is_missing(path)


@pytest.mark.parametrize("suffix", ["wav", "aiff", "au", "caf", "w64", "rf64"])
def test_sound_that_the_header_promises_is_missed_to_the_byte(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"a.{suffix}", 0.1 * np.sin(np.arange(4800)), subtype="PCM_16")
    assert what_is_missing(path) is None
    assert cut(path, 1000) == "1000 bytes of sound that its header promises are not there"


@pytest.mark.parametrize("left_out", [1, 100])
def test_the_last_page_of_an_ogg_is_looked_at(tmp_path: Path, left_out: int) -> None:
    path = write(tmp_path / "a.ogg", 0.1 * np.sin(np.arange(48_000)))
    assert what_is_missing(path) is None
    assert cut(path, left_out) == "its last page is not complete"


def test_sound_beyond_the_length_in_the_header_is_found(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", 0.1 * np.sin(np.arange(4800)), subtype="PCM_16")
    content = bytearray(path.read_bytes())
    content[40:44] = bytes(4)  # a recorder that lost its power leaves a size of 0
    path.write_bytes(content)
    assert what_is_missing(path) == "its header says no sound, but 9600 bytes follow it"
