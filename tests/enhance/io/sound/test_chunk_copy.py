"""Chunks of one file put into another."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from command import mpeace, read, write
from helpers import speech_like

from enhance.io.sound.chunk_copy import append, gather
from enhance.io.sound.chunk_values import Change
from enhance.io.sound.riff_chunks import layout_of, loss, walk


@pytest.mark.parametrize("suffix", ["wav", "aiff", "caf", "w64", "rf64"])
def test_chunks_survive_the_copy(tmp_path: Path, suffix: str) -> None:
    """A copy into a file of the same kind leaves it whole and readable."""
    source = write(tmp_path / f"a.{suffix}", speech_like(0.1, 48_000))
    target = write(tmp_path / f"b.{suffix}", speech_like(0.1, 48_000, seed=1))
    with soundfile.SoundFile(tmp_path / f"c.{suffix}", "w", 48_000, 1) as file:
        if suffix != "w64":
            file.title = "Title"
        file.write(speech_like(0.1, 48_000)[0])
    before = read(target)
    for other in (source, tmp_path / f"c.{suffix}"):
        append(gather(other, Change(48_000, 48_000)), target, front_is_written=False)
        np.testing.assert_array_equal(read(target), before)
        assert loss(target) == loss(source)
        assert loss(target).absent == 0
    with soundfile.SoundFile(target) as file:
        assert suffix in ("w64", "caf") or file.title == "Title"


@pytest.mark.parametrize("channels", [1, 3, 5])
def test_chunks_follow_sound_of_odd_size_in_caf_without_padding(tmp_path: Path, channels: int) -> None:
    """CAF knows no padding; libsndfile writes a byte behind sound of odd size, and reads on without it."""
    path = tmp_path / "a.caf"
    soundfile.write(path, speech_like(0.1, 48_000, channels=channels).T[:4799], 48_000, subtype="PCM_24")
    before = read(path)
    with path.open("rb+") as file:
        file.seek(0, 2)
        file.write(b"mark" + bytes([0] * 7 + [8] + [0] * 8))  # behind the padding, as libsndfile would write it
    assert not loss(path).denied
    (tmp_path / "b.caf").write_bytes(path.read_bytes()[:-20])
    append(gather(path, Change(48_000, 48_000)), tmp_path / "b.caf", front_is_written=True)
    with (tmp_path / "b.caf").open("rb") as file:
        layout, end = layout_of(file), (tmp_path / "b.caf").stat().st_size
        assert layout is not None
        ends = [(chunk.name, chunk.start + 12 + chunk.size) for chunk in walk(file, layout, end)]
    assert ends[-2:] == [(b"data", end - 20), (b"mark", end)], "right behind the sound"
    np.testing.assert_array_equal(read(tmp_path / "b.caf"), before)


@pytest.mark.parametrize("subtype", ["PCM_S8", "PCM_U8", "ULAW", "ALAW"])
@pytest.mark.parametrize("samples", [1, 801, 802])
def test_aiff_of_bytes_has_as_many_samples_as_its_input(
    tmp_path: Path, tiny_model: Path, subtype: str, samples: int
) -> None:
    """libsndfile counts the byte that pads an odd number of them."""
    source, target = write(tmp_path / "a.wav", speech_like(1, 48_000)[:, :samples]), tmp_path / "a.aiff"
    command = ("denoise", source, "-o", target, "--subtype", subtype, "--mix", 0, "--model", tiny_model)
    assert mpeace(*command).status == 0
    assert soundfile.info(target).frames == samples
    assert len(target.read_bytes()) % 2 == 0
    content = target.read_bytes()
    assert int.from_bytes(content[4:8], "big") == len(content) - 8
    assert np.abs(read(target) - read(source)).max() < 0.05
