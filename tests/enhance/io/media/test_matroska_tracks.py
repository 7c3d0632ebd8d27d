"""Languages of Matroska tracks stay, also the tags that FFmpeg does not know, and the shape of the picture."""

import zlib
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import mpeace

from enhance.io.media.matroska_tracks import TrackExtras, read_extras, roomy_language, write_extras

av: Any = pytest.importorskip("av")

RATE = 48_000
WIDE = {0x54B0: (1920).to_bytes(2), 0x54BA: (1080).to_bytes(2), 0x54B2: b"\0"}  # 64 by 48 pixels, shown as 16:9
EXTRAS = [TrackExtras("", WIDE), TrackExtras("de-CH"), TrackExtras("zh-Hant-TW"), TrackExtras("de-CH")]
LANGUAGES = ["", "ger", "chi", "ger"]  # of the picture and three sound tracks


def tagged(path: Path, muxer: str = "matroska") -> Path:
    """A wide picture of narrow pixels and three sound tracks, whose languages have tags."""
    with av.open(str(path), "w", format=muxer) as out:
        picture, codec = ("mpeg4", "flac") if muxer == "matroska" else ("libvpx", "libopus")
        video = out.add_stream(picture, rate=25, width=64, height=48, pix_fmt="yuv420p")
        streams = [out.add_stream(codec, rate=RATE, layout="mono") for _ in EXTRAS[1:]]
        for stream, language, extras in zip([video, *streams], LANGUAGES, EXTRAS, strict=True):
            stream.metadata["language"] = roomy_language(language, extras)
        frame = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), "rgb24")
        frame.pts = 0
        out.mux([*video.encode(frame), *video.encode(None)])
        for stream in streams:
            sound = av.AudioFrame.from_ndarray(np.zeros((1, RATE // 4), np.int16), "s16", "mono")
            sound.sample_rate, sound.pts, sound.time_base = RATE, 0, Fraction(1, RATE)
            out.mux([*stream.encode(sound), *stream.encode(None)])
    write_extras(path, dict(enumerate(EXTRAS)))
    return path


def languages(path: Path) -> list[str]:
    with av.open(str(path)) as container:
        return [stream.metadata.get("language", "") for stream in container.streams]


def test_language_tags_and_the_shape_of_the_picture_stay(tmp_path: Path, tiny_model: Path) -> None:
    source = tagged(tmp_path / "a.mkv")
    assert read_extras(source) == EXTRAS
    assert languages(source) == LANGUAGES
    for option in ([], ["--track", "2"]):
        output = tmp_path / f"out{len(option)}.mkv"
        assert mpeace("denoise", source, *option, "-o", output, "--model", tiny_model).status == 0
        assert read_extras(output) == EXTRAS
        assert languages(output) == LANGUAGES
        with av.open(str(output)) as container:
            assert container.streams.video[0].sample_aspect_ratio == Fraction(4, 3)


def test_the_shape_of_the_picture_of_webm_stays(tmp_path: Path, tiny_model: Path) -> None:
    source = tagged(tmp_path / "a.webm", "webm")
    assert mpeace("denoise", source, "--model", tiny_model).status == 0
    with av.open(str(tmp_path / "a_denoised.webm")) as container:
        assert container.streams.video[0].sample_aspect_ratio == Fraction(4, 3)


def test_the_checksum_of_the_tracks_is_right(tmp_path: Path) -> None:
    content = tagged(tmp_path / "a.mkv").read_bytes()
    mark = b"\x16\x54\xae\x6b"
    begin = content.index(mark, content.index(mark) + 4)  # the first one is in the table of contents
    width = 9 - content[begin + 4].bit_length()
    size = int.from_bytes(content[begin + 4 : begin + 4 + width]) & ((1 << 7 * width) - 1)
    inside = content[begin + 4 + width : begin + 4 + width + size]
    assert inside[:2] == b"\xbf\x84"
    assert int.from_bytes(inside[2:6], "little") == zlib.crc32(inside[6:])


@pytest.mark.parametrize(
    "content", [b"", b"\x1a\x45\xdf\xa3", b"\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67\xff\xae", bytes(99)]
)
def test_files_without_whole_tracks_have_no_tags(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.mkv"
    path.write_bytes(content)
    assert read_extras(path) == []
    write_extras(path, {0: EXTRAS[1]})
    assert path.read_bytes() == content
