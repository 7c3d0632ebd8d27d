"""Media files are opened by name, whatever the name looks like."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import mpeace, read
from helpers import speech_like

pytest.importorskip("av")
import av
from av.error import InvalidDataError
from media import make

from enhance.io.media.opening import is_mp4, muxer_of, open_media, packets_of
from enhance.utils.errors import FileError


@pytest.mark.parametrize("name", ["data:a.m4a", "a b.m4a", "-i.m4a"])
def test_a_name_is_no_address(tmp_path: Path, name: str) -> None:
    path = make(tmp_path / "plain.m4a", "ipod", "aac", None, 48_000, [speech_like(0.2, 48_000)]).rename(tmp_path / name)
    with open_media(path) as container:
        assert is_mp4(container)
        assert len(container.streams.audio) == 1


def test_mp2_in_mpeg_ts_stays_mp2(tmp_path: Path, tiny_model: Path) -> None:
    """FFmpeg's libraries take it for MP3 in some files, unlike FFmpeg's programs; it became MP3."""
    source = make(tmp_path / "a.ts", "mpegts", "mp2", None, 48_000, [speech_like(0.5, 48_000)])
    assert mpeace("denoise", source, "-o", tmp_path / "b.ts", "--model", tiny_model).status == 0
    for path in (source, tmp_path / "b.ts"):
        with open_media(path) as container:
            assert container.streams.audio[0].codec_context.name == "mp2"


def test_what_is_no_media_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    (tmp_path / "b.mp4").write_text("no video " * 100)
    for name, said in (("a.mp4", r"empty \(0 bytes\)"), ("b.mp4", "not a media file that can be read, or cut off")):
        with pytest.raises(FileError, match=said) as error:
            open_media(tmp_path / name)
        assert "\n" not in str(error.value)


def test_the_name_says_the_muxer() -> None:
    assert muxer_of(Path("a.MKV")) == "matroska"
    assert muxer_of(Path("a.flac")) == "ogg"


class Damaged:
    """A file of which no more than ten packets can be told apart."""

    def __init__(self, container: Any) -> None:
        self.streams, self._container = container.streams, container

    def demux(self, *streams: Any) -> Iterator[Any]:
        for number, packet in enumerate(self._container.demux(*streams)):
            if number == 10:
                raise InvalidDataError(-1094995529, "Invalid data found")
            yield packet


def test_a_file_that_is_damaged_between_packets_is_refused_at_its_place_or_ends_there(tmp_path: Path) -> None:
    """Ten packets of AAC at 48 kHz begin up to 0.19 s in the file; the first one lies before the sound."""
    path = make(tmp_path / "a.m4a", "ipod", "aac", None, 48_000, [speech_like(1, 48_000)])
    with (
        open_media(path) as container,
        pytest.raises(FileError, match=r"damaged at 0\.1\d s \(invalid data.*--salvage"),
    ):
        list(packets_of(Damaged(container), container.streams[0]))  # type: ignore[arg-type]
    with open_media(path) as container:
        notes: list[str] = []
        packets = list(packets_of(Damaged(container), salvage=True, notes=notes))  # type: ignore[arg-type]
        assert [packet.size > 0 for packet in packets] == [True] * 10 + [False], "an empty one ends the track"
        assert packets[-1].stream.index == 0
        frames = [frame for packet in packets for frame in container.streams.audio[0].decode(packet)]
    assert 8 * 1024 <= sum(frame.samples for frame in frames) <= 10 * 1024
    assert len(notes) == 1
    assert notes[0].startswith("salvaged: the file is damaged at 0.1")


@pytest.mark.parametrize(("name", "target"), [("a.m4a", "out.m4a"), ("a.m4a", "out.wav"), ("a.mov", "out.mov")])
def test_a_second_recording_behind_an_mp4_is_reported(tmp_path: Path, tiny_model: Path, name: str, target: str) -> None:
    muxer, codec = ("ipod", "aac") if name == "a.m4a" else ("mov", "pcm_s16le")
    path = make(tmp_path / name, muxer, codec, None, 48_000, [speech_like(0.5, 48_000)])
    one = mpeace("denoise", path, "--mix", 0, "-o", tmp_path / f"one{target}", "--model", tiny_model)
    assert one.status == 0, one.stderr
    assert "joined" not in one.stderr
    content = path.read_bytes()
    path.write_bytes(content * 2)
    ended = mpeace("denoise", path, "--mix", 0, "-o", tmp_path / target, "--model", tiny_model)
    assert ended.status == 0, ended.stderr
    assert (
        f"note: a second recording of {len(content)} bytes, joined behind it, left out; take the file apart"
        in ended.stderr
    )
    assert (tmp_path / target).stat().st_size > 1000
    if target == "out.wav":
        np.testing.assert_array_equal(read(tmp_path / target), read(tmp_path / "oneout.wav"))


@pytest.mark.parametrize("fragments", ["first", "second", "both"])
def test_recordings_that_ffmpeg_stumbles_over_are_left_out_and_reported(
    tmp_path: Path, tiny_model: Path, fragments: str
) -> None:
    """Fragments of FFmpeg name the place of their data in the file, which is another one behind another recording."""
    for name in ("first", "second"):
        flags = {"movflags": "empty_moov+frag_every_frame"} if fragments in (name, "both") else {}
        with av.open(str(tmp_path / f"{name}.mp4"), "w", format="mp4", container_options=flags) as out:
            stream = out.add_stream("flac", rate=48_000, layout="mono")
            frame = av.AudioFrame.from_ndarray(speech_like(1, 48_000), "flt", "mono")
            frame.sample_rate, frame.pts = 48_000, 0
            out.mux([*stream.encode(frame), *(packet for packet in stream.encode(None) if packet.size)])
    behind = (tmp_path / "second.mp4").read_bytes()
    (tmp_path / "a:b.mp4").write_bytes((tmp_path / "first.mp4").read_bytes() + behind)
    for target in ("out.wav", "out.mp4"):
        ended = mpeace("denoise", tmp_path / "a:b.mp4", "--mix", 0, "-o", tmp_path / target, "--model", tiny_model)
        assert ended.status == 0, ended.stderr
        assert f"a second recording of {len(behind)} bytes, joined behind it, left out" in ended.stderr
        with av.open(str(tmp_path / target)) as container:
            assert sum(frame.samples for frame in container.decode(audio=0)) == 48_000
