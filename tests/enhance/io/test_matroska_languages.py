"""Languages of Matroska tracks stay, also the tags that FFmpeg does not know."""

import zlib
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import mpeace

from enhance.io.matroska_languages import long_language, read_language_tags, write_language_tags

av: Any = pytest.importorskip("av")

RATE = 48_000
TAGS = ["", "de-CH", "zh-Hant-TW", "de-CH"]  # of the picture and three sound tracks
LANGUAGES = ["", "ger", "chi", "ger"]


def tagged(path: Path) -> Path:
    """A picture and three sound tracks, whose languages have tags."""
    names = [long_language(*pair) for pair in zip(LANGUAGES[1:], TAGS[1:], strict=True)]
    with av.open(str(path), "w", format="matroska") as out:
        video = out.add_stream("mpeg4", rate=25, width=64, height=48, pix_fmt="yuv420p")
        streams = [out.add_stream("flac", rate=RATE, layout="mono") for _ in names]
        for stream, name in zip(streams, names, strict=True):
            stream.metadata["language"] = name
        frame = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), "rgb24")
        frame.pts = 0
        out.mux([*video.encode(frame), *video.encode(None)])
        for stream in streams:
            sound = av.AudioFrame.from_ndarray(np.zeros((1, RATE // 4), np.int16), "s16", "mono")
            sound.sample_rate, sound.pts, sound.time_base = RATE, 0, Fraction(1, RATE)
            out.mux([*stream.encode(sound), *stream.encode(None)])
    write_language_tags(path, names)
    return path


def languages(path: Path) -> list[str]:
    with av.open(str(path)) as container:
        return [stream.metadata.get("language", "") for stream in container.streams]


def test_language_tags_stay(tmp_path: Path, tiny_model: Path) -> None:
    source = tagged(tmp_path / "a.mkv")
    assert read_language_tags(source) == TAGS
    assert languages(source) == LANGUAGES
    for option in ([], ["--track", "2"]):
        output = tmp_path / f"out{len(option)}.mkv"
        assert mpeace("denoise", source, *option, "-o", output, "--model", tiny_model).status == 0
        assert read_language_tags(output) == TAGS
        assert languages(output) == LANGUAGES


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
    assert read_language_tags(path) == []
    write_language_tags(path, ["ger++++de"])
    assert path.read_bytes() == content
