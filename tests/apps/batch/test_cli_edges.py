"""The edges of a run: sizes that nobody knew, paths that cannot be looked at, lost data."""

import io
import json
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from command import as_nobody, mpeace, partial_files, read, write
from helpers import speech_like
from media import make
from tiny_model import tiny_result

TOO_LONG = "x" * 300  # no file system has such a name: asking for it is an error, as it is behind a folder that is shut


def loud_wav(path: Path) -> Path:
    return write(path, 3 * np.sin(np.arange(6 * 48_000) / 20), subtype="FLOAT")


def test_rescale_leaves_files_that_hold_it_as_loud_as_they_are(tmp_path: Path, tiny_model: Path) -> None:
    source = loud_wav(tmp_path / "a.wav")
    ended = mpeace("denoise", source, "-o", tmp_path / "b.wav", "--clip", "rescale", "--model", tiny_model)
    assert "gain" not in ended.stderr
    np.testing.assert_allclose(read(tmp_path / "b.wav"), tiny_result(read(source)), atol=1e-6)


@pytest.mark.parametrize(("suffix", "fits"), [("wav", False), ("aiff", False), ("w64", True)])
def test_a_length_that_nobody_knew_beyond_what_the_container_holds(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, fits: bool
) -> None:
    monkeypatch.setattr("enhance.io.sound.sound_file.SIZE_LIMIT", 100_000)  # in place of 4 GB
    sound = write(tmp_path / "a.wav", speech_like(2, 48_000)).read_bytes()
    sound = sound[:40] + b"\xff" * 4 + sound[44:]
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(sound)))
    output = tmp_path / f"out.{suffix}"
    ended = mpeace("denoise", "-", "-o", output, "--model", tiny_model)
    assert (ended.status, output.exists()) == ((0, True) if fits else (1, False))
    if not fits:
        assert len(ended.problems) == 1
        assert f"{suffix.upper()} cannot hold more than 4 GB" in ended.problems[0]
        assert "--format rf64 or w64" in ended.problems[0]
        assert not partial_files(tmp_path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a good file, which every batch must finish."""
    write(tmp_path / "in" / "good.wav", speech_like(0.1, 48_000))
    return tmp_path / "in"


def one_fails(folder: Path, tiny_model: Path, bad: object, *inputs: object) -> str:
    """Denoise: one line about `bad`, and the good file is done. Returns the line."""
    out = folder.parent / "out"
    ended = mpeace("denoise", *inputs, "-o", out, "--model", tiny_model)
    assert ended.status == 1
    assert len(ended.problems) == 1, ended.stderr
    assert ended.problems[0].startswith(f"mpeace: {bad}: ")
    assert [path.name for path in out.iterdir()] == ["good.wav"]
    return ended.problems[0]


def test_a_name_in_a_folder_that_cannot_be_looked_at(folder: Path, tiny_model: Path) -> None:
    bad = folder / "bad.wav"
    bad.symlink_to(TOO_LONG)
    for what in (folder, folder / "*.wav"):
        assert "name too long" in one_fails(folder, tiny_model, bad, what)
        (folder.parent / "out" / "good.wav").unlink()


def test_a_subfolder_that_is_shut(folder: Path, tiny_model: Path, tmp_path: Path) -> None:
    bad = write(folder / "shut" / "a.wav", speech_like(0.1, 48_000))
    for parent in {tmp_path, *tmp_path.parents, *tiny_model.parents}:
        if any("pytest-" in part for part in parent.parts):
            parent.chmod(0o755)  # pytest makes its folders for their owner only
    (tmp_path / "out").mkdir()
    (tmp_path / "out").chmod(0o777)
    mpeace("denoise", folder / "good.wav", "-o", tmp_path / "warm.wav", "--model", tiny_model)  # imports as root
    bad.parent.chmod(0o644)  # its names can be read, what they stand for cannot
    try:
        with as_nobody():
            assert "permission denied" in one_fails(folder, tiny_model, bad, folder)
            ended = mpeace("denoise", folder / "good.wav", "-o", bad.parent / "b.wav", "--model", tiny_model)
    finally:
        bad.parent.chmod(0o755)
    assert ended.stderr == f"mpeace: the output {bad.parent / 'b.wav'} cannot be reached: permission denied\n"
    assert ended.status == 2


def test_a_pattern_that_is_none(folder: Path, tiny_model: Path) -> None:
    pattern = folder / "**x"  # Python 3.13 takes it for *x, which matches nothing
    assert "pattern" in one_fails(folder, tiny_model, pattern, pattern, folder / "good.wav")


@pytest.mark.parametrize("option", ["-o", "--report"])
def test_an_output_that_cannot_be_looked_at(folder: Path, tiny_model: Path, option: str) -> None:
    ended = mpeace("denoise", folder / "good.wav", option, folder / TOO_LONG / "a.wav", "--model", tiny_model)
    assert ended.status == 2
    assert len(ended.stderr.splitlines()) == 1
    assert "name too long" in ended.stderr
    assert list(folder.iterdir()) == [folder / "good.wav"]


def test_an_output_that_is_no_file_costs_one_file(folder: Path, tiny_model: Path) -> None:
    bad = write(folder / "bad.wav", speech_like(0.1, 48_000))
    (folder.parent / "out" / "bad.wav").mkdir(parents=True)
    ended = mpeace("denoise", folder, "-o", folder.parent / "out", "--model", tiny_model)
    assert ended.status == 1
    assert ended.problems == [f"mpeace: {bad}: the output {folder.parent / 'out' / 'bad.wav'} is there and is no file"]
    assert (folder.parent / "out" / "good.wav").is_file()


def test_promise_07_collisions_cost_only_the_files_that_collide(folder: Path, tiny_model: Path, tmp_path: Path) -> None:
    first = write(tmp_path / "x" / "a.wav", speech_like(0.1, 48_000))
    second = write(tmp_path / "y" / "a.wav", speech_like(0.1, 48_000))
    out, report = tmp_path / "out", tmp_path / "report.json"
    ended = mpeace("denoise", first, folder, second, "-o", out, "--model", tiny_model, "--report", report)
    assert ended.status == 1
    assert [line.split(": ")[1] for line in ended.problems] == [str(first), str(second)]
    assert all(str(first) in line and str(second) in line and "--name" in line for line in ended.problems)
    assert [path.name for path in out.iterdir()] == ["good.wav"]
    assert json.loads(report.read_text())["failed"] == 2


def test_outputs_of_a_former_run_collide_with_nothing(folder: Path, tiny_model: Path) -> None:
    write(folder / "b.wav", speech_like(0.1, 48_000))
    for _ in range(2):
        assert mpeace("denoise", folder, "--model", tiny_model).status == 0
    assert {path.stem for path in folder.iterdir()} == {"good", "good_denoised", "b", "b_denoised"}


def with_data(path: Path, timecode: bool) -> Path:
    """Sound and a track of data, or a picture and its time code."""
    plain = make(path.with_name("plain.mp4"), "mp4", "aac", "mpeg4", 48_000, [speech_like(1, 48_000)])
    with av.open(str(plain)) as source, av.open(str(path), "w") as out:
        kept = [stream for stream in source.streams if stream.type != "data"]
        streams = {stream.index: out.add_stream_from_template(stream) for stream in kept}
        data = None if timecode else out.add_data_stream("bin_data")
        if timecode:
            out.metadata["timecode"] = "01:00:00:00"
        for packet in source.demux():
            if packet.dts is not None and packet.stream.index in streams:
                packet.stream = streams[packet.stream.index]
                out.mux(packet)
        if data is not None:
            packet = av.Packet(b"52.5 N 13.4 E")
            packet.stream, packet.time_base = data, Fraction(1, 1000)
            packet.pts, packet.dts, packet.duration = 0, 0, 100
            out.mux(packet)
    plain.unlink()
    return path


def test_promise_11_data_that_is_left_out_is_reported(tmp_path: Path, tiny_model: Path) -> None:
    ended = mpeace("denoise", with_data(tmp_path / "a.mp4", timecode=False), "--model", tiny_model)
    assert ended.status == 0
    assert ended.problems == [f"mpeace: {tmp_path / 'a.mp4'}: note: its data track 2 (GoPro MET) is left out"]


@pytest.mark.parametrize("suffix", ["mov", "mp4"])
def test_promise_11_the_time_code_is_kept(tmp_path: Path, tiny_model: Path, suffix: str) -> None:
    ended = mpeace("denoise", with_data(tmp_path / f"a.{suffix}", timecode=True), "--model", tiny_model)
    assert (ended.status, ended.problems) == (0, [])
    with av.open(str(tmp_path / f"a_denoised.{suffix}")) as media:
        codes = [stream.metadata.get("timecode") for stream in media.streams if stream.type == "data"]
    assert codes == ["01:00:00:00"]
