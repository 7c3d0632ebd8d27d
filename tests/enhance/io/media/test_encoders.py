"""Tracks that a container cannot hold again get another codec and a note, with every channel in its place."""

import shutil
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import mpeace, write
from helpers import speech_like

av: Any = pytest.importorskip("av")
from media import look  # noqa: E402

RATE = 48_000
needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg: PyAV does not write these")


def convert(sound: Path, target: Path, *options: str) -> Path:
    """Encode a sound file with the ffmpeg command beside a picture."""
    picture = ["-f", "lavfi", "-i", "testsrc=size=64x48:rate=25:duration=2"]
    command = ["ffmpeg", "-v", "error", "-i", str(sound), *picture, "-c:v", "mpeg4", "-shortest"]
    subprocess.run([*command, *options, str(target)], check=True, capture_output=True)
    return target


def tones(channels: int, rate: int = RATE) -> np.ndarray:
    """A tone of its own in each channel, one second, float32 [channels, samples]."""
    time = np.arange(rate) / rate
    return np.stack([0.2 * np.sin(2 * np.pi * (300 + 200 * channel) * time) for channel in range(channels)]).astype(
        "f4"
    )


def pitches(audio: np.ndarray, rate: int) -> list[int]:
    middle = audio[:, rate // 4 : rate * 3 // 4] * np.hanning(rate // 2)
    return [round(peak * 2, -2) for peak in np.abs(np.fft.rfft(middle)).argmax(axis=1).tolist()]


@needs_ffmpeg
@pytest.mark.parametrize(
    ("name", "options", "channels", "rate", "becomes", "note"),
    [
        ("camera.mkv", ["-c:a", "pcm_mulaw"], 1, 8000, "opus", "pcm_mulaw became opus"),
        ("camera.mkv", ["-c:a", "pcm_alaw"], 1, 8000, "opus", "pcm_alaw became opus"),
        ("camera.mkv", ["-c:a", "adpcm_ima_wav"], 2, 48_000, "opus", "adpcm_ima_wav became opus"),
        ("camera.mkv", ["-c:a", "adpcm_ms"], 1, 44_100, "opus", "adpcm_ms became opus, 44100 Hz became 48000 Hz"),
        ("tv.mkv", ["-c:a", "wmav2"], 2, 48_000, "opus", "wmav2 became opus"),
        ("film.mkv", ["-c:a", "dca", "-strict", "-2"], 6, 48_000, "opus", "dts became opus, 5.1(side) became 5.1"),
        ("film.ts", ["-c:a", "dca", "-strict", "-2"], 6, 48_000, "aac", "dts became aac, 5.1(side) became 5.1"),
        ("film.mkv", ["-c:a", "truehd", "-strict", "-2"], 2, 48_000, "flac", "truehd became flac"),
        ("clip.webm", ["-c:a", "libvorbis", "-c:v", "libvpx"], 2, 48_000, "opus", "vorbis became opus"),
        ("clip.mkv", ["-c:a", "libvorbis"], 2, 44_100, "opus", "vorbis became opus, 44100 Hz became 48000 Hz"),
    ],
)
def test_a_track_that_its_container_cannot_hold_again(
    tmp_path: Path,
    tiny_model: Path,
    name: str,
    options: list[str],
    channels: int,
    rate: int,
    becomes: str,
    note: str,
) -> None:
    sound = write(tmp_path / "sound.wav", tones(channels, rate), rate)
    source = convert(sound, tmp_path / name, *options)
    output = tmp_path / f"out-{name}"
    ended = mpeace("denoise", source, "-o", output, "--mix", 0, "--model", tiny_model)
    assert ended.status == 0, ended.stderr
    assert ended.problems == [f"mpeace: {source}: note: {note}"]
    before, after = look(source), look(output)
    assert after.codecs == [becomes]
    assert after.picture == before.picture
    assert pitches(after.sound[0], after.rates[0])[: min(channels, 3)] == [
        300 + 200 * c for c in range(min(channels, 3))
    ]
    seconds = before.sound[0].shape[1] / before.rates[0]
    assert after.sound[0].shape[1] / after.rates[0] == pytest.approx(seconds, abs=0.03)


@pytest.mark.parametrize(("codec", "becomes"), [("flac", "alac"), ("libopus", "aac"), ("libmp3lame", "aac")])
@pytest.mark.parametrize("name", ["book.m4a", "book.m4b"])
def test_a_track_that_m4a_cannot_hold_again(
    tmp_path: Path, tiny_model: Path, name: str, codec: str, becomes: str
) -> None:
    audio = speech_like(1, RATE, 2)
    with av.open(str(tmp_path / name), "w", format="mp4") as out:
        stream = out.add_stream(codec, rate=RATE, layout="stereo")
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(audio.T).reshape(1, -1), "flt", "stereo")
        frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    output = tmp_path / f"out-{name}"
    ended = mpeace("denoise", tmp_path / name, "-o", output, "--mix", 0, "--model", tiny_model)
    assert ended.status == 0, ended.stderr
    assert f"{codec.removeprefix('lib').removesuffix('lame')} became {becomes}" in ended.problems[0]
    kept = look(output)
    assert kept.codecs == [becomes]
    for was, now in zip(audio, kept.sound[0], strict=True):
        assert np.corrcoef(was[:40_000], now[:40_000])[0, 1] > 0.85  # half of the sound is noise


@needs_ffmpeg
@pytest.mark.parametrize(
    ("name", "options", "asked", "held"),
    [
        ("a.mxf", ("-c:v", "mpeg2video"), 44_100, 48_000),
        ("a.mpg", ("-c:v", "mpeg2video", "-b:a", "384k"), 22_050, 22_050),
        ("a.flv", ("-c:v", "flv", "-c:a", "libmp3lame"), 32_000, 44_100),
    ],
)
def test_a_rate_that_a_container_does_not_hold_becomes_the_nearest_that_it_does(
    tmp_path: Path, tiny_model: Path, name: str, options: tuple[str, ...], asked: int, held: int
) -> None:
    source = convert(write(tmp_path / "a.wav", speech_like(2, RATE)), tmp_path / name, *options)
    output = tmp_path / f"out{source.suffix}"
    ended = mpeace("denoise", source, "-o", output, "--sample-rate", asked, "--model", tiny_model)
    assert ended.status == 0, ended.stderr
    assert look(output).rates == [held]
    assert [line.split(": note: ")[1] for line in ended.problems] == [f"{asked} Hz became {held} Hz"] * (asked != held)


@needs_ffmpeg
@pytest.mark.parametrize("name", ["memo.m4a", "memo.mp4", "memo.mkv", "memo.mov"])
@pytest.mark.parametrize(("channels", "kilobits"), [(1, 32), (1, 64), (2, 64), (2, 128)])
def test_a_memo_of_low_bitrate_does_not_grow(
    tmp_path: Path, tiny_model: Path, name: str, channels: int, kilobits: int
) -> None:
    source = write(tmp_path / "a.wav", speech_like(4, RATE, channels))
    coded, cleaned = tmp_path / name, tmp_path / f"cleaned-{name}"
    command = ["ffmpeg", "-v", "error", "-i", str(source), "-c:a", "aac", "-b:a", f"{kilobits}k", str(coded)]
    subprocess.run(command, check=True, capture_output=True)
    assert mpeace("denoise", coded, "-o", cleaned, "--model", tiny_model, "--mix", 0).status == 0
    assert cleaned.stat().st_size == pytest.approx(coded.stat().st_size, rel=0.15)


@pytest.mark.parametrize(
    ("name", "muxer", "codec", "layout", "channels", "kept"),
    [
        ("a.mkv", "matroska", "ac3", "5.1(side)", 6, "5.1(side)"),
        ("a.mkv", "matroska", "flac", "quad(side)", 4, "quad(side)"),
        ("a.mkv", "matroska", "flac", "7.1(wide)", 8, "7.1(wide)"),
        ("a.mkv", "matroska", "pcm_s16le", "hexadecagonal", 16, None),
        ("a.mkv", "matroska", "libopus", "7.1", 8, "7.1"),
        ("a.mp4", "mp4", "aac", "6.1", 7, None),
        ("a.mp4", "mp4", "flac", "7.1", 8, "7.1"),
        ("a.webm", "webm", "libopus", "3.0", 3, "3.0"),
        ("a.webm", "webm", "libopus", "5.0", 5, "5.0"),
        ("a.webm", "webm", "libopus", "6.1", 7, "6.1"),
        ("a.mkv", "matroska", "libopus", "quad", 4, "quad"),
    ],
)
def test_layouts_are_asked_of_the_encoder(
    tmp_path: Path, tiny_model: Path, name: str, muxer: str, codec: str, layout: str, channels: int, kept: str | None
) -> None:
    with av.open(str(tmp_path / name), "w", format=muxer) as out:
        stream = out.add_stream(codec, rate=RATE, layout=layout)
        if codec == "libopus":
            stream.codec_context.options = {"mapping_family": "1"}  # else FFmpeg mixes up the channels of 5.0 and 6.1
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(tones(channels).T).reshape(1, -1), "flt", layout)
        frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    output = tmp_path / f"out-{name}"
    ended = mpeace("denoise", tmp_path / name, "-o", output, "--mix", 0, "--model", tiny_model)
    assert ended.status == 0, ended.stderr
    assert not ended.problems
    with av.open(str(output)) as after:
        context = after.streams.audio[0].codec_context
        assert context.channels == channels
        assert kept in (None, context.layout.name)
        frames = [frame for packet in after.demux() for frame in packet.decode()]
    resampler = av.AudioResampler("flt")
    packed = [plain.to_ndarray() for frame in frames for plain in resampler.resample(frame)]
    sound = np.concatenate(packed, axis=1).reshape(-1, channels).T
    wanted = [300 + 200 * channel for channel in range(channels)]
    silent = 3 if codec in ("ac3", "libopus") and channels > 5 else None  # their subwoofer ends at 120 Hz
    found = pitches(sound, RATE)
    assert [pitch for place, pitch in enumerate(found) if place != silent] == [
        pitch for place, pitch in enumerate(wanted) if place != silent
    ]
