"""What a player or an archive needs of a video stays when its sound is cleaned: codes, keys, covers, rates, names."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import mpeace, read
from helpers import lag, speech_like

from enhance.io.media.mp4_boxes import Box, clock, extents, parse, read_movie
from enhance.io.media.scan import look_at

av: Any = pytest.importorskip("av")
from av.stream import Disposition  # noqa: E402
from media import look  # noqa: E402

RATE = 48_000


def record(
    path: Path, muxer: str, codec: str, sound: np.ndarray, rate: int = RATE, layout: str = "stereo", **more: Any
) -> Path:
    """Write sound, float32 [channels, samples], with options of muxer and encoder, and pictures if a codec is named."""
    options = more.get("options", {})
    with av.open(str(path), "w", format=muxer, container_options=options) as out:
        out.metadata.update(more.get("metadata", {}))
        video: Any = None
        if "picture" in more:
            coding = more.get("coding", {})
            video = out.add_stream(more["picture"], rate=Fraction(24_000, 1001), width=64, height=48, options=coding)
            video.codec_context.codec_tag = more.get("tag", "\0\0\0\0")
        stream = out.add_stream(codec, rate=rate, layout=layout)
        stream.codec_context.bit_rate = more.get("bits", 0)
        if "cover" in more:
            out.add_attachment("cover.jpg", "image/jpeg", more["cover"])
        for number in range(48 if video else 0):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 5 * number, np.uint8), "rgb24")
            frame.pts = number
            out.mux(video.encode(frame))
        if video:
            out.mux(video.encode(None))
        packed = np.ascontiguousarray(sound.T).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(packed, "flt", layout)
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def picture() -> bytes:
    """A JPEG of 16 by 16."""
    context = av.codec.CodecContext.create("mjpeg", "w")
    context.width = context.height = 16
    context.pix_fmt, context.time_base = "yuvj420p", Fraction(1, 25)
    frame = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), "rgb24").reformat(format="yuvj420p")
    frame.pts = 0
    return b"".join(bytes(packet) for packet in [*context.encode(frame), *context.encode(None)])


def has_encoder(name: str) -> bool:
    try:
        return av.codec.Codec(name, "w") is not None
    except av.codec.codec.UnknownCodecError:
        return False


@pytest.mark.skipif(not has_encoder("libx264"), reason="needs libx264 in PyAV")
def test_a_time_code_makes_a_video_no_longer(tmp_path: Path, tiny_model: Path) -> None:
    """FFmpeg counts a frame more where the last one that is stored is not the last one that is shown."""
    more = {"picture": "libx264", "coding": {"g": "9", "bf": "2", "b_strategy": "0"}}
    more["metadata"] = {"timecode": "01:00:00:00"}
    source = record(tmp_path / "a.mov", "mov", "pcm_s16le", speech_like(2, RATE, 2), **more)
    assert mpeace("denoise", source, "--model", tiny_model).status == 0
    movie = read_movie(tmp_path / "a_denoised.mov")
    assert movie is not None
    assert len(movie.all(b"trak")) == 3
    ticks, length = clock(movie.find(b"mvhd"))
    assert (length or 0) / ticks == pytest.approx(48 * 1001 / 24_000, abs=2e-3)


@pytest.mark.skipif(not has_encoder("libx265"), reason="needs libx265 in PyAV")
@pytest.mark.parametrize("tag", ["hvc1", "hev1"])
def test_the_code_of_the_codec_stays(tmp_path: Path, tiny_model: Path, tag: str) -> None:
    source = record(tmp_path / "a.mp4", "mp4", "aac", speech_like(2, RATE, 2), picture="libx265", tag=tag)
    assert mpeace("denoise", source, "--model", tiny_model).status == 0
    with av.open(str(tmp_path / "a_denoised.mp4")) as out:
        assert out.streams.video[0].codec_context.codec_tag == tag
    assert look(tmp_path / "a_denoised.mp4").picture == look(source).picture


@pytest.mark.parametrize("name", ["phone.mov", "phone.mp4"])
def test_keys_of_a_camera_stay(tmp_path: Path, tiny_model: Path, name: str) -> None:
    keys = {
        "com.apple.quicktime.location.ISO6709": "+52.5200+013.4050+034.000/",
        "com.apple.quicktime.creationdate": "2024-05-01T10:30:00+0200",
        "com.apple.quicktime.make": "Apple",
        "com.android.version": "14",
        "com.android.manufacturer": "Google",
    }
    options = {"movflags": "use_metadata_tags"}
    sound = speech_like(2, RATE, 2)
    source = record(tmp_path / name, name[-3:], "aac", sound, picture="libx264", options=options, metadata=keys)
    movie = read_movie(source)
    assert movie is not None
    user = movie.find(b"udta")
    assert user is not None
    meta = next(box for box in parse(user.data) if box.kind == b"meta")
    movie.put(b"udta", Box(b"udta", Box(b"\xa9xyz", b"\0\x12\x15\xc7+52.5200+013.4050/").pack()))
    movie.put(b"meta", meta)  # where telephones have it; FFmpeg puts it into the user data
    content = source.read_bytes()
    source.write_bytes(content[: content.rindex(b"moov") - 4] + movie.pack())
    output = tmp_path / f"out-{name}"
    assert mpeace("denoise", source, "-o", output, "--model", tiny_model).status == 0
    found = look(output).metadata
    assert {key: found.get(key) for key in keys} == keys
    assert found["location"] == "+52.5200+013.4050/"
    after = read_movie(output)
    assert after is not None
    kept = after.find(b"meta")
    assert kept == meta


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("name", ["a.mp4", "a.m4a", "a.mov"])
def test_a_file_that_plays_while_it_loads_still_does(tmp_path: Path, tiny_model: Path, name: str, fast: bool) -> None:
    muxer = "ipod" if name == "a.m4a" else name[-3:]
    options = {"movflags": "+faststart"} if fast else {}
    more: dict[str, Any] = {} if name == "a.m4a" else {"picture": "libx264"}
    source = record(tmp_path / name, muxer, "aac", speech_like(2, RATE, 2), options=options, **more)
    output = tmp_path / f"out-{name}"
    assert mpeace("denoise", source, "-o", output, "--model", tiny_model).status == 0
    with output.open("rb") as file:
        kinds = [extent.kind for extent in extents(file)]
    assert (kinds.index(b"moov") < kinds.index(b"mdat")) is fast
    before, after = look(source), look(output)
    assert after.picture == before.picture
    for was, cleaned in zip(before.sound[0], after.sound[0], strict=True):
        assert lag(cleaned[: was.size], was[: cleaned.size]) == 0


def test_a_cover_in_matroska_stays_an_attachment(tmp_path: Path, tiny_model: Path) -> None:
    cover = picture()
    source = record(tmp_path / "a.mkv", "matroska", "aac", speech_like(2, RATE, 2), picture="libx264", cover=cover)
    assert mpeace("denoise", source, "--model", tiny_model).status == 0
    with av.open(str(tmp_path / "a_denoised.mkv")) as out:
        covers = [stream for stream in out.streams if stream.disposition & Disposition.attached_pic]
        assert [stream.type for stream in out.streams] == ["video", "audio", "video"]
        assert [stream.metadata["filename"] for stream in covers] == ["cover.jpg"]
    assert look_at(tmp_path / "a_denoised.mkv").covers == {2: cover}


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4"])
def test_the_frame_rate_of_the_picture_stays(tmp_path: Path, tiny_model: Path, name: str) -> None:
    muxer = "matroska" if name == "a.mkv" else "mp4"
    source = record(tmp_path / name, muxer, "aac", speech_like(2, RATE, 2), picture="libx264")
    output = tmp_path / f"out-{name}"
    assert mpeace("denoise", source, "-o", output, "--model", tiny_model).status == 0
    with av.open(str(source)) as before, av.open(str(output)) as after:
        assert after.streams.video[0].average_rate == before.streams.video[0].average_rate == Fraction(24_000, 1001)
        assert after.streams.video[0].guessed_rate == Fraction(24_000, 1001)
    if muxer == "matroska":
        assert b"\x23\xe3\x83" in output.read_bytes()  # DefaultDuration


@pytest.mark.parametrize(
    "name", ["2024-11-14T22:57:44+02:00.mp4", "data:y.m4a", "concat:a|b.mkv", "file:a.mp4", "pipe:0.mka", "a%03d.mp4"]
)
def test_a_name_is_a_name(tmp_path: Path, tiny_model: Path, name: str) -> None:
    folder = tmp_path / "http:"
    folder.mkdir()
    suffix = name[-3:]
    muxer = {"mp4": "mp4", "m4a": "ipod"}.get(suffix, "matroska")
    record(tmp_path / f"plain.{suffix}", muxer, "aac", speech_like(1, RATE, 2)).rename(folder / name)
    target = tmp_path / "rtmp:out" / name
    ended = mpeace("denoise", folder / name, "-o", target, "--model", tiny_model)
    assert ended.status == 0, ended.stderr
    assert look(Path(f"file:{target}")).sound[0].shape[1] >= RATE
    sound = tmp_path / "rtmp:out" / "a:b.wav"
    assert mpeace("denoise", folder / name, "-o", sound, "--model", tiny_model).status == 0
    assert read(sound).shape[0] == 2


def test_a_relative_name_with_a_colon(tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    record(tmp_path / "x.m4a", "ipod", "aac", speech_like(1, RATE, 2)).rename(tmp_path / "data:y.m4a")
    assert mpeace("denoise", "data:y.m4a", "-o", "data:z.m4a", "--model", tiny_model).status == 0
    assert (tmp_path / "data:z.m4a").stat().st_size > 1000


@pytest.mark.parametrize(
    ("codec", "bits", "layout"),
    [
        ("libopus", 32_000, "stereo"),
        ("libopus", 96_000, "mono"),
        ("libmp3lame", 320_000, "stereo"),
        ("libmp3lame", 64_000, "mono"),
        ("aac", 256_000, "stereo"),
        ("ac3", 448_000, "5.1(side)"),
        ("mp2", 384_000, "stereo"),
    ],
)
def test_the_bitrate_of_matroska_stays(tmp_path: Path, tiny_model: Path, codec: str, bits: int, layout: str) -> None:
    channels = {"mono": 1, "stereo": 2}.get(layout, 6)
    sound = speech_like(6, RATE, channels)
    source = record(tmp_path / "a.mkv", "matroska", codec, sound, layout=layout, bits=bits)
    assert mpeace("denoise", source, "--mix", 0, "--model", tiny_model).status == 0
    before, after = look_at(source).bits[0], look_at(tmp_path / "a_denoised.mkv").bits[0]
    assert after == pytest.approx(before, rel=0.12)


def test_statistics_of_the_old_sound_are_not_kept_for_the_new(tmp_path: Path, tiny_model: Path) -> None:
    source = tmp_path / "a.mkv"
    stale = {"BPS": "999", "NUMBER_OF_BYTES": "5", "_STATISTICS_TAGS": "BPS", "REPLAYGAIN_TRACK_GAIN": "-6 dB"}
    with av.open(str(source), "w", format="matroska") as out:
        stream = out.add_stream("aac", rate=RATE, layout="mono")
        stream.metadata.update({**stale, "title": "Mic", "language": "ger"})
        frame = av.AudioFrame.from_ndarray(speech_like(1, RATE), "fltp", "mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    assert mpeace("denoise", source, "--model", tiny_model).status == 0
    with av.open(str(tmp_path / "a_denoised.mkv")) as out:
        kept = out.streams[0].metadata
    assert not set(stale) & set(kept)
    assert (kept["title"], kept["language"]) == ("Mic", "ger")


def three_tracks(path: Path) -> list[np.ndarray]:
    sounds = [speech_like(1, RATE, seed=seed) for seed in range(3)]
    names = [("Mix", "eng"), ("Mic", "deu"), ("Game", "eng")]
    with av.open(str(path), "w", format="matroska") as out:
        streams = [out.add_stream("flac", rate=RATE, layout="mono") for _ in sounds]
        for stream, (title, language) in zip(streams, names, strict=True):
            stream.metadata.update({"title": title, "language": language})
        for stream, sound in zip(streams, sounds, strict=True):
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound * 32767).astype(np.int16), "s16", "mono")
            frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
            out.mux(stream.encode(frame))
        for stream in streams:
            out.mux(stream.encode(None))
    return sounds


@pytest.mark.parametrize(
    ("wanted", "cleaned"),
    [
        ([], [0, 1, 2]),
        (["2"], [1]),
        (["mic"], [1]),
        (["eng"], [0, 2]),
        (["1", "Game"], [0, 2]),
        (["de"], [1]),
        (["ger"], [1]),
    ],
)
def test_tracks_by_number_language_or_title(
    tmp_path: Path, tiny_model: Path, wanted: list[str], cleaned: list[int]
) -> None:
    sounds = three_tracks(tmp_path / "obs.mkv")
    options = [word for name in wanted for word in ("--track", name)]
    ended = mpeace("denoise", tmp_path / "obs.mkv", *options, "--model", tiny_model)
    assert ended.status == 0, ended.stderr
    assert "sound tracks denoised" in ended.problems[0]
    assert "1 eng Mix, 2 deu Mic, 3 eng Game" in ended.problems[0]
    for number, (sound, kept) in enumerate(zip(sounds, look(tmp_path / "obs_denoised.mkv").sound, strict=True)):
        gain = kept[0] @ sound[0] / np.sum(sound[0] ** 2)
        assert gain == pytest.approx(0.5 if number in cleaned else 1.0, abs=0.01)


def test_a_missing_track_is_named_with_those_that_are_there(tmp_path: Path, tiny_model: Path) -> None:
    three_tracks(tmp_path / "obs.mkv")
    ended = mpeace("denoise", tmp_path / "obs.mkv", "--track", "4", "--model", tiny_model)
    assert ended.status == 1
    assert "no sound track '4'; it has 1 eng Mix, 2 deu Mic, 3 eng Game" in ended.problems[0]


def test_one_track_becomes_a_sound_file_and_it_is_said_which(tmp_path: Path, tiny_model: Path) -> None:
    sounds = three_tracks(tmp_path / "obs.mkv")
    for wanted, number in (([], 0), (["--track", "Game"], 2)):
        output = tmp_path / f"{number}.wav"
        ended = mpeace("denoise", tmp_path / "obs.mkv", *wanted, "-o", output, "--mix", 0, "--model", tiny_model)
        assert f"track {number + 1} of 3 was taken" in ended.problems[0]
        np.testing.assert_allclose(read(output), sounds[number], atol=1e-4)
