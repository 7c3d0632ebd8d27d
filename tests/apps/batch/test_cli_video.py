"""The sound of M4A and video: cleaned and put back, in step with the picture, and everything else untouched."""

import re
import struct
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from command import ROOT, mpeace, partial_files, read
from helpers import lag, speech_like
from media import look, make
from mutagen.mp4 import MP4, MP4Cover
from tiny_model import TINY_GAIN, tiny_result

COVER = b"\x89PNG\r\n\x1a\n" + bytes(200)
KEPT = [
    # name, muxer, codec, picture, sample rate
    ("aac.mp4", "mp4", "aac", "mpeg4", 48_000),
    ("aac44.mp4", "mp4", "aac", "mpeg4", 44_100),
    ("reordered.mp4", "mp4", "aac", "libx264", 48_000),  # its frames are stored in another order than they are shown
    ("reordered.mkv", "matroska", "libopus", "libx264", 48_000),
    ("mp3.mp4", "mp4", "libmp3lame", "mpeg4", 48_000),
    ("ac3.mp4", "mp4", "ac3", "mpeg4", 48_000),
    ("pcm.mov", "mov", "pcm_s16le", "mpeg4", 48_000),
    ("aac.mkv", "matroska", "aac", "mpeg4", 48_000),
    ("flac.mkv", "matroska", "flac", "mpeg4", 48_000),
    ("opus.webm", "webm", "libopus", "libvpx", 48_000),
    ("aac.m4a", "ipod", "aac", None, 48_000),
    ("alac.m4a", "ipod", "alac", None, 44_100),
    ("raw.aac", "adts", "aac", None, 48_000),
]


@pytest.mark.parametrize(("name", "muxer", "codec", "picture", "rate"), KEPT, ids=[row[0] for row in KEPT])
def test_promise_11_sound_is_cleaned_and_stays_in_step(
    tmp_path: Path, tiny_model: Path, name: str, muxer: str, codec: str, picture: str | None, rate: int
) -> None:
    audio = speech_like(3, rate, 2)
    source = make(tmp_path / name, muxer, codec, picture, rate, [audio])
    untouched = source.read_bytes()
    output = tmp_path / "out" / name
    ended = mpeace("denoise", source, "-o", output, "--model", tiny_model)
    assert ended.status == 0, ended.stderr
    assert source.read_bytes() == untouched
    before, after = look(source), look(output)
    assert (after.codecs, after.rates) == (before.codecs, before.rates)
    assert after.picture == before.picture
    assert after.chapters == before.chapters
    assert after.start == pytest.approx(before.start, abs=0.0011)  # Matroska counts milliseconds
    assert muxer == "adts" or after.seconds == pytest.approx(before.seconds, abs=0.03)  # ADTS has an estimate only
    for was, cleaned in zip(before.sound, after.sound, strict=True):
        assert abs(cleaned.shape[1] - was.shape[1]) <= 1152  # one frame of the codec at the end
        length = min(cleaned.shape[1], was.shape[1])
        for channel in range(2):
            assert lag(cleaned[channel, :length], was[channel, :length]) == 0
            gain = cleaned[channel, :length] @ was[channel, :length] / np.sum(was[channel, :length] ** 2)
            assert gain == pytest.approx(TINY_GAIN, abs=0.06)


@pytest.mark.parametrize("name", ["late.mp4", "late.mkv"])
def test_promise_11_sound_that_starts_late_stays_late(tmp_path: Path, tiny_model: Path, name: str) -> None:
    muxer = "mp4" if name.endswith("mp4") else "matroska"
    source = make(tmp_path / name, muxer, "aac", "mpeg4", 48_000, [speech_like(2, 48_000)], offset=0.4)
    output = tmp_path / f"out-{name}"
    assert mpeace("denoise", source, "-o", output, "--model", tiny_model).status == 0
    before, after = look(source), look(output)
    assert before.start[0] == pytest.approx(0.4, abs=0.025)
    # where the sound starts late, the delay of the AAC encoder is a piece of silence in front of it, each time
    later = after.start[0] - before.start[0] + lag(after.sound[0][0], before.sound[0][0]) / 48_000
    assert later == pytest.approx(0, abs=0.0011)
    assert after.picture == before.picture


def test_promise_11_a_picture_on_its_side_stays_on_its_side(tmp_path: Path, tiny_model: Path) -> None:
    source = make(tmp_path / "a.mp4", "mp4", "aac", "mpeg4", 48_000, [speech_like(1, 48_000)])
    upright = struct.pack(">9i", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
    turned = struct.pack(">9i", 0, 0x10000, 0, -0x10000, 0, 0, 0, 0, 0x40000000)  # as telephones write it
    content = source.read_bytes()
    place = content.index(upright, content.index(b"tkhd"))
    source.write_bytes(content[:place] + turned + content[place + len(turned) :])
    assert mpeace("denoise", source, "--model", tiny_model).status == 0
    assert (tmp_path / "a_denoised.mp4").read_bytes().count(turned) == 1


def test_promise_11_a_hole_in_the_sound_is_kept(tmp_path: Path, tiny_model: Path) -> None:
    audio = speech_like(2, 48_000)
    source = make(tmp_path / "hole.mkv", "matroska", "pcm_s16le", "mpeg4", 48_000, [audio], hole=True)
    output = tmp_path / "out.mkv"
    assert mpeace("denoise", source, "-o", output, "--model", tiny_model).status == 0
    sound = look(output).sound[0]
    assert sound.shape[1] == 120_000
    assert np.abs(sound[:, 24_100:47_900]).max() < 1e-3
    line = np.insert(audio, [24_000] * 24_000, 0, axis=1)
    np.testing.assert_allclose(sound[:, 48_100:], tiny_result(line)[:, 48_100:], atol=1e-3)


def test_promise_11_all_tracks_subtitles_languages_and_tags(tmp_path: Path, tiny_model: Path) -> None:
    for name, muxer in (("a.mkv", "matroska"), ("a.mp4", "mp4")):
        sound = [speech_like(1, 48_000), speech_like(1, 48_000, seed=1)]
        source = make(tmp_path / name, muxer, "aac", "mpeg4", 48_000, sound, subtitle=True)
        output = tmp_path / f"out-{name}"
        assert mpeace("denoise", source, "-o", output, "--model", tiny_model).status == 0
        before, after = look(source), look(output)
        assert len(after.sound) == 2
        for was, cleaned in zip(before.sound, after.sound, strict=True):
            assert lag(cleaned[0], was[0]) == 0
            assert np.corrcoef(cleaned[0, :47_000], was[0, :47_000])[0, 1] > 0.9
        assert after.languages == before.languages == ["eng", "deu"]
        assert after.chapters == before.chapters == [("One", 0.0)]
        assert before.subtitles
        assert after.subtitles == before.subtitles
        assert {key.lower(): text for key, text in after.metadata.items()}["title"] == "Tïtle"


def test_promise_03_m4a_keeps_tags_and_cover(tmp_path: Path, tiny_model: Path) -> None:
    source = make(tmp_path / "a.m4a", "ipod", "aac", None, 44_100, [speech_like(1, 44_100, 2)])
    tagged: Any = MP4(source)
    tagged["\xa9nam"], tagged["----:com.apple.iTunes:OWN"] = ["Tïtle"], [b"freeform"]
    tagged["covr"] = [MP4Cover(COVER, MP4Cover.FORMAT_PNG)]
    tagged.save()
    assert mpeace("denoise", source, "--model", tiny_model).status == 0
    kept: Any = MP4(tmp_path / "a_denoised.m4a")
    assert kept["\xa9nam"] == ["Tïtle"]
    assert [bytes(value) for value in kept["----:com.apple.iTunes:OWN"]] == [b"freeform"]
    assert [bytes(cover) for cover in kept["covr"]] == [COVER]


def test_the_sound_of_a_video_alone(tmp_path: Path, tiny_model: Path) -> None:
    audio = speech_like(2, 48_000, 2)
    source = make(tmp_path / "a.mov", "mov", "pcm_s16le", "mpeg4", 48_000, [audio])
    assert mpeace("denoise", source, "-o", tmp_path / "a.flac", "--model", tiny_model).status == 0
    np.testing.assert_allclose(read(tmp_path / "a.flac"), tiny_result(audio), atol=1e-4)


def test_the_loudest_video_is_rescaled(tmp_path: Path, tiny_model: Path) -> None:
    audio = (1.5 * np.sin(np.arange(48_000) / 20)).astype(np.float32)[np.newaxis]
    source = make(tmp_path / "a.mov", "mov", "aac", "mpeg4", 48_000, [2 * audio])
    ended = mpeace("denoise", source, "--clip", "rescale", "--model", tiny_model)
    assert ended.status == 0
    assert re.search(r", gain 0\.\d+$", ended.stderr.strip())
    sound = look(tmp_path / "a_denoised.mov").sound[0]
    assert np.abs(sound).max() == pytest.approx(1, abs=0.2), "AAC changes the peak a little"
    assert np.corrcoef(sound[0, :48_000], audio[0])[0, 1] > 0.95


@pytest.mark.parametrize(("name", "muxer"), [("a.mov", "mov"), ("a.mkv", "matroska")])
def test_floats_over_full_scale_stay_in_a_video_and_in_a_sound_file_of_it(
    tmp_path: Path, tiny_model: Path, name: str, muxer: str
) -> None:
    audio = (3 * np.sin(np.arange(24_000) / 20)).astype(np.float32)[np.newaxis]
    source = make(tmp_path / name, muxer, "pcm_f32le", "mpeg4", 48_000, [audio])
    video, alone = tmp_path / f"b-{name}", tmp_path / "b.wav"
    for target in (video, alone):
        ended = mpeace("denoise", source, "-o", target, "--model", tiny_model)
        assert ended.status == 0
        assert "clamped" not in ended.stderr
    for found in (look(video).sound[0], read(alone)):
        np.testing.assert_allclose(found, tiny_result(audio), atol=1e-3)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_truncated_video(tmp_path: Path, tiny_model: Path, name: str) -> None:
    muxer = "mp4" if name.endswith("mp4") else "matroska"
    source = make(tmp_path / name, muxer, "aac", "mpeg4", 48_000, [speech_like(4, 48_000)])
    source.write_bytes(source.read_bytes()[: source.stat().st_size * 6 // 10])
    ended = mpeace("denoise", source, "-o", tmp_path / f"out-{name}", "--model", tiny_model)
    assert ended.status == 1
    assert len(ended.problems) == 1
    assert "cut off" in ended.problems[0]
    assert list(tmp_path.iterdir()) == [source]
    assert not partial_files(tmp_path)


def test_video_without_sound(tmp_path: Path, tiny_model: Path) -> None:
    source = make(tmp_path / "a.mp4", "mp4", "aac", "mpeg4", 48_000, [speech_like(1, 48_000)])
    silent = tmp_path / "silent.mp4"
    with av.open(str(source)) as container, av.open(str(silent), "w") as out:
        stream = out.add_stream_from_template(container.streams.video[0])
        for packet in container.demux(container.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                out.mux(packet)
    ended = mpeace("denoise", silent, "--model", tiny_model)
    assert ended.problems == [f"mpeace: {silent}: it has no sound track"]
    assert ended.status == 1


def test_promise_11_without_pyav_it_says_what_to_install(tmp_path: Path, tiny_model: Path) -> None:
    source = make(tmp_path / "a.m4a", "ipod", "aac", None, 48_000, [speech_like(0.5, 48_000)])
    code = (
        "import sys; sys.modules['av'] = None; from apps.batch import denoise_all; from apps.cli import main; "
        "denoise_all.SINGLE_FILE_APART = False; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", code, "denoise", str(source), "--model", str(tiny_model)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == f'mpeace: {source}: it is MP4 or QuickTime, which needs PyAV: pip install "mpeace[video]"\n'


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
