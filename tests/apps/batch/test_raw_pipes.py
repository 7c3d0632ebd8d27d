"""Samples without a header, and WAV of unknown length, through `mpeace denoise - -o -`: how programs talk in pipes."""

import io
import json
import os
import select
import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
from command import ROOT, mpeace, read, start, write
from helpers import lag, si_sdr_db, speech_like
from readme import readme_line, run_in_shell

from apps.cli import main
from enhance import list_models, model_for_files
from enhance.dsp.resampling import resample
from enhance.io.pipes.raw_pcm import to_bytes, to_floats


def piped(monkeypatch: pytest.MonkeyPatch, data: bytes, *arguments: object) -> tuple[int, bytes]:
    """Run `mpeace denoise -` over bytes on standard input: status and standard output."""
    output = io.BytesIO()
    with monkeypatch.context() as patch:
        patch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
        patch.setattr("sys.stdout", wrapper := io.TextIOWrapper(output))
        status = main(["denoise", "-", *map(str, arguments)])
        wrapper.detach()
    return status, output.getvalue()


@pytest.mark.parametrize("name", ["u8", "s16le", "S16_LE", "s24le", "s32le", "f32le", "f64le"])
@pytest.mark.parametrize(("rate", "channels"), [(16_000, 1), (44_100, 3)])
def test_every_sample_comes_back_in_its_place_and_its_format(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch, name: str, rate: int, channels: int
) -> None:
    """4321 samples, no whole number of hops: as many come out, aligned, half as loud as the model makes them."""
    subtype = {"u8": "PCM_U8", "s24le": "PCM_24", "s32le": "PCM_32", "f32le": "FLOAT", "f64le": "DOUBLE"}.get(
        name, "PCM_16"
    )
    audio = speech_like(1, rate, channels)[:, :4321]
    options = ("-o", "-", "--raw", f"{name}:{rate}:{channels}", "--model", tiny_model, "-q")
    status, out = piped(monkeypatch, to_bytes(audio.T, subtype), *options)
    assert status == 0
    given = to_floats(out, subtype).reshape(-1, channels).T
    assert given.shape == audio.shape
    assert [lag(out, clean) for out, clean in zip(given, audio, strict=True)] == [0] * channels
    assert np.abs(given - 0.5 * audio).max() < 0.025


def test_a_terminal_and_a_closed_pipe_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    source = str(write(tmp_path / "a.wav", speech_like(0.1, 16_000)))
    for stream, name, command, said in (
        (Terminal(), "stdin", ["-", "-o", str(tmp_path / "b.wav")], "standard input is this terminal: let a program"),
        (Terminal(), "stdout", [source, "-o", "-"], "standard output is this terminal: let a program take sound"),
        (None, "stdin", ["-", "-o", str(tmp_path / "b.wav")], "standard input is closed"),
        (None, "stdout", [source, "-o", "-"], "standard output is closed"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(f"sys.{name}", stream)
            assert main(["denoise", *command]) == 2
        assert f"mpeace: {said}" in capsys.readouterr().err
    assert not (tmp_path / "b.wav").exists()


@pytest.mark.parametrize("header", [False, True])
def test_the_first_samples_come_out_while_the_source_still_waits(tiny_model: Path, header: bool) -> None:
    """What has gone in is out again but for the delay that standard error tells, and a block."""
    rate = 16_000
    sound = to_bytes(speech_like(1, rate).T, "PCM_16")
    wav = struct.pack(
        "<4sI4s4sIHHIIHH4sI", b"RIFF", 2**32 - 1, b"WAVE", b"fmt ", 16, 1, 1, rate, 2 * rate, 2, 16, b"data", 2**32 - 1
    )
    options = [] if header else ["--raw", f"s16le:{rate}:1"]
    process = start(
        "denoise", "-", "-o", "-", *options, "--model", tiny_model, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write((wav if header else b"") + sound[:6401])  # 200 ms, and half a sample
    process.stdin.flush()
    given = b""
    while len(given) < (44 if header else 0) + 6400 - 2 * 224:
        assert select.select([process.stdout], [], [], 60)[0], f"only {len(given)} bytes came"
        given += os.read(process.stdout.fileno(), 100_000)
    rest, stderr = process.communicate(sound[6401:])
    assert process.returncode == 0
    assert len(given + rest) == len(sound) + (44 if header else 0)
    if not header:
        assert "s16le:16000:1: a sample comes out at most 24.0 ms after it came in" in stderr.decode()


@pytest.mark.parametrize(
    ("options", "delay", "apart"),
    [
        ((), "20.0", True),
        (("--link", "auto"), "20.0", True),
        (("--link", "off"), "20.0", False),
        (("--link", "on"), "2050.0", False),
        (("--channels", "left", "--link", "on"), "20.0", False),
    ],
)
def test_a_pipe_says_when_it_cannot_link_two_channels(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: tuple[str, ...],
    delay: str,
    apart: bool,
) -> None:
    """Of samples without a header at their beginning, and of WAV at its end."""
    said = "two channels are denoised each on its own, as they come; --link on links them, and waits 2 seconds"
    sound = bytes(4 * 960)
    assert piped(monkeypatch, sound, "--raw", "s16le:48000:2", "--model", "tiny", *options)[0] == 0
    told = capsys.readouterr().err
    assert f"a sample comes out at most {delay} ms after it came in" in told
    assert told.count(f"; the {said}") == told.count(said) == apart
    wav = struct.pack(
        "<4sI4s4sIHHIIHH4sI", b"RIFF", 2**32 - 1, b"WAVE", b"fmt ", 16, 1, 2, 48_000, 192_000, 4, 16, b"data", 2**32 - 1
    )
    assert piped(monkeypatch, wav + sound, "--model", "tiny", *options)[0] == 0
    assert capsys.readouterr().err.count(f"note: its {said}") == apart


def test_the_delay_of_the_shipped_model_is_24_ms_at_16_khz(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out = piped(monkeypatch, bytes(3200), "--raw", "s16le:16000:1")
    assert (status, out) == (0, bytes(3200))
    assert "s16le:16000:1: a sample comes out at most 24.0 ms after it came in" in capsys.readouterr().err


def test_raw_sound_is_written_to_a_file_as_that_of_a_file_is(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    audio = speech_like(0.5, 16_000, 2)
    source = write(tmp_path / "in.wav", audio, 16_000, subtype="PCM_16")
    raw = to_bytes(read(source).T, "PCM_16")
    report = tmp_path / "report.json"
    options = ("--raw", "s16le:16000:2", "--model", tiny_model, "--report", report, "-q")
    assert piped(monkeypatch, raw, "-o", tmp_path / "out.flac", *options) == (0, b"")
    assert mpeace("denoise", source, "-o", tmp_path / "file.flac", "--model", tiny_model).status == 0
    np.testing.assert_array_equal(read(tmp_path / "out.flac"), read(tmp_path / "file.flac"))
    assert json.loads(report.read_text())["options"]["raw"] == "s16le:16000:2"


@pytest.mark.parametrize("header", [False, True])
def test_a_model_that_hears_what_follows_makes_of_a_pipe_what_it_makes_of_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], header: bool
) -> None:
    """Samples without a header, and WAV that does not say how long it is."""
    source = write(tmp_path / "in.wav", speech_like(0.3, 48_000), subtype="PCM_16")
    model = ("--model", model_for_files())
    assert mpeace("denoise", source, *model, "-o", tmp_path / "out.wav").status == 0
    if header:
        sound = source.read_bytes().replace(struct.pack("<I", 2 * 14_400), struct.pack("<I", 2**32 - 1))
        status, out = piped(monkeypatch, sound, *model)
    else:
        status, out = piped(monkeypatch, to_bytes(read(source).T, "PCM_16"), *model, "--raw", "s16le:48000:1")
    assert status == 0
    np.testing.assert_array_equal(to_floats(out[-28_800:], "PCM_16"), read(tmp_path / "out.wav")[0])
    assert ("a sample comes out at most 4" in capsys.readouterr().err) != header


def test_half_a_sample_at_the_end_is_left_out_and_reported(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out = piped(monkeypatch, bytes(4 * 1000 + 3), "--raw", "s16le:48000:2", "--model", tiny_model)
    assert (status, len(out)) == (0, 4000)
    assert "note: it ends inside a sample of 4 bytes: the last 3 are left out" in capsys.readouterr().err
    assert piped(monkeypatch, b"", "--raw", "s16le:48000:2", "--model", tiny_model) == (0, b"")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-", "--raw", "s16be:16000:1"], "--raw s16be:16000:1: expected FORMAT:RATE:CHANNELS, as s16le:16000:1"),
        (["-", "--raw", "s16le"], "expected FORMAT:RATE:CHANNELS"),
        (["-", "--raw", "s16le:fast:1"], "expected FORMAT:RATE:CHANNELS"),
        (["-", "--raw", "s16le:100:1"], "the rate is 100 Hz, expected 1000 to 768000"),
        (["-", "--raw", "s16le:16000:0"], "0 channels, expected 1 to 64"),
        (["a.raw", "--raw", "s16le:16000:1"], "give - as the only INPUT"),
        (["-", "--raw", "s16le:16000:1", "-o", "out.raw"], "not to out.raw; -o - gives samples without a header"),
        (["-", "--raw", "s16le:16000:1", "--sample-rate", "8000"], "standard output is as standard input"),
    ],
)
def test_what_is_no_raw_format_is_one_line(arguments: list[str], said: str) -> None:
    ended = mpeace("denoise", *arguments)
    assert ended.status == 2
    assert ended.stderr.count("\n") == 1
    assert said in ended.stderr


def test_samples_that_are_no_numbers_end_it_with_their_place(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sound = np.zeros((1000, 1), np.float32)
    sound[500] = np.nan
    status, _ = piped(monkeypatch, to_bytes(sound, "FLOAT"), "--raw", "f32le:48000:1", "--model", tiny_model)
    assert status == 1
    assert "sample 500 (0.010 s) of channel 1 is NaN" in capsys.readouterr().err


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
def test_ffmpeg_talks_to_it_in_both_directions_as_the_readme_says(tmp_path: Path) -> None:
    """The line of the README, and WAV of unknown length; at 48 kHz both give what the file gives by the same model."""
    source = ROOT / "tests" / "data" / "noisy.flac"
    line = readme_line("ffmpeg")
    for shown, used in (("talk.mp4", str(source)), ("clean.m4a", "clean.wav"), ("ffmpeg ", "ffmpeg -v error ")):
        line = line.replace(shown, used)
    commands = f"{line}\nffmpeg -v error -i {source} -f wav - | mpeace denoise - -o - -q > wav.wav\n"
    run_in_shell(commands, tmp_path, os.environ)
    model = list_models()[0].name
    assert mpeace("denoise", source, "-o", tmp_path / "file.wav", "--model", model).status == 0
    np.testing.assert_allclose(read(tmp_path / "clean.wav"), read(tmp_path / "file.wav"), atol=2.0**-15)
    np.testing.assert_allclose(read(tmp_path / "wav.wav"), read(tmp_path / "file.wav"), atol=2.0**-15)


def test_a_recorder_and_a_player_talk_to_it_as_the_readme_says(tmp_path: Path) -> None:
    """The line of the README as it stands, with stand-ins for the sound card's programs."""
    audio = resample(read(ROOT / "tests" / "data" / "noisy.flac"), 48_000, 16_000)[:, :32_000]
    (tmp_path / "given.raw").write_bytes(to_bytes(audio.T, "PCM_16"))
    run_in_shell(readme_line("arecord"), tmp_path, os.environ, arecord="cat given.raw", aplay="cat > played.raw")
    write(tmp_path / "given.wav", audio, 16_000, subtype="PCM_16")
    model = list_models()[0].name
    assert mpeace("denoise", tmp_path / "given.wav", "-o", tmp_path / "file.wav", "--model", model).status == 0
    played = to_floats((tmp_path / "played.raw").read_bytes(), "PCM_16").reshape(1, -1)
    assert played.shape == audio.shape
    assert si_sdr_db(played[0], read(tmp_path / "file.wav")[0]) > 18, "but for the resampling of the lowest delay"
