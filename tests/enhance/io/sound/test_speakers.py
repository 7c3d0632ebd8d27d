"""The speaker of each channel is carried from any container to any other: a tone of its own in each channel."""

import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from command import mpeace, read

from enhance.io.formats import Encoding
from enhance.io.sound.speakers import NAMES, Speakers, from_names, read_speakers

Convert = Callable[[Path, Path], str]
RATE = 48_000
MASKS = {
    "mono": 0x4, "front left": 0x1, "stereo": 0x3, "side": 0x600, "2.1": 0xB, "3.0": 0x7, "quad": 0x33,
    "quad(side)": 0x603, "4.0": 0x107, "5.0": 0x37, "5.1": 0x3F, "5.1(side)": 0x60F, "6.1": 0x70F, "7.1": 0x63F,
    "7.1(wide)": 0xFF,
}  # fmt: skip
ALWAYS_TOLD = ("wav", "rf64", "flac", "caf", "aiff")
FIXED = {"mono", "stereo", "3.0", "quad", "5.0", "5.1", "6.1", "7.1"}  # of Vorbis and Opus


def tones(channels: int, low: int | None = None) -> np.ndarray:
    """A tone of 300, 500, 700, ... Hz in each channel, [channels, time]; of 100 Hz where codecs keep no more (LFE)."""
    times = np.arange(RATE * 3 // 10) / RATE
    pitches = [100 if channel == low else 300 + 200 * channel for channel in range(channels)]
    return np.stack([0.1 * np.sin(2 * np.pi * pitch * times) for pitch in pitches])


def heard(audio: np.ndarray) -> list[int]:
    """Number of the tone in each channel, -1 for that of 100 Hz."""
    spectrum = np.abs(np.fft.rfft(audio[:, 2400:12_000] * np.hanning(9600)))
    return [round((np.argmax(channel[15:]) + 15) * RATE / 9600 - 300) // 200 for channel in spectrum]


def extensible(path: Path, mask: int, channels: int, bits: int = 16) -> Path:
    """A WAV of tones whose header has a mask."""
    subtype = {16: "PCM_16", 24: "PCM_24"}[bits]
    low = speakers_of(mask).index("LFE") if mask & 8 else None
    soundfile.write(path, tones(channels, low).T, RATE, format="WAVEX", subtype=subtype)
    content = bytearray(path.read_bytes())
    content[40:44] = struct.pack("<I", mask)
    path.write_bytes(content)
    return path


def seen_by_ffmpeg(path: Path) -> tuple[list[str], list[int]]:
    """Speakers and tones of a file, in FFmpeg's order."""
    with av.open(str(path)) as file:
        names = [channel.name for channel in file.streams.audio[0].codec_context.layout.channels]
        resampler = av.AudioResampler("flt")
        frames = [plain.to_ndarray() for frame in file.decode(audio=0) for plain in resampler.resample(frame)]
    return names, heard(np.concatenate(frames, axis=1).reshape(-1, len(names)).T)


def speakers_of(mask: int) -> list[str]:
    """Names of the speakers of a mask."""
    return [name for bit, name in enumerate(NAMES) if mask >> bit & 1]


def in_order(mask: int) -> list[int]:
    """What `heard` gives of the file that `extensible` makes."""
    return [-1 if name == "LFE" else number for number, name in enumerate(speakers_of(mask))]


@pytest.fixture
def convert(tiny_model: Path) -> Callable[[Path, Path], str]:
    """From one file to another; returns the report."""

    def run(source: Path, target: Path) -> str:
        report = target.with_suffix(".json")
        ended = mpeace("denoise", source, "-o", target, "--mix", "0", "--report", report, "--model", tiny_model)
        assert ended.status == 0, ended.stderr
        return report.read_text()

    return run


@pytest.mark.parametrize("layout", MASKS)
def test_speakers_survive_every_container_and_the_way_back(tmp_path: Path, convert: Convert, layout: str) -> None:
    mask = MASKS[layout]
    source = extensible(tmp_path / "source.wav", mask, mask.bit_count())
    for suffix in ("wav", "rf64", "flac", "caf", "aiff", "ogg", "opus"):
        there, back = tmp_path / f"there.{suffix}", tmp_path / f"back-{suffix}.wav"
        report = convert(source, there)
        told = suffix in ALWAYS_TOLD or layout in FIXED
        assert ("has no place for its speakers" in report) == (not told), (suffix, report)
        convert(there, back)
        names, order = seen_by_ffmpeg(there)
        if told:
            assert order == heard(read(back)) == in_order(mask), suffix
        if told and layout not in ("mono", "stereo"):
            assert names == seen_by_ffmpeg(back)[0] == speakers_of(mask), suffix


@pytest.mark.parametrize("first", ["flac", "caf", "aiff", "ogg", "opus", "rf64"])
def test_five_point_one_moves_between_all_pairs(tmp_path: Path, convert: Convert, first: str) -> None:
    source = extensible(tmp_path / "source.wav", 0x3F, 6)
    convert(source, tmp_path / f"a.{first}")
    for second in ("wav", "flac", "caf", "aiff", "ogg", "opus", "rf64"):
        target = tmp_path / f"b.{second}"
        convert(tmp_path / f"a.{first}", target)
        assert seen_by_ffmpeg(target) == (speakers_of(0x3F), in_order(0x3F)), second


@pytest.mark.parametrize("channels", [4, 8])
def test_channels_that_belong_to_no_speaker_stay_so(tmp_path: Path, convert: Convert, channels: int) -> None:
    source = extensible(tmp_path / "a.wav", 0, channels)
    convert(source, tmp_path / "b.flac")
    convert(tmp_path / "b.flac", tmp_path / "c.wav")
    for path, encoding in (("b.flac", Encoding("FLAC", "PCM_16")), ("c.wav", Encoding("WAVEX", "PCM_16"))):
        assert read_speakers(tmp_path / path, encoding, channels) == Speakers(0)
    assert heard(read(tmp_path / "c.wav")) == list(range(channels))


@pytest.mark.parametrize(("mask", "channels"), [(0x33, 4), (0x60F, 6), (0, 8), (0x1, 1)])
def test_a_pipe_keeps_the_mask(tmp_path: Path, tiny_model: Path, mask: int, channels: int) -> None:
    source = extensible(tmp_path / "a.wav", mask, channels)
    piped = pipe(source, tiny_model)
    assert struct.unpack_from("<I", piped, 40)[0] == mask
    (tmp_path / "b.wav").write_bytes(piped)
    assert heard(read(tmp_path / "b.wav")) == in_order(mask) or mask == 0


def test_mono_of_24_bits_is_not_front_left(tmp_path: Path, convert: Convert, tiny_model: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tones(1).T, RATE, subtype="PCM_24")
    assert struct.unpack_from("<I", pipe(tmp_path / "a.wav", tiny_model), 40)[0] == 0x4
    convert(tmp_path / "a.wav", tmp_path / "b.wav")
    assert (tmp_path / "b.wav").read_bytes()[20:22] == b"\x01\x00"


def test_layouts_of_apple(tmp_path: Path, convert: Convert) -> None:
    """A named layout in another order becomes that of the bits; one that no mask can tell stays in its container."""
    if shutil.which("ffmpeg") is None:
        pytest.skip("needs the command ffmpeg, to write layouts of Apple")
    source = extensible(tmp_path / "a.wav", 0x60F, 6)
    subprocess.run(["ffmpeg", "-v", "error", "-i", source, "-c:a", "pcm_s16be", tmp_path / "a.caf"], check=True)
    convert(tmp_path / "a.caf", tmp_path / "b.wav")
    assert seen_by_ffmpeg(tmp_path / "b.wav") == (speakers_of(0x60F), in_order(0x60F))
    soundfile.write(tmp_path / "plain.caf", tones(3).T[:, [2, 0, 1]], RATE, subtype="PCM_16")
    named = (tmp_path / "plain.caf").read_bytes()
    centre_first = b"chan" + struct.pack(">qIII", 12, 114 << 16 | 3, 0, 0)
    (tmp_path / "c.caf").write_bytes(named + centre_first)
    convert(tmp_path / "c.caf", tmp_path / "d.flac")
    assert seen_by_ffmpeg(tmp_path / "d.flac") == (["FL", "FR", "FC"], [0, 1, 2])
    discrete = b"chan" + struct.pack(">qIII", 12, 147 << 16 | 3, 0, 0)
    (tmp_path / "e.caf").write_bytes(named + discrete)
    convert(tmp_path / "e.caf", tmp_path / "f.caf")
    assert discrete in (tmp_path / "f.caf").read_bytes()
    assert heard(read(tmp_path / "f.caf")) == [2, 0, 1]


@pytest.mark.parametrize(("channels", "tag"), [(1, 100 << 16 | 1), (2, 101 << 16 | 2), (2, 106 << 16 | 2)])
@pytest.mark.parametrize(("suffix", "form"), [("caf", ">4sq"), ("aiff", ">4sI")])
def test_a_layout_of_apple_for_mono_and_stereo_stays(
    tmp_path: Path, convert: Convert, channels: int, tag: int, suffix: str, form: str
) -> None:
    """Mono, stereo, and what was recorded with a dummy head (binaural), which no mask can tell."""
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, tones(channels).T, RATE, subtype="PCM_16")
    content = path.read_bytes() + struct.pack(form, b"chan" if suffix == "caf" else b"CHAN", 12)
    path.write_bytes(content + struct.pack(">III", tag, 0, 0))
    convert(path, tmp_path / f"b.{suffix}")
    speakers = read_speakers(tmp_path / f"b.{suffix}", Encoding(suffix.upper(), "PCM_16"), channels)
    assert speakers == read_speakers(path, Encoding(suffix.upper(), "PCM_16"), channels)
    assert speakers.mask == {100: 0x4, 101: 0x3, 106: None}[tag >> 16]


def test_speakers_are_named_behind_sound_of_odd_size(tmp_path: Path, convert: Convert) -> None:
    sound = tones(3).T[:-1]
    soundfile.write(tmp_path / "a.flac", sound, RATE, subtype="PCM_24")  # 3.0 by its number of channels
    convert(tmp_path / "a.flac", tmp_path / "b.caf")
    assert seen_by_ffmpeg(tmp_path / "b.caf") == (speakers_of(0x7), [0, 1, 2])
    assert read(tmp_path / "b.caf").shape[1] == len(sound)


@pytest.mark.parametrize("suffix", ["w64", "au"])
def test_a_container_that_cannot_name_the_speakers_is_reported(tmp_path: Path, convert: Convert, suffix: str) -> None:
    source = extensible(tmp_path / "a.wav", 0x33, 4)
    assert "has no place for its speakers (quad)" in convert(source, tmp_path / f"b.{suffix}")


def test_the_sound_of_a_video_names_its_speakers(tmp_path: Path, convert: Convert) -> None:
    with av.open(str(tmp_path / "a.mkv"), "w") as file:
        stream = file.add_stream("flac", rate=RATE, layout="5.1(side)")
        samples = np.ascontiguousarray((tones(6).T * 32767).astype(np.int16)).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(samples, "s16", "5.1(side)")
        frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    convert(tmp_path / "a.mkv", tmp_path / "b.wav")
    assert seen_by_ffmpeg(tmp_path / "b.wav") == (speakers_of(0x60F), list(range(6)))


def test_labels_in_any_order_are_sorted() -> None:
    assert from_names(["FL", "FC", "FR", "BL", "BR", "LFE"]) == Speakers(0x3F, (0, 2, 1, 5, 3, 4))
    assert from_names(["FL", "FL"]) == from_names(["AMBI0"]) == Speakers()


def pipe(source: Path, model: Path) -> bytes:
    """What `mpeace denoise - -o - --mix 0` makes of a file."""
    command = [sys.executable, "-c", "import sys; from apps.cli import main; sys.exit(main(sys.argv[1:]))"]
    with source.open("rb") as file:
        done = subprocess.run(
            [*command, "denoise", "-", "-o", "-", "--mix", "0", "--quiet", "--model", model],
            stdin=file,
            capture_output=True,
            check=True,
        )
    return done.stdout
