"""The content of a file decides how it is read, not its suffix; and nothing in a folder is passed over in silence."""

import io
import json
import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from command import mpeace, read, write
from helpers import lag, speech_like

from enhance import Denoiser, FileError, denoise_file
from enhance.io.content import content_of, suffix_of

av: Any = pytest.importorskip("av")
RATE = 48_000


def made(
    path: Path, muxer: str, codec: str, rate: int = RATE, picture: str = "", shape: Fraction | None = None
) -> Path:
    """Two seconds of speech-like noise in any container of FFmpeg's libraries."""
    film: Any
    audio = speech_like(2, rate)
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", format=muxer) as out:
        film = out.add_stream(picture, rate=25, width=64, height=48, pix_fmt="yuv420p") if picture else None
        if shape:
            film.codec_context.sample_aspect_ratio = shape
        track = out.add_stream(codec, rate=rate, layout="mono")
        if codec == "wmav2":
            track.bit_rate = 64_000
        for number in range(50 if film else 0):
            image = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 4 * number, np.uint8), "rgb24")
            image.pts = number
            out.mux(film.encode(image))
        frame = av.AudioFrame.from_ndarray(audio, "flt", "mono")
        frame.sample_rate = rate
        out.mux(track.encode(frame))
        if film:
            out.mux(film.encode(None))
        out.mux([packet for packet in track.encode(None) if packet.size])  # FLAC ends with one that is empty
    return path


def sound(path: Path) -> np.ndarray:
    """The first sound track as players decode it, [samples]."""
    with av.open(str(path)) as container:
        track = container.streams.audio[0]
        packer = av.AudioResampler("flt", "mono", track.rate)
        return np.concatenate(
            [packed.to_ndarray()[0] for frame in container.decode(track) for packed in packer.resample(frame)]
        )


def pictures(path: Path) -> list[bytes]:
    """The packets of the picture."""
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(container.streams.video[0]) if packet.size]


def lead(path: Path) -> float:
    """Seconds by which the sound begins before the picture."""
    with av.open(str(path)) as container:
        first = next(packet for packet in container.demux(container.streams.video[0]) if packet.pts is not None)
    with av.open(str(path)) as container:
        frame = next(container.decode(container.streams.audio[0]))
        return float(first.pts * first.time_base - frame.pts * frame.time_base)


def denoised(source: Path, tiny_model: Path, *options: object) -> tuple[Path, list[str]]:
    """The output in a folder of its own, and the lines that tell of it."""
    folder = source.parent / "out"
    ended = mpeace("denoise", source, "-o", folder, "--mix", 0, "--model", tiny_model, *options)
    assert ended.status == 0, ended.stderr
    (output,) = folder.iterdir()
    return output, [line.split(": note: ")[1] for line in ended.problems]


@pytest.mark.parametrize(
    ("name", "muxer", "codec", "rate", "becomes"),
    [
        ("a.amr", "amr", "libopencore_amrnb", 8000, "a.amr.wav"),
        ("a.wma", "asf", "wmav2", 44_100, "a.wma.wav"),
        ("a.mp2", "mp2", "mp2", RATE, "a.mp2.wav"),
        ("a.ac3", "ac3", "ac3", RATE, "a.ac3.wav"),
        ("a.tta", "tta", "tta", RATE, "a.tta.wav"),
        ("a.wv", "wv", "wavpack", RATE, "a.wv.wav"),
        ("a.g722", "g722", "g722", 16_000, "a.g722.wav"),
        ("a.3gp", "3gp", "aac", RATE, "a.3gp"),
        ("a.flv", "flv", "aac", RATE, "a.flv"),
        ("a.flv", "flv", "libmp3lame", 44_100, "a.flv"),
        ("a.avi", "avi", "libmp3lame", RATE, "a.avi"),
        ("a.avi", "avi", "libmp3lame", 22_050, "a.avi"),
        ("a.avi", "avi", "mp2", RATE, "a.avi"),
        ("a.avi", "avi", "ac3", RATE, "a.avi"),
        ("a.avi", "avi", "aac", RATE, "a.avi"),
        ("a.ts", "mpegts", "aac", RATE, "a.ts"),
        ("a.m4r", "ipod", "aac", RATE, "a.m4r"),
        ("a.qt", "mov", "pcm_s16le", RATE, "a.qt"),
        ("a.weba", "webm", "libopus", RATE, "a.weba"),
    ],
)
def test_recordings_that_libsndfile_does_not_know(
    tmp_path: Path, tiny_model: Path, name: str, muxer: str, codec: str, rate: int, becomes: str
) -> None:
    source = made(tmp_path / name, muxer, codec, rate)
    output, notes = denoised(source, tiny_model)
    assert output.name == becomes
    assert not notes
    before, after = sound(source), sound(output)
    slack = 0 if becomes.endswith((".wav", ".qt", ".weba")) else 1200  # what a codec's last packet holds beyond the end
    assert abs(len(after) - len(before)) <= slack
    late = lag(after, before)
    assert late == (1024 if becomes == "a.ts" else 0)  # MPEG-TS has the delay of the encoder in its time stamps
    before, after = before[max(0, -late) :], after[max(0, late) :]
    least = min(len(before), len(after)) - 1200
    assert np.corrcoef(before[:least], after[:least])[0, 1] > (0.999 if becomes.endswith((".wav", ".qt")) else 0.9)


@pytest.mark.parametrize(("codec", "rate"), [("alac", 44_100), ("libopus", RATE), ("adpcm_ima_qt", 44_100)])
def test_caf_of_other_codecs_becomes_caf_with_plain_samples(
    tmp_path: Path, tiny_model: Path, codec: str, rate: int
) -> None:
    if shutil.which("ffmpeg") is None:
        pytest.skip("needs the program ffmpeg: PyAV's muxer does not write these")
    source = tmp_path / "a.caf"
    wav = write(tmp_path / "a.wav", speech_like(2, rate), rate)
    subprocess.run(["ffmpeg", "-v", "error", "-i", wav, "-c:a", codec, source], check=True)
    output, notes = denoised(source, tiny_model)
    assert notes == [f"{codec.removeprefix('lib')} became PCM_16"]
    with soundfile.SoundFile(output) as file:
        assert (file.format, file.subtype, file.samplerate) == ("CAF", "PCM_16", rate)
    np.testing.assert_allclose(read(output)[0], sound(source), atol=2.0**-14)


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs the program ffmpeg: PyAV's muxer does not write it")
def test_caf_whose_packets_are_longer_than_it_says_is_read_whole(tmp_path: Path, tiny_model: Path) -> None:
    """FFmpeg's own Opus encoder tells its CAF muxer 120 samples and makes packets of 960: that is no clock."""
    wav = write(tmp_path / "a.wav", speech_like(2, RATE), RATE)
    source = tmp_path / "a.caf"
    subprocess.run(["ffmpeg", "-v", "error", "-i", wav, "-c:a", "opus", "-strict", "-2", source], check=True)
    output, notes = denoised(source, tiny_model)
    assert notes == ["opus became PCM_16"]
    np.testing.assert_allclose(sound(output)[: 2 * RATE], sound(source)[: 2 * RATE], atol=1e-3)


@pytest.mark.parametrize("name", ["a.wav", "a.mp3"])
def test_mp2_under_another_name_becomes_mp3(tmp_path: Path, tiny_model: Path, name: str) -> None:
    source = made(tmp_path / name, "mp2", "mp2")
    output, notes = denoised(source, tiny_model)
    assert soundfile.info(output).subtype == "MPEG_LAYER_III"
    assert any("MPEG_LAYER_II" in note for note in notes), notes
    assert abs(len(sound(output)) - len(sound(source))) <= 1200


def test_ogg_with_flac_stays_ogg_with_flac(tmp_path: Path, tiny_model: Path) -> None:
    output, notes = denoised(made(tmp_path / "a.oga", "ogg", "flac"), tiny_model)
    assert not notes
    assert content_of(output).name == "Ogg FLAC"
    np.testing.assert_array_equal(sound(output), sound(tmp_path / "a.oga"))


@pytest.mark.parametrize(
    ("name", "major"), [("a.wav", "WAV"), ("a.mp3", "MP3"), ("a.ogg", "OGG"), ("a.flac", "FLAC"), ("a.m4a", "ipod")]
)
def test_webm_of_a_browser_under_another_name(tmp_path: Path, tiny_model: Path, name: str, major: str) -> None:
    source = made(tmp_path / name, "webm", "libopus")
    output, notes = denoised(source, tiny_model)
    assert f"it is Matroska or WebM in spite of its name; the output is {major}" in notes
    expected = {"a.m4a": "MP4 or QuickTime", "a.ogg": "Ogg Vorbis"}.get(name, major)
    assert content_of(output).name == expected
    assert abs(len(sound(output)) - 2 * RATE) <= 1024


@pytest.mark.parametrize(
    ("written", "name"), [("wav", "a.mp3"), ("wav", "a.m4a"), ("mp3", "a.wav"), ("flac", "a.aiff")]
)
def test_sound_files_under_another_name_stay_what_they_are(
    tmp_path: Path, tiny_model: Path, written: str, name: str
) -> None:
    source = write(tmp_path / f"b.{written}", speech_like(1, RATE))
    source = source.rename(tmp_path / name)
    output, notes = denoised(source, tiny_model)
    assert notes == [f"it is {written.upper()} in spite of its name; the output is {written.upper()}"]
    assert content_of(output).name == written.upper()
    if written != "mp3":
        np.testing.assert_array_equal(sound(output), sound(source))


def test_mp3_in_wav_is_read_to_its_end(tmp_path: Path, tiny_model: Path) -> None:
    source = made(tmp_path / "a.wav", "wav", "libmp3lame", 16_000)
    output, notes = denoised(source, tiny_model)
    assert notes == ["MPEG_LAYER_III is read and not written: it became PCM_16"]
    assert abs(read(output).shape[1] - 32_000) < 3 * 576


def test_bw64_is_read_as_the_rf64_that_it_is(tmp_path: Path, tiny_model: Path) -> None:
    source = write(tmp_path / "a.wav", speech_like(0.5, RATE), format="RF64", subtype="PCM_24")
    source.write_bytes(b"BW64" + source.read_bytes()[4:])
    output, _ = denoised(source, tiny_model)
    np.testing.assert_array_equal(read(output), soundfile.read(_as_rf64(source), dtype="float32", always_2d=True)[0].T)


def _as_rf64(source: Path) -> Path:
    target = source.with_suffix(".rf64")
    target.write_bytes(b"RF64" + source.read_bytes()[4:])
    return target


@pytest.mark.parametrize(
    ("name", "muxer", "codec", "picture", "becomes"),
    [
        ("a.avi", "avi", "libmp3lame", "mpeg2video", ""),
        ("a.divx", "avi", "libmp3lame", "mpeg4", ""),
        ("a.wmv", "asf", "wmav2", "wmv2", "wmav2 became mp3"),
        ("a.asf", "asf", "libmp3lame", "mpeg4", ""),
        ("a.mpg", "mpeg", "mp2", "mpeg2video", ""),
        ("a.mpeg", "mpeg", "mp2", "mpeg1video", ""),
        ("a.vob", "vob", "ac3", "mpeg2video", ""),
        ("a.mk3d", "matroska", "libopus", "mpeg4", ""),
    ],
)
def test_old_videos_keep_their_picture(
    tmp_path: Path, tiny_model: Path, name: str, muxer: str, codec: str, picture: str, becomes: str
) -> None:
    check_video(made(tmp_path / name, muxer, codec, picture=picture), tiny_model, becomes)


def test_the_shape_of_pixels_that_wmv_does_not_keep_is_reported(tmp_path: Path, tiny_model: Path) -> None:
    source = made(tmp_path / "a.wmv", "asf", "libmp3lame", picture="wmv2", shape=Fraction(4, 3))
    assert denoised(source, tiny_model)[1] == ["its pixels are 4:3, which asf does not say"]


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs the program ffmpeg: PyAV has no encoder of Theora")
@pytest.mark.parametrize(
    ("name", "codec", "becomes"),
    [("a.ogv", "libopus", ""), ("a.ogv", "libvorbis", "vorbis became opus"), ("a.ogg", "flac", "")],
)
def test_theora_keeps_its_picture(tmp_path: Path, tiny_model: Path, name: str, codec: str, becomes: str) -> None:
    wav = write(tmp_path / "a.wav", speech_like(2, RATE), RATE)
    film = ["-f", "lavfi", "-i", "testsrc=size=64x48:rate=25:duration=2", "-c:v", "libtheora"]
    subprocess.run(["ffmpeg", "-v", "error", "-i", wav, *film, "-c:a", codec, tmp_path / name], check=True)
    check_video(tmp_path / name, tiny_model, becomes)


def check_video(source: Path, tiny_model: Path, becomes: str) -> None:
    """Denoise: the picture is the same, and the sound as far from it as it was."""
    output, notes = denoised(source, tiny_model)
    assert output.name == source.name
    assert notes == [becomes] * bool(becomes)
    assert len(pictures(source)) == 50
    assert pictures(output) == pictures(source)
    late = lag(sound(output), sound(source)) / RATE  # of the sound in its track, which may begin earlier
    assert lead(output) - lead(source) == pytest.approx(late, abs=0.002)


def test_nothing_in_a_folder_is_passed_over_in_silence(tmp_path: Path, tiny_model: Path) -> None:
    folder = tmp_path / "in"
    made(folder / "a.amr", "amr", "libopencore_amrnb", 8000)
    made(folder / "tape", "matroska", "flac")
    write(folder / "b.wav", speech_like(0.1, RATE))
    (folder / "notes.txt").write_text("no sound")
    (folder / "c.pcm").write_bytes(bytes(range(100)))
    report = tmp_path / "report.json"
    ended = mpeace("denoise", folder, "-o", tmp_path / "out", "--model", tiny_model, "--mix", 0, "--report", report)
    assert ended.status == 1
    assert f"1 file is no sound or video and passed over: {folder / 'notes.txt'}" in ended.stderr
    (line,) = ended.problems
    assert "c.pcm: it holds samples without a header" in line
    assert json.loads(report.read_text())["passed_over"] == [str(folder / "notes.txt")]
    assert (tmp_path / "out" / "a.amr.wav").exists()
    assert (tmp_path / "out" / "b.wav").exists()
    np.testing.assert_allclose(read(tmp_path / "out" / "tape.wav")[0], sound(folder / "tape"), atol=2.0**-15)


@pytest.mark.parametrize("name", ["a.wav", "a.caf", "a.webm"])
def test_without_pyav_one_line_says_what_the_file_is(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    muxer, codec = ("caf", "adpcm_ima_qt") if name == "a.caf" else ("webm", "libopus")
    source = made(tmp_path / name, muxer, codec)
    for module in [module for module in sys.modules if module == "av" or module.startswith("enhance.io.media")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "av", None)
    ended = mpeace("denoise", source, "-o", tmp_path / "out.wav", "--model", tiny_model)
    assert ended.status == 1
    assert 'pip install "mpeace[video]"' in ended.problems[0]
    if name != "a.caf":
        assert "it is Matroska or WebM" in ended.problems[0]


def test_rare_sound_files_in_a_folder_are_sound(tmp_path: Path, tiny_model: Path) -> None:
    names = {"a.avr": "AVR", "a.paf": "PAF", "a.pvf": "PVF", "a.voc": "VOC", "a.htk": "HTK", "a.nist": "NIST"}
    for name, major in names.items():
        (tmp_path / "in").mkdir(exist_ok=True)
        soundfile.write(tmp_path / "in" / name, speech_like(0.1, 16_000)[0], 16_000, format=major, subtype="PCM_16")
    ended = mpeace("denoise", tmp_path / "in", "-o", tmp_path / "out", "--mix", 0, "--model", tiny_model)
    assert ended.status == 0, ended.stderr
    assert "6 done, 0 skipped, 0 failed" in ended.stderr
    for name, major in names.items():
        assert soundfile.info(tmp_path / "out" / name).format == major
        np.testing.assert_array_equal(read(tmp_path / "out" / name), read(tmp_path / "in" / name))


@pytest.mark.parametrize("codec", ["pcm_u8", "pcm_s16le"])
def test_voc_of_many_blocks_is_sound_without_their_headers(tmp_path: Path, tiny_model: Path, codec: str) -> None:
    source, there = tmp_path / "a.voc", speech_like(2, RATE)
    with av.open(str(source), "w") as out:
        track = out.add_stream(codec, rate=RATE, layout="mono")
        for start in range(0, 2 * RATE, 960):
            frame = av.AudioFrame.from_ndarray(there[:, start : start + 960], "flt", "mono")
            frame.sample_rate, frame.pts = RATE, start
            out.mux(track.encode(frame))
        out.mux(track.encode(None))
    assert mpeace("denoise", source, "-o", tmp_path / "a.wav", "--mix", 0, "--model", tiny_model).status == 0
    heard = read(tmp_path / "a.wav")
    assert heard.shape == there.shape
    assert np.abs(heard - there).max() < (0.02 if codec == "pcm_u8" else 1e-4)


@pytest.mark.parametrize(
    ("subtype", "channels", "short"), [("PCM_U8", 2, 0), ("PCM_16", 1, 0), ("PCM_16", 1, 8), ("PCM_16", 2, 8)]
)
def test_voc_of_one_block_of_sound_stays_voc(
    tmp_path: Path, tiny_model: Path, subtype: str, channels: int, short: int
) -> None:
    """Also with a block before it that says stereo, and with a block size without its own header, as SoX writes it."""
    source = tmp_path / "a.voc"
    soundfile.write(source, speech_like(0.5, 16_000, channels=channels).T, 16_000, format="VOC", subtype=subtype)
    content = bytearray(source.read_bytes())
    place = 26 + 8 * (content[26] == 8) + 1
    size = int.from_bytes(content[place : place + 3], "little") - short
    content[place : place + 3] = size.to_bytes(3, "little")
    source.write_bytes(content)
    ended = mpeace("denoise", source, "-o", tmp_path / "b.voc", "--mix", 0, "--model", tiny_model)
    assert ended.status == 0, ended.stderr
    assert soundfile.info(tmp_path / "b.voc").subtype == subtype
    np.testing.assert_array_equal(read(tmp_path / "b.voc"), read(source))


@pytest.mark.parametrize(
    ("suffix", "muxer", "codec"),
    [
        (".webm", "webm", "libopus"),
        (".mka", "matroska", "libopus"),
        (".m4a", "ipod", "aac"),
        (".mov", "mov", "aac"),
        (".3gp", "3gp", "aac"),
        (".ts", "mpegts", "mp2"),
        (".flv", "flv", "libmp3lame"),
        (".avi", "avi", "libmp3lame"),
        (".aac", "adts", "aac"),
    ],
)
def test_a_file_object_stays_in_the_container_that_it_is(
    tmp_path: Path, tiny_denoiser: Denoiser, suffix: str, muxer: str, codec: str
) -> None:
    """To a file object, and to a path of that kind, whether the object has a name or not."""
    source, clean, named = made(tmp_path / f"a{suffix}", muxer, codec), io.BytesIO(), io.BytesIO()
    denoise_file(source, tmp_path / f"path{suffix}", model=tiny_denoiser)
    result = denoise_file(io.BytesIO(source.read_bytes()), clean, model=tiny_denoiser)
    denoise_file(io.BytesIO(source.read_bytes()), tmp_path / f"b{suffix}", model=tiny_denoiser)
    with source.open("rb") as file:
        denoise_file(file, named, model=tiny_denoiser)
    (tmp_path / "c").write_bytes(clean.getvalue())
    (tmp_path / "d").write_bytes(named.getvalue())
    expected = suffix_of(tmp_path / f"path{suffix}")
    assert expected in (suffix, ".mkv")
    assert [suffix_of(tmp_path / name) for name in (f"b{suffix}", "c", "d")] == [expected] * 3
    assert (result.format, result.notes) == (muxer, ())
    np.testing.assert_array_equal(sound(tmp_path / "c"), sound(tmp_path / f"path{suffix}"))


def test_a_file_object_that_is_not_written_asks_for_a_format(tmp_path: Path, tiny_denoiser: Denoiser) -> None:
    noisy = made(tmp_path / "a.wma", "asf", "wmav2").read_bytes()
    with pytest.raises(
        FileError, match="it is WMA or WMV, and cannot be written as it is: pass format, such as format"
    ):
        denoise_file(io.BytesIO(noisy), io.BytesIO(), model=tiny_denoiser)
    assert denoise_file(io.BytesIO(noisy), io.BytesIO(), model=tiny_denoiser, format="wav").format == "WAV"
