"""Bad input: one clear line on standard error, the rest goes on, nothing half-written, the input never touched."""

import contextlib
import io
import os
import resource
import shutil
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from command import Ended, mpeace, partial_files, read, start, write
from conftest import TINY_GAIN
from helpers import speech_like


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a good file, which every batch must finish."""
    write(tmp_path / "in" / "good.wav", speech_like(0.1, 48_000))
    return tmp_path / "in"


def refused(folder: Path, bad: Path, tiny_model: Path) -> str:
    """Denoise the folder; check all that holds for every bad file; return the line about it."""
    before = bad.read_bytes() if bad.is_file() else None
    out = folder.parent / "out"
    ended = mpeace("denoise", bad, folder / "good.wav", "-o", out, "--model", tiny_model)
    assert ended.status == 1
    assert len(ended.problems) == 1, ended.stderr
    line = ended.problems[0]
    assert line.startswith(f"mpeace: {bad}: ")
    assert [path.name for path in out.iterdir()] == ["good.wav"], "the rest of the batch, and nothing half-written"
    assert before is None or bad.read_bytes() == before
    shutil.rmtree(out)
    return line


def test_missing(folder: Path, tiny_model: Path) -> None:
    assert "no such file" in refused(folder, folder / "nowhere.wav", tiny_model)
    assert "no file matches" in refused(folder, folder / "nowhere*.wav", tiny_model)
    (folder / "empty").mkdir()
    assert "no sound files" in refused(folder, folder / "empty", tiny_model)


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.mp3", "a.m4a"])
def test_empty(folder: Path, tiny_model: Path, name: str) -> None:
    (folder / name).touch()
    assert "empty (0 bytes)" in refused(folder, folder / name, tiny_model)


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


@pytest.mark.parametrize("name", TRUNCATED)
def test_truncated(folder: Path, tiny_model: Path, name: str) -> None:
    options = {"format": "OGG", "subtype": "OPUS"} if name.endswith("opus") else {}
    bad = write(folder / name, speech_like(2, 48_000, 2), 48_000, **options)
    bad.write_bytes(bad.read_bytes()[: bad.stat().st_size * 6 // 10])
    assert "cut off" in refused(folder, bad, tiny_model)


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
    assert "tells of no sound, but 96000 bytes follow" in refused(folder, bad, tiny_model)
    assert mpeace("denoise", bad, "-o", folder / "b.wav", "--model", tiny_model, "--salvage").status == 0
    np.testing.assert_allclose(read(folder / "b.wav"), TINY_GAIN * audio, atol=2.0**-15)


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


@pytest.mark.parametrize("name", ["a.wav", "a.mp4"])
def test_text_renamed(folder: Path, tiny_model: Path, name: str) -> None:
    (folder / name).write_text("Dear diary, today I renamed a text.\n" * 50)
    assert "can be read" in refused(folder, folder / name, tiny_model)


@pytest.mark.parametrize(("value", "word"), [(np.nan, "NaN"), (np.inf, "infinite"), (-np.inf, "infinite")])
def test_nan_and_infinite_samples(folder: Path, tiny_model: Path, value: float, word: str) -> None:
    audio = speech_like(1, 48_000, 2)
    audio[1, 24_000] = value
    bad = write(folder / "a.wav", audio, subtype="FLOAT")
    line = refused(folder, bad, tiny_model)
    assert f"sample 24000 (0.500 s) of channel 2 is {word}" in line


def test_samples_that_are_no_audio(folder: Path, tiny_model: Path) -> None:
    bad = write(folder / "a.wav", np.full((1, 4800), 1e30), subtype="DOUBLE")
    assert "full scale" in refused(folder, bad, tiny_model)


def test_one_sample(tmp_path: Path, tiny_model: Path) -> None:
    source = write(tmp_path / "a.wav", np.array([[0.5]]), subtype="FLOAT")
    assert mpeace("denoise", source, "-o", tmp_path / "b.wav", "--model", tiny_model).status == 0
    assert read(tmp_path / "b.wav").tolist() == [[0.25]]


@pytest.mark.parametrize("rate", [0, 1, 999, 5_000_000, 2**31 - 1])
def test_absurd_rates(folder: Path, tiny_model: Path, rate: int) -> None:
    bad = write(folder / "a.wav", speech_like(0.1, 48_000))
    content = bad.read_bytes()
    bad.write_bytes(content[:24] + struct.pack("<I", rate) + content[28:])
    line = refused(folder, bad, tiny_model)
    assert "rate" in line or "can be read" in line


@contextlib.contextmanager
def as_nobody() -> Iterator[None]:
    """File permissions bind everybody but root, so root becomes somebody else for a while."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="permissions of this system are of another kind")
def test_no_permission(folder: Path, tiny_model: Path, tmp_path: Path) -> None:
    bad = write(folder / "shut.wav", speech_like(0.1, 48_000))
    out = tmp_path / "out"
    out.mkdir()
    out.chmod(0o777)
    for parent in {tmp_path, *tmp_path.parents, *tiny_model.parents}:
        if parent.owner() == tmp_path.owner() and any("pytest-" in part for part in parent.parts):
            parent.chmod(0o755)  # pytest makes its folders for their owner only
    mpeace("denoise", folder / "good.wav", "-o", tmp_path / "warm.wav", "--model", tiny_model)  # imports as root
    bad.chmod(0)
    with as_nobody():
        unreadable = mpeace("denoise", bad, folder / "good.wav", "-o", out, "--model", tiny_model)
    out.chmod(0o555)
    with as_nobody():
        unwritable = mpeace("denoise", folder / "good.wav", "-o", out / "new.wav", "--model", tiny_model)
    assert unreadable.problems == [f"mpeace: {bad}: cannot be read: permission denied"]
    assert unwritable.problems == [f"mpeace: {folder / 'good.wav'}: cannot write {out / 'new.wav'}: permission denied"]
    assert (unreadable.status, unwritable.status) == (1, 1)
    assert [path.name for path in out.iterdir()] == ["good.wav"]


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3", "m4a"])
def test_full_disk(tmp_path: Path, tiny_model: Path, suffix: str) -> None:
    """The limit on the size of a file stands for a full disk: both fail in `write`."""
    source = write(tmp_path / "a.wav", np.random.default_rng(0).uniform(-0.5, 0.5, (2, 480_000)))
    output = tmp_path / f"out.{suffix}"
    if suffix == "m4a":
        source = make_m4a(tmp_path / "a.m4a")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        ended = mpeace("denoise", source, "-o", output, "--model", tiny_model)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert ended.status == 1
    assert ended.problems == [f"mpeace: {source}: cannot write {output}: file too large"]
    assert not output.exists()
    assert not partial_files(tmp_path)


def make_m4a(path: Path) -> Path:
    """Ten seconds of noise as AAC."""
    import av

    with av.open(str(path), "w", format="ipod") as container:
        stream = container.add_stream("aac", rate=48_000, layout="mono")
        noise = np.random.default_rng(0).uniform(-0.5, 0.5, (1, 480_000)).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(noise, "fltp", "mono")
        frame.sample_rate = 48_000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device that is always full")
def test_full_disk_behind_standard_output(tmp_path: Path, tiny_model: Path) -> None:
    source = write(tmp_path / "a.wav", speech_like(1, 48_000))
    with Path("/dev/full").open("wb") as full:
        process = start("denoise", source, "-o", "-", "--model", tiny_model, stdout=full)
        _, stderr = process.communicate()
    assert process.returncode == 1
    assert stderr.decode().splitlines() == [f"mpeace: {source}: no space left on device"]


def test_a_reader_that_goes_away(tmp_path: Path, tiny_model: Path) -> None:
    source = write(tmp_path / "a.wav", speech_like(20, 48_000))
    process = start("denoise", source, "-o", "-", "--model", tiny_model, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.read(1000)
    process.stdout.close()
    assert process.stderr is not None
    lines = process.stderr.read().decode().splitlines()
    assert process.wait() == 1
    assert lines == [f"mpeace: {source}: the program that reads the output has closed it"]


def test_a_pipe_that_is_no_wav(tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = write(tmp_path / "a.wav", speech_like(1, 48_000)).read_bytes()
    for content, words in (
        (b"", "nothing came"),
        (b"no sound at all, only text", "not WAV"),
        (good[:20], "cut off before"),
        (good[:60_000], "its header promises 48000 samples, there are 29978"),
        (good[:20] + b"\x55" + good[21:], "format 85"),
    ):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
        ended = mpeace("denoise", "-", "-o", tmp_path / "out.wav", "--model", tiny_model)
        assert ended.status == 1
        assert len(ended.problems) == 1
        assert words in ended.problems[0]
        assert ended.problems[0].startswith("mpeace: standard input: ")
        assert not (tmp_path / "out.wav").exists()
        assert not partial_files(tmp_path)


def usage(ended: Ended, *words: object) -> None:
    """Check that nothing was started: one line with these words, exit status 2."""
    assert ended.status == 2
    assert len(ended.stderr.splitlines()) == 1
    for word in words:
        assert str(word) in ended.stderr


def test_output_equals_input(tmp_path: Path, tiny_model: Path) -> None:
    source = write(tmp_path / "a.wav", speech_like(0.1, 48_000))
    before = source.read_bytes()
    (tmp_path / "link.wav").symlink_to(source)
    for output in (source, tmp_path / "." / "a.wav", tmp_path / "link.wav", tmp_path):
        usage(
            mpeace("denoise", source, "-o", output, "--model", tiny_model, "--if-exists", "overwrite"), source, "itself"
        )
    usage(mpeace("denoise", source, "--name", "{stem}{suffix}", "--model", tiny_model), source, "itself")
    assert source.read_bytes() == before


def test_two_inputs_with_one_output(tmp_path: Path, tiny_model: Path) -> None:
    first = write(tmp_path / "x" / "a.wav", speech_like(0.1, 48_000))
    second = write(tmp_path / "y" / "a.wav", speech_like(0.1, 48_000))
    usage(mpeace("denoise", first, second, "-o", tmp_path / "out", "--model", tiny_model), first, second)
    assert not (tmp_path / "out").exists()
    third = write(tmp_path / "x" / "a.flac", speech_like(0.1, 48_000))
    usage(mpeace("denoise", tmp_path / "x", "--format", "ogg", "--model", tiny_model), first, third)


def test_an_input_that_is_the_output_of_another(tmp_path: Path, tiny_model: Path) -> None:
    first = write(tmp_path / "a.wav", speech_like(0.1, 48_000))
    second = write(tmp_path / "a_denoised.wav", speech_like(0.1, 48_000))
    usage(mpeace("denoise", first, second, "--model", tiny_model), first, second)


@pytest.mark.parametrize("damage", ["cut", "text", "missing"])
def test_a_damaged_model(tmp_path: Path, tiny_model: Path, damage: str) -> None:
    source = write(tmp_path / "a.wav", speech_like(0.1, 48_000))
    model = tmp_path / "model.onnx"
    if damage == "cut":
        model.write_bytes(tiny_model.read_bytes()[:200])
    if damage == "text":
        model.write_text("not a network")
    ended = mpeace("denoise", source, "--model", model)
    assert ended.status == 1
    assert len(ended.stderr.splitlines()) == 1
    assert str(model) in ended.stderr
    assert [path for path in tmp_path.iterdir() if path.suffix == ".wav"] == [source]
    info = mpeace("info", model)
    assert info.status == 1
    assert len(info.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--mix", "1.5"), "--mix"),
        (("--mix", "nan"), "--mix"),
        (("--attenuation-limit", "-3"), "--attenuation-limit"),
        (("--sample-rate", "12"), "sample rate 12 Hz"),
        (("--format", "mp5"), "mp5"),
        (("--name", "{nonsense}"), "{stem}"),
        (("--name", "../{stem}"), "without folders"),
        (("--report", "no/such/folder/report.json"), "--report"),
        (("-o", "-", "--clip", "rescale"), "--clip rescale"),
        (("-o", "-", "--format", "flac"), "standard output is WAV"),
        (("-o", "out.m4a"), ".m4a"),
        (("-o", os.devnull), "no file"),
    ],
)
def test_options_that_make_no_sense(tmp_path: Path, tiny_model: Path, options: tuple[str, ...], words: str) -> None:
    source = write(tmp_path / "a.wav", speech_like(0.1, 48_000))
    usage(mpeace("denoise", source, "--model", tiny_model, *options), words)
    assert list(tmp_path.iterdir()) == [source]


def test_a_subtype_that_the_container_lacks(folder: Path, tiny_model: Path) -> None:
    ended = mpeace("denoise", folder, "--format", "flac", "--subtype", "FLOAT", "--model", tiny_model)
    assert ended.status == 1
    assert "flac has no subtype FLOAT; it has PCM" in ended.problems[0]


def test_a_rate_that_the_container_lacks(tmp_path: Path, tiny_model: Path) -> None:
    source = write(tmp_path / "a.wav", speech_like(0.1, 44_100), 44_100)
    ended = mpeace("denoise", source, "--format", "opus", "--model", tiny_model)
    assert ended.status == 1
    assert "--sample-rate" in ended.problems[0]
    assert list(tmp_path.iterdir()) == [source]
