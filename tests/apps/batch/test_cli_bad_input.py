"""Bad input: one clear line on standard error, the rest goes on, nothing half-written, the input never touched."""

import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
from command import mpeace, read, write
from helpers import speech_like
from tiny_model import tiny_result


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a good file, which every batch must finish."""
    write(tmp_path / "in" / "good.wav", speech_like(0.1, 48_000))
    return tmp_path / "in"


def refused(folder: Path, bad: Path, tiny_model: Path) -> str:
    """Denoise the folder; check all that holds for every bad file; return the line about it."""
    (line,) = all_refused(folder, [bad], tiny_model)
    return line


def all_refused(folder: Path, bad: list[Path], tiny_model: Path) -> list[str]:
    """Return the line about each of several bad files of one batch."""
    before = [path.read_bytes() if path.is_file() else None for path in bad]
    out = folder.parent / "out"
    ended = mpeace("denoise", *bad, folder / "good.wav", "-o", out, "--model", tiny_model)
    assert ended.status == 1
    assert len(ended.problems) == len(bad), ended.stderr
    lines = {line.split(": ")[1]: line for line in ended.problems}
    assert lines.keys() == {str(path) for path in bad}
    assert [path.name for path in out.iterdir()] == ["good.wav"], "the rest of the batch, and nothing half-written"
    assert before == [path.read_bytes() if path.is_file() else None for path in bad]
    shutil.rmtree(out)
    return [lines[str(path)] for path in bad]


def test_missing(folder: Path, tiny_model: Path) -> None:
    assert "no such file" in refused(folder, folder / "nowhere.wav", tiny_model)
    assert "no file matches" in refused(folder, folder / "nowhere*.wav", tiny_model)
    (folder / "empty").mkdir()
    assert "no sound files" in refused(folder, folder / "empty", tiny_model)


def test_empty(folder: Path, tiny_model: Path) -> None:
    bad = [folder / name for name in ("a.wav", "a.flac", "a.mp3", "a.m4a")]
    for path in bad:
        path.touch()
    assert all("empty (0 bytes)" in line for line in all_refused(folder, bad, tiny_model))


def test_zero_samples_give_zero_samples(tmp_path: Path, tiny_model: Path) -> None:
    for name in ("a.wav", "a.ogg", "a.aiff", "a.caf", "a.w64"):
        write(tmp_path / "in" / name, np.zeros((2, 0)))
    # libsndfile writes no FLAC without sound, but reads one: "fLaC", and a STREAMINFO block with 0 samples in all
    info = struct.pack(">HH6xQ16x", 4096, 4096, 48_000 << 44 | 1 << 41 | 15 << 36)
    (tmp_path / "in" / "a.flac").write_bytes(b"fLaC\x80\0\0\x22" + info)
    ended = mpeace("denoise", tmp_path / "in", "-o", tmp_path / "out", "--model", tiny_model)
    assert ended.status == 0, ended.stderr
    for name in ("a.wav", "a.ogg", "a.aiff", "a.caf", "a.w64"):
        with soundfile.SoundFile(tmp_path / "out" / name) as file:
            assert (file.frames, file.channels, file.samplerate) == (0, 2, 48_000)
    assert (tmp_path / "out" / "a.flac").read_bytes() == (tmp_path / "in" / "a.flac").read_bytes()


TRUNCATED = ["a.wav", "a.flac", "a.ogg", "a.opus", "a.mp3", "a.aiff", "a.caf", "a.w64", "a.rf64", "a.au"]


def test_truncated(folder: Path, tiny_model: Path) -> None:
    bad = []
    for name in TRUNCATED:
        options = {"format": "OGG", "subtype": "OPUS"} if name.endswith("opus") else {}
        bad.append(write(folder / name, speech_like(2, 48_000, 2), 48_000, **options))
        bad[-1].write_bytes(bad[-1].read_bytes()[: bad[-1].stat().st_size * 6 // 10])
    for line in all_refused(folder, bad, tiny_model):
        assert "cut off" in line


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.mp3", "a.w64"])
def test_truncated_is_salvaged_on_request(tmp_path: Path, tiny_model: Path, name: str) -> None:
    audio = speech_like(2, 48_000, 2)
    bad = write(tmp_path / name, audio)
    bad.write_bytes(bad.read_bytes()[: bad.stat().st_size * 6 // 10])
    output = tmp_path / ("out" + bad.suffix)
    ended = mpeace("denoise", bad, "-o", output, "--model", tiny_model, "--salvage")
    assert ended.status == 0
    assert "salvaged" in ended.problems[0]
    frames = read(output).shape[1]
    assert 0.4 * 96_000 < frames < 0.8 * 96_000
    assert np.corrcoef(read(output)[0, :38_000], audio[0, :38_000])[0, 1] > 0.9


def test_a_recorder_that_was_killed(folder: Path, tiny_model: Path) -> None:
    audio = speech_like(1, 48_000)
    bad = write(folder / "a.wav", audio)
    bad.write_bytes(bad.read_bytes()[:40] + bytes(4) + bad.read_bytes()[44:])  # it never came back to write the length
    assert "says no sound, but 96000 bytes follow" in refused(folder, bad, tiny_model)
    assert mpeace("denoise", bad, "-o", folder / "b.wav", "--model", tiny_model, "--salvage").status == 0
    np.testing.assert_allclose(read(folder / "b.wav"), tiny_result(audio), atol=2.0**-15)


def test_a_length_that_nobody_knows_is_no_damage(tmp_path: Path, tiny_model: Path) -> None:
    source = write(tmp_path / "a.wav", speech_like(1, 48_000))
    source.write_bytes(
        source.read_bytes()[:40] + b"\xff" * 4 + source.read_bytes()[44:]
    )  # as ffmpeg leaves it in a pipe
    assert mpeace("denoise", source, "-o", tmp_path / "b.wav", "--model", tiny_model).status == 0
    assert read(tmp_path / "b.wav").shape == (1, 48_000)


def test_an_mp3_whose_length_is_only_estimated(tmp_path: Path, tiny_model: Path) -> None:
    audio = np.concatenate([0.001 * speech_like(2, 48_000), speech_like(2, 48_000)], axis=1)  # quiet, then loud
    with soundfile.SoundFile(
        tmp_path / "a.mp3", "w", 48_000, 1, format="MP3", compression_level=0.3, bitrate_mode="VARIABLE"
    ) as file:
        file.write(audio[0])
    content = (tmp_path / "a.mp3").read_bytes()
    second = content.index(b"\xff\xfb", content.index(b"\xff\xfb") + 1)
    (tmp_path / "a.mp3").write_bytes(content[second:])  # without the frame that holds the length
    assert mpeace("denoise", tmp_path / "a.mp3", "-o", tmp_path / "b.wav", "--model", tiny_model).status == 0
    assert abs(read(tmp_path / "b.wav").shape[1] - audio.shape[1]) < 3 * 1152


def test_text_renamed(folder: Path, tiny_model: Path) -> None:
    bad = [folder / "a.wav", folder / "a.mp4"]
    for path in bad:
        path.write_text("Dear diary, today I renamed a text.\n" * 50)
    assert all("can be read" in line for line in all_refused(folder, bad, tiny_model))


def test_nan_and_infinite_samples(folder: Path, tiny_model: Path) -> None:
    words = {np.nan: "NaN", np.inf: "infinite", -np.inf: "infinite"}
    audio, bad = speech_like(1, 48_000, 2), []
    for value in words:
        audio[1, 24_000] = value
        bad.append(write(folder / f"{value}.wav", audio, subtype="FLOAT"))
    for line, word in zip(all_refused(folder, bad, tiny_model), words.values(), strict=True):
        assert f"sample 24000 (0.500 s) of channel 2 is {word}" in line


def test_samples_that_are_no_audio(folder: Path, tiny_model: Path) -> None:
    bad = write(folder / "a.wav", np.full((1, 4800), 1e30), subtype="DOUBLE")
    assert "full scale" in refused(folder, bad, tiny_model)


def test_one_sample(tmp_path: Path, tiny_model: Path) -> None:
    source = write(tmp_path / "a.wav", np.array([[0.5]]), subtype="FLOAT")
    assert mpeace("denoise", source, "-o", tmp_path / "b.wav", "--model", tiny_model).status == 0
    assert read(tmp_path / "b.wav").tolist() == [[0]]  # nothing but an offset


def test_absurd_rates(folder: Path, tiny_model: Path) -> None:
    bad = []
    for rate in (0, 1, 999, 5_000_000, 2**31 - 1):
        bad.append(write(folder / f"{rate}.wav", speech_like(0.1, 48_000)))
        content = bad[-1].read_bytes()
        bad[-1].write_bytes(content[:24] + struct.pack("<I", rate) + content[28:])
    for line in all_refused(folder, bad, tiny_model):
        assert "rate" in line or "can be read" in line
