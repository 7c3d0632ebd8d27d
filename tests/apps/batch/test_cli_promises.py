"""What `mpeace denoise` promises, by the number of the promise."""

import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from command import ROOT, mpeace, partial_files, read, start, write, write_silence
from helpers import lag, speech_like
from tiny_model import tiny_result

from apps.cli import main
from enhance.runtime.registry import model_for_files

ONE_STEP_OF_16_BITS = 2.0**-15
NEEDS_PROC = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="reads /proc; ru_maxrss would count the peak of the test process too"
)
CORRELATION = 0.9  # with the input: lossy codecs take away some, and so does the band limit of 24 kHz


def peaks(model: Path | str, *files: Path) -> list[float]:
    """The highest resident memory so far after each file, MB."""
    code = (
        "import pathlib, re, sys; from apps.batch import denoise_all; from apps.cli import main\n"
        "denoise_all.SINGLE_FILE_APART = False\n"  # in the process that is measured
        "for path in sys.argv[2:]:\n"
        "    assert main(['denoise', path, '--model', sys.argv[1], '-q']) == 0\n"
        "    print(int(re.search(r'VmHWM:\\s*(\\d+)', pathlib.Path('/proc/self/status').read_text())[1]) / 1024)"
    )
    command = [sys.executable, "-c", code, str(model), *map(str, files)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return list(map(float, done.stdout.split()))


@NEEDS_PROC
def test_promise_01_memory_is_constant(tmp_path: Path, tiny_model: Path) -> None:
    short, long = tmp_path / "short.wav", tmp_path / "long.wav"
    write(short, np.zeros((2, 48_000 * 10)))
    with soundfile.SoundFile(long, "w", 48_000, 2, "PCM_16") as file:
        for _ in range(15):  # 150 s: 58 MB as float32
            file.write(np.zeros((480_000, 2), np.int16))
    first, second = peaks(tiny_model, short, long)
    assert second < first + 25
    assert second < 400


@NEEDS_PROC
def test_promise_01_memory_stays_low_with_the_default_model_and_more_channels(tmp_path: Path) -> None:
    """It hears 4 s at a time; eight channels take a few buffers more, not eight times as much."""
    files = [tmp_path / f"{channels}.wav" for channels in (2, 8)]
    for channels, path in zip((2, 8), files, strict=True):
        write(path, np.zeros((channels, 48_000 * 5)))
    stereo, many = peaks(model_for_files(), *files)
    assert stereo < 300
    assert many < stereo + 100


def test_promise_02_length_out_is_length_in(tmp_path: Path, tiny_model: Path) -> None:
    lengths = (0, 1, 2, 479, 480, 481, 960, 10_007, 192_000, 192_001)
    audio = speech_like(5, 48_000)
    for length in lengths:
        write(tmp_path / "in" / f"{length}.wav", audio[:, :length])
    for length in lengths[1:8]:
        for suffix in ("flac", "ogg", "mp3"):
            write(tmp_path / "in" / f"{length}.{suffix}", audio[:, :length])
        write(tmp_path / "in" / f"{length}.opus", audio[:, :length], format="OGG", subtype="OPUS")
    ended = mpeace("denoise", tmp_path / "in", "-o", tmp_path / "out", "--model", tiny_model)
    assert ended.status == 0, ended.stderr
    outputs = sorted((tmp_path / "out").iterdir())
    assert len(outputs) == 10 + 4 * 7
    for output in outputs:
        assert read(output).shape == (1, int(output.stem)), output.name
    assert np.abs(read(tmp_path / "out" / "192001.wav") - tiny_result(audio)[:, :192_001]).max() <= ONE_STEP_OF_16_BITS


KEPT = [
    ("pcm16.wav", "WAV", "PCM_16", 44_100, 2),
    ("pcm24.wav", "WAV", "PCM_24", 96_000, 1),
    ("pcm8.wav", "WAV", "PCM_U8", 8_000, 1),
    ("float.wav", "WAV", "FLOAT", 22_050, 2),
    ("double.wav", "WAV", "DOUBLE", 48_000, 1),
    ("ulaw.wav", "WAV", "ULAW", 8_000, 1),
    ("extensible.wav", "WAVEX", "PCM_24", 48_000, 6),
    ("pcm16.flac", "FLAC", "PCM_16", 44_100, 2),
    ("pcm24.flac", "FLAC", "PCM_24", 192_000, 2),
    ("vorbis.ogg", "OGG", "VORBIS", 44_100, 2),
    ("opus.opus", "OGG", "OPUS", 16_000, 1),
    ("mpeg1.mp3", "MP3", "MPEG_LAYER_III", 44_100, 2),
    ("mpeg2.mp3", "MP3", "MPEG_LAYER_III", 22_050, 1),
    ("pcm16.aiff", "AIFF", "PCM_16", 32_000, 2),
    ("pcm24.caf", "CAF", "PCM_24", 48_000, 2),
    ("float.w64", "W64", "FLOAT", 48_000, 2),
    ("pcm16.rf64", "RF64", "PCM_16", 48_000, 2),
]


@pytest.mark.parametrize(("name", "major", "subtype", "rate", "channels"), KEPT, ids=[row[0] for row in KEPT])
def test_promise_03_rate_channels_subtype_container_are_kept(
    tmp_path: Path, tiny_model: Path, name: str, major: str, subtype: str, rate: int, channels: int
) -> None:
    audio = speech_like(0.5, rate, channels)
    source = write(tmp_path / name, audio, rate, format=major, subtype=subtype)
    assert mpeace("denoise", source, "-o", tmp_path / "out" / name, "--model", tiny_model).status == 0
    with soundfile.SoundFile(tmp_path / "out" / name) as file:
        kept = (file.format, file.subtype, file.samplerate, file.channels, file.frames)
    assert kept == (major, subtype, rate, channels, audio.shape[1])
    output = read(tmp_path / "out" / name)
    for channel in range(channels):
        assert np.corrcoef(output[channel], audio[channel])[0, 1] > CORRELATION
        assert lag(output[channel], audio[channel]) == 0


def test_promise_03_or_what_the_user_names(tmp_path: Path, tiny_model: Path) -> None:
    audio = speech_like(1, 44_100, 2)
    source = write(tmp_path / "a.wav", audio, 44_100)
    named = ("--format", "flac", "--subtype", "pcm_24", "--sample-rate", "16000")
    assert mpeace("denoise", source, "--model", tiny_model, *named).status == 0
    with soundfile.SoundFile(tmp_path / "a_denoised.flac") as file:
        assert (file.format, file.subtype, file.samplerate, file.frames) == ("FLAC", "PCM_24", 16_000, 16_000)
    assert (
        mpeace("denoise", source, "--model", tiny_model, "-o", tmp_path / "b.opus", "--sample-rate", 48_000).status == 0
    )
    with soundfile.SoundFile(tmp_path / "b.opus") as file:
        assert (file.format, file.subtype, file.samplerate, file.frames) == ("OGG", "OPUS", 48_000, 48_000)


@pytest.mark.parametrize("channels", [1, 2, 3, 6, 64])
def test_promise_04_any_channel_count_aligned_to_the_sample(tmp_path: Path, tiny_model: Path, channels: int) -> None:
    audio = np.stack([np.roll(speech_like(0.5, 48_000)[0], 7 * channel) for channel in range(channels)])
    source = write(tmp_path / "many.wav", audio, subtype="FLOAT")
    linked = 3e-4 if channels == 2 else 1e-7  # two are taken for one voice, 7 samples late in one of them
    for link, tolerance in (("off", 1e-7), ("auto", linked)):
        output = tmp_path / f"{link}.wav"
        assert mpeace("denoise", source, "-o", output, "--model", tiny_model, "--link", link).status == 0
        np.testing.assert_allclose(read(output), tiny_result(audio), atol=tolerance)


def test_promise_07_folder_keeps_its_tree_and_names(tmp_path: Path, tiny_model: Path) -> None:
    audio = speech_like(0.1, 48_000)
    for name in ("a.wav", "b/c.flac", "b/d/e.WAV", "b/.hidden/x.wav", "._a.wav"):
        write(tmp_path / "in" / name, audio)
    (tmp_path / "in" / "notes.txt").write_text("not a sound")
    assert mpeace("denoise", tmp_path / "in", "-o", tmp_path / "out", "--model", tiny_model).status == 0
    outputs = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert outputs == {"a.wav", str(Path("b/c.flac")), str(Path("b/d/e.WAV"))}
    named = ("--name", "{stem}-clean-{extension}{suffix}")
    assert mpeace("denoise", tmp_path / "in/b", "-o", tmp_path / "named", "--model", tiny_model, *named).status == 0
    outputs = {str(path.relative_to(tmp_path / "named")) for path in (tmp_path / "named").rglob("*") if path.is_file()}
    assert outputs == {"c-clean-flac.flac", str(Path("d/e-clean-WAV.WAV"))}


@pytest.mark.parametrize(
    ("choice", "status", "changed"), [("skip", 0, False), ("overwrite", 0, True), ("fail", 1, False)]
)
def test_promise_07_what_exists_is_a_named_choice(
    tmp_path: Path, tiny_model: Path, choice: str, status: int, changed: bool
) -> None:
    source = write(tmp_path / "a.wav", speech_like(0.1, 48_000))
    output = tmp_path / "a_denoised.wav"
    output.write_text("mine")
    ended = mpeace("denoise", source, "--model", tiny_model, "--if-exists", choice)
    assert ended.status == status
    assert (output.read_bytes() != b"mine") == changed
    assert str(output) in ended.stderr


def test_promise_08_a_half_done_batch_resumes(tmp_path: Path, tiny_model: Path) -> None:
    for name in ("a", "b", "c"):
        write(tmp_path / f"{name}.wav", speech_like(0.1, 48_000))
    assert mpeace("denoise", tmp_path / "a.wav", "--model", tiny_model).status == 0
    before = (tmp_path / "a_denoised.wav").stat()
    ended = mpeace("denoise", tmp_path, "--model", tiny_model)
    assert ended.status == 0
    assert "2 done, 1 skipped, 0 failed" in ended.stderr
    assert (tmp_path / "a_denoised.wav").stat().st_mtime_ns == before.st_mtime_ns
    assert len(list(tmp_path.glob("*.wav"))) == 6, "the outputs of the first run became inputs"
    os.utime(tmp_path / "b.wav")  # changed since
    ended = mpeace("denoise", tmp_path, "--model", tiny_model)
    assert ended.status == 1
    assert [line for line in ended.problems if "older than the input" in line and "b.wav" in line]


@pytest.mark.parametrize("kill", ["kill", "terminate"])
def test_promise_08_a_finished_file_is_never_half_written(tmp_path: Path, tiny_model: Path, kill: str) -> None:
    source = write_silence(tmp_path / "long.wav", seconds=3600)
    process = start("denoise", source, "-o", tmp_path / "out.wav", "--model", tiny_model)
    while not partial_files(tmp_path):
        assert process.poll() is None, process.stderr.read().decode() if process.stderr else ""
    getattr(process, kill)()
    process.communicate()
    assert process.returncode != 0
    assert not (tmp_path / "out.wav").exists()
    if kill == "terminate":
        assert not partial_files(tmp_path)


def test_promise_09_one_bad_file_never_stops_the_rest(tmp_path: Path, tiny_model: Path) -> None:
    write(tmp_path / "in" / "a.wav", speech_like(0.1, 48_000))
    (tmp_path / "in" / "b.wav").write_text("no sound")
    write(tmp_path / "in" / "c.wav", speech_like(0.1, 48_000))
    report = tmp_path / "report.json"
    ended = mpeace("denoise", tmp_path / "in", "-o", tmp_path / "out", "--model", tiny_model, "--report", report)
    assert ended.status == 1
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.wav", "c.wav"]
    assert len(ended.problems) == 1
    summary = ended.stderr.splitlines()[-2:]
    assert summary[0].startswith("2 done, 0 skipped, 1 failed")
    assert "b.wav" in summary[1]
    assert '"failed": 1' in report.read_text()


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_promise_10_standard_input_and_output(
    tmp_path: Path, tiny_model: Path, subtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    audio = speech_like(1, 44_100, 3)
    source = write(tmp_path / "in.wav", audio, 44_100, subtype=subtype)
    output = io.BytesIO()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(source.read_bytes())))
    monkeypatch.setattr("sys.stdout", wrapper := io.TextIOWrapper(output))
    status = main(["denoise", "-", "-o", "-", "--model", str(tiny_model), "-q"])
    wrapper.detach()
    assert status == 0
    (tmp_path / "out.wav").write_bytes(output.getvalue())
    with soundfile.SoundFile(tmp_path / "out.wav") as file:
        assert (file.samplerate, file.channels, file.frames) == (44_100, 3, audio.shape[1])
        assert file.subtype == subtype
    assert mpeace("denoise", source, "-o", tmp_path / "file.wav", "--model", tiny_model).status == 0
    np.testing.assert_array_equal(read(tmp_path / "out.wav"), read(tmp_path / "file.wav"))


def test_promise_10_sound_flows_through_a_pipe_as_it_comes(tmp_path: Path, tiny_model: Path) -> None:
    source = write(tmp_path / "in.wav", speech_like(2, 48_000)).read_bytes()
    source = source[:4] + b"\xff" * 4 + source[8:40] + b"\xff" * 4 + source[44:]  # a length that nobody knows
    process = start("denoise", "-", "--model", tiny_model, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(source[: len(source) // 2])
    process.stdin.flush()
    first = os.read(process.stdout.fileno(), 40_000)  # comes before the second half goes in
    rest, stderr = process.communicate(source[len(source) // 2 :])
    assert process.returncode == 0, stderr.decode()
    (tmp_path / "out.wav").write_bytes(first + rest)
    assert read(tmp_path / "out.wav").shape == (1, 96_000)
