"""What a codec cannot hold and what no recording has is refused by a table of ours; holes in time take no memory."""

import io
import struct
import tracemalloc
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from command import mpeace, write

from enhance.io.codec_limits import check_codec, check_input
from enhance.io.media.sound_clock import SoundClock
from enhance.io.pipes.wav_pipe import PipeReader
from enhance.utils.errors import FileError
from enhance.utils.interrupt import Stopper


@pytest.mark.parametrize(
    ("major", "subtype", "rate", "channels", "message"),
    [
        ("OGG", "OPUS", 44_100, 1, "Opus holds 8000, 12000, 16000, 24000 or 48000 Hz, not 44100"),
        ("OGG", "VORBIS", 384_000, 1, "Vorbis holds 1000 to 200000 Hz, not 384000"),
        ("OGG", "VORBIS", 48_000, 256, "Vorbis holds 255 channels, not 256"),
        ("MP3", "MPEG_LAYER_III", 96_000, 2, "MP3 holds 8000, .* or 48000 Hz, not 96000"),
        ("MP3", "MPEG_LAYER_III", 48_000, 6, "MP3 holds 2 channels, not 6"),
        ("FLAC", "PCM_16", 700_000, 2, "FLAC holds 1000 to 655350 Hz"),
        ("FLAC", "PCM_16", 48_000, 9, "FLAC holds 8 channels, not 9"),
        ("CAF", "ALAC_16", 48_000, 9, "ALAC holds 8 channels, not 9"),
        ("CAF", "ALAC_24", 48_000, 2, "ALAC_24 is not written, as its encoder damages loud sound; name PCM_24"),
        ("WAV", "IMA_ADPCM", 48_000, 3, "ADPCM holds 2 channels, not 3"),
        ("WAV", "GSM610", 8_000, 2, "GSM 6.10 holds 1 channel, not 2"),
    ],
)
def test_what_a_codec_cannot_hold_is_refused_by_name(
    major: str, subtype: str, rate: int, channels: int, message: str
) -> None:
    with pytest.raises(FileError, match=message):
        check_codec(major, subtype, rate, channels)
    check_codec("WAV", "PCM_16", rate, channels)


def test_an_output_rate_that_the_format_cannot_hold_ends_the_command_before_any_file(tmp_path: Path) -> None:
    ended = mpeace("denoise", tmp_path / "gone.wav", "--format", "opus", "--sample-rate", 44_100)
    assert ended.status == 2
    assert ended.stderr.startswith("mpeace: --format opus: Opus holds 8000, 12000, 16000, 24000 or 48000 Hz")


def test_an_output_by_its_name_is_refused_before_the_sound_is_denoised(tmp_path: Path, tiny_model: Path) -> None:
    source = write(tmp_path / "a.wav", np.zeros((6, 480), np.float32))
    ended = mpeace("denoise", source, "-o", tmp_path / "a.mp3", "--model", tiny_model)
    assert ended.status == 1
    assert "MP3 holds 2 channels, not 6; name another --format" in ended.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]


@pytest.mark.parametrize(("rate", "channels"), [(999, 1), (768_001, 1), (4_000_000_000, 2), (48_000, 257), (0, 0)])
def test_no_recording_has_such_a_rate_or_so_many_channels(rate: int, channels: int) -> None:
    with pytest.raises(FileError, match=f"its header says {rate} Hz and {channels} channels; expected 1000 to"):
        check_input(rate, channels)


def wav_header(rate: int, channels: int, extra: bytes = b"") -> bytes:
    """A WAV of 16 bits up to its samples, of a length that nobody knows."""
    told = struct.pack("<HHIIHH", 1, channels, rate, min(rate * channels * 2, 2**32 - 1), channels * 2 % 2**16, 16)
    return b"RIFF\xff\xff\xff\xffWAVE" + extra + b"fmt " + struct.pack("<I", 16) + told + b"data\xff\xff\xff\xff"


def test_a_wav_from_a_pipe_with_an_absurd_header_is_refused_before_memory_is_taken() -> None:
    for rate, channels in ((4_000_000_000, 1), (48_000, 65_535)):
        tracemalloc.start()
        with pytest.raises(FileError, match="its header says"):
            PipeReader(io.BytesIO(wav_header(rate, channels) + bytes(1000)), Stopper())
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
        tracemalloc.stop()


def test_a_chunk_before_the_sound_of_a_pipe_is_passed_over_in_parts() -> None:
    size = 20_000_001
    stream = io.BytesIO(wav_header(16_000, 1, b"LIST" + struct.pack("<I", size) + bytes(size + 1)) + b"\0\x40" * 8)
    tracemalloc.start()
    reader = PipeReader(stream, Stopper())
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()
    assert (reader.sample_rate, reader.channels) == (16_000, 1)
    np.testing.assert_array_equal(np.concatenate(list(reader.blocks()), axis=1), np.full((1, 8), 0.5, np.float32))


def matroska_with_hole(path: Path, seconds: float) -> Path:
    """A second of noise, nothing for so many seconds, another second."""
    av = pytest.importorskip("av")
    noise = np.random.default_rng(0).normal(0, 0.1, (1, 16_000)).astype(np.float32)
    with av.open(str(path), "w", format="matroska") as out:
        stream = out.add_stream("pcm_s16le", rate=16_000, layout="mono")
        for begin in range(0, 32_000, 320):
            frame = av.AudioFrame.from_ndarray(noise[:, begin % 16_000 :][:, :320], "fltp", "mono")
            frame.sample_rate, frame.time_base = 16_000, Fraction(1, 16_000)
            frame.pts = begin + (round(seconds * 16_000) if begin >= 16_000 else 0)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def test_a_hole_of_an_hour_comes_in_blocks_of_a_second(tmp_path: Path) -> None:
    path = matroska_with_hole(tmp_path / "hole.mka", 3600)
    from enhance.io.media.decoder import TrackReader

    reader = TrackReader(path)
    lengths = [block.shape[1] for block in reader.blocks()]
    reader.close()
    assert sum(lengths) == 3602 * 16_000
    assert max(lengths) <= 48_000 + 16_000


def test_a_hole_of_days_is_damage() -> None:
    clock = SoundClock(1000, 1)
    frame = np.zeros((1, 100), np.float32)

    def all_frames() -> list[np.ndarray]:
        times = (Fraction(number, 10) + (48 * 3600 if number >= 30 else 0) for number in range(60))
        return [block for time in times for block in clock.push(frame, time)]

    with pytest.raises(FileError, match="its time stamps jump by 48 h: they are damaged"):
        all_frames()


def test_a_hole_in_a_video_is_reported_as_it_is_filled_so_that_limits_can_end_it(
    tmp_path: Path, tiny_model: Path
) -> None:
    from enhance import Denoiser
    from enhance.io.denoise_file import run_task
    from enhance.io.options import DenoiseOptions
    from enhance.io.task import Task

    class TooLong(FileError):
        pass

    reached: list[float] = []

    def on_progress(seconds: float, total: float | None) -> None:
        reached.append(seconds)
        if seconds > 30:
            raise TooLong("too long")

    source = matroska_with_hole(tmp_path / "hole.mkv", 3600)
    task = Task(str(source), str(tmp_path / "out.mkv"), str(tmp_path / "part.mkv"))
    outcome = run_task(Denoiser(tiny_model), task, DenoiseOptions(), Stopper(), on_progress)
    assert outcome.message == "too long"
    assert reached[-1] < 40
