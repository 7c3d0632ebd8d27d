"""Every number of channels that a container holds goes through it: 1 to 8 and 16, each channel in its place."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import mpeace, read, write

RATE = 48_000
SAMPLES = 12_000
COUNTS: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 7, 8, 16)
LAYOUTS: dict[int, str] = dict(
    zip(COUNTS, ["mono", "stereo", "3.0", "4.0", "5.0", "5.1", "6.1", "7.1", "hexadecagonal"], strict=True)
)
MOST = {"flac": 8, "mp3": 2}  # channels; the others of libsndfile here hold 16


def tones(channels: int) -> np.ndarray:
    """A tone of its own in each channel, float32 [channels, samples]: 500 Hz, 800 Hz, 1100 Hz, ..."""
    time = np.arange(SAMPLES) / RATE
    return np.stack([0.1 * np.sin(2 * np.pi * (500 + 300 * channel) * time) for channel in range(channels)]).astype(
        "f4"
    )


def pitches(audio: np.ndarray) -> list[int]:
    """The strongest frequency of each channel in Hz, rounded to 100."""
    middle = audio[:, 2000:10_000] * np.hanning(8000)
    return [round(peak * RATE / 8000, -2) for peak in np.abs(np.fft.rfft(middle)).argmax(axis=1).tolist()]


@pytest.mark.parametrize("suffix", ["wav", "flac", "mp3", "aiff", "caf", "w64", "rf64", "au"])
def test_sound_files_of_every_number_of_channels(tmp_path: Path, tiny_model: Path, suffix: str) -> None:
    counts = [count for count in COUNTS if count <= MOST.get(suffix, 16)]
    for count in counts:
        write(tmp_path / "in" / f"{count}.{suffix}", tones(count))
    ended = mpeace("denoise", tmp_path / "in", "-o", tmp_path / "out", "--mix", 0, "--model", tiny_model)
    assert ended.status == 0, ended.stderr
    for count in counts:
        kept = read(tmp_path / "out" / f"{count}.{suffix}")
        assert kept.shape == (count, SAMPLES)
        assert pitches(kept) == [500 + 300 * channel for channel in range(count)]


@pytest.mark.parametrize(
    ("name", "muxer", "codec", "counts"),
    [
        ("a.mov", "mov", "pcm_s16le", COUNTS),
        ("a.mka", "matroska", "pcm_s24le", COUNTS),
        ("a.m4a", "ipod", "aac", (1, 2, 3, 4, 5, 6, 8, 16)),
        ("a.mp4", "mp4", "alac", (1, 2, 3, 4, 5, 6)),
        ("a.webm", "webm", "libopus", (1, 2, 6, 8)),
        ("a.avi", "avi", "pcm_s16le", (2, 6, 8, 16)),
        ("a.ts", "mpegts", "aac", (1, 2, 6, 8)),
    ],
)
def test_tracks_of_every_number_of_channels(
    tmp_path: Path, tiny_model: Path, name: str, muxer: str, codec: str, counts: tuple[int, ...]
) -> None:
    av = pytest.importorskip("av")
    for count in counts:
        source, target = tmp_path / name, tmp_path / f"out_{name}"
        packed = np.ascontiguousarray(tones(count).T).reshape(1, -1)
        with av.open(str(source), "w", format=muxer) as out:
            track = out.add_stream(codec, rate=RATE, layout=LAYOUTS[count])
            frame = av.AudioFrame.from_ndarray(packed, "flt", LAYOUTS[count])
            frame.sample_rate = RATE
            out.mux(track.encode(frame))
            out.mux(track.encode(None))
        ended = mpeace("denoise", source, "-o", target, "--mix", 0, "--model", tiny_model, "--if-exists", "overwrite")
        assert ended.status == 0, ended.stderr
        assert pitches(decoded(av, target)) == pitches(decoded(av, source))
        if codec != "aac":  # which has its LFE channel for 120 Hz and less
            assert sorted(pitches(decoded(av, target))) == [500 + 300 * channel for channel in range(count)]


@pytest.mark.parametrize("name", ["a.opus", "a.mka"])
@pytest.mark.parametrize("count", [4, 7, 10])
def test_channels_of_opus_that_belong_to_no_speaker_stay_so(
    tmp_path: Path, tiny_model: Path, name: str, count: int
) -> None:
    """Mapping family 255 (RFC 7845): several microphones. As speakers, the fourth or last would be the LFE channel."""
    av = pytest.importorskip("av")
    source, target, layout = tmp_path / name, tmp_path / f"out_{name}", f"{count} channels"
    packed = np.ascontiguousarray(tones(count).T).reshape(1, -1)
    with av.open(str(source), "w", format="ogg" if name == "a.opus" else "matroska") as out:
        out.metadata["TITLE"] = "Microphones"
        track = out.add_stream("libopus", rate=RATE, layout=layout, options={"mapping_family": "255"})
        frame = av.AudioFrame.from_ndarray(packed, "flt", layout)
        frame.sample_rate = RATE
        out.mux([*track.encode(frame), *track.encode(None)])
    ended = mpeace("denoise", source, "-o", target, "--mix", 0, "--model", tiny_model)
    assert ended.status == 0, ended.stderr
    kept = decoded(av, target)
    assert kept.shape == decoded(av, source).shape
    assert pitches(kept) == [500 + 300 * channel for channel in range(count)]
    with av.open(str(target)) as container:
        track = container.streams.audio[0]
        assert track.codec_context.layout.name == layout
        assert "Microphones" in {**container.metadata, **track.metadata}.values()


def decoded(av: Any, path: Path) -> np.ndarray:
    """The first sound track, float32 [channels, samples]."""
    with av.open(str(path)) as container:
        track = container.streams.audio[0]
        packer = av.AudioResampler("flt", track.layout.name, RATE)
        frames = [packed.to_ndarray() for frame in container.decode(track) for packed in packer.resample(frame)]
    return np.concatenate(frames, axis=1).reshape(-1, track.channels).T
