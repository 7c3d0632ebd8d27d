"""Sound that FFmpeg loses in a damaged container is missed; a hole that a recorder left is none."""

from pathlib import Path

import av
import numpy as np
import pytest
from command import mpeace
from helpers import speech_like
from media import make

from enhance.io.media.container_damage import bytes_cut_off, is_damaged

KINDS = [("a.mkv", "matroska", "aac"), ("a.ts", "mpegts", "aac"), ("a.m2ts", "mpegts", "ac3"), ("a.flv", "flv", "aac")]
PICTURE = {"flv": "flv"}


def recording(path: Path, muxer: str, codec: str, hole: bool = False) -> Path:
    return make(path, muxer, codec, PICTURE.get(muxer, "mpeg2video"), 48_000, [speech_like(4, 48_000)], hole=hole)


def of_sound(path: Path) -> int:
    """The identifier of the sound track."""
    with av.open(str(path)) as container:
        return container.streams.audio[0].id


@pytest.mark.parametrize(("name", "muxer", "codec"), KINDS)
def test_sound_that_is_lost_in_a_damaged_part_is_missed(
    tmp_path: Path, tiny_model: Path, name: str, muxer: str, codec: str
) -> None:
    source, out = recording(tmp_path / name, muxer, codec), tmp_path / f"out_{name}"
    content = bytearray(source.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 5000] = bytes(5000)
    source.write_bytes(content)
    ended = mpeace("denoise", source, "-o", out, "--model", tiny_model)
    assert ended.status == 1
    assert "cut off or damaged: " in ended.problems[0]
    assert " s of sound are missing at " in ended.problems[0]
    assert "(--salvage denoises what is there)" in ended.problems[0]
    assert not out.exists()
    assert mpeace("denoise", source, "-o", tmp_path / "out.wav", "--model", tiny_model).status == 1
    ended = mpeace("denoise", source, "-o", out, "--model", tiny_model, "--salvage")
    assert ended.status == 0
    (note,) = (line for line in ended.problems if " s of sound are missing at " in line)
    assert note.startswith(f"mpeace: {source}: note: salvaged: ")


@pytest.mark.parametrize(("name", "muxer", "codec"), KINDS)
def test_a_hole_that_a_recorder_left_is_no_damage(
    tmp_path: Path, tiny_model: Path, name: str, muxer: str, codec: str
) -> None:
    source = recording(tmp_path / name, muxer, codec, hole=True)
    ended = mpeace("denoise", source, "-o", tmp_path / f"out_{name}", "--model", tiny_model)
    assert (ended.status, ended.problems) == (0, [])
    assert not is_damaged(source, muxer, of_sound(source))


def test_matroska_of_unknown_sizes_joined_or_with_something_behind_it_is_whole(tmp_path: Path) -> None:
    """As browsers write it; it is broken where an element does not end."""
    path = tmp_path / "live.webm"
    with av.open(str(path), "w", format="webm", container_options={"live": "1"}) as out:
        stream = out.add_stream("libopus", rate=48_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 480_000), np.float32), "flt", "mono")
        frame.sample_rate = 48_000
        out.mux([*stream.encode(frame), *stream.encode(None)])
    whole = path.read_bytes()
    path.write_bytes(whole + whole)
    assert not is_damaged(path, "matroska,webm", 1)
    path.write_bytes(whole[: len(whole) // 2] + bytes(100) + whole[len(whole) // 2 :])
    assert is_damaged(path, "matroska,webm", 1)
    source = recording(tmp_path / "a.mkv", "matroska", "aac")
    with source.open("ab") as file:
        file.write(b"TAG" + bytes(125))
    assert not is_damaged(source, "matroska", 1)


def test_packets_of_sound_that_a_receiver_lost_are_missed(tmp_path: Path) -> None:
    """Those that are left follow each other, and their count does not."""
    source = recording(tmp_path / "a.ts", "mpegts", "ac3")
    track = of_sound(source)
    packets = [source.read_bytes()[place : place + 188] for place in range(0, source.stat().st_size, 188)]
    ours = [number for number, packet in enumerate(packets) if int.from_bytes(packet[1:3]) & 0x1FFF == track]
    others = [number for number in range(len(packets)) if number not in ours]
    for lost, damaged in ((ours[20:23], True), (others[20:23], False), (ours[-1:], False)):
        source.write_bytes(b"".join(packet for number, packet in enumerate(packets) if number not in lost))
        assert is_damaged(source, "mpegts", track) is damaged
    twice = ours[20]
    source.write_bytes(b"".join(packets[: twice + 1] + packets[twice:]))
    assert not is_damaged(source, "mpegts", track)


def test_an_avi_that_is_cut_off_is_no_success(tmp_path: Path, tiny_model: Path) -> None:
    source = make(tmp_path / "a.avi", "avi", "libmp3lame", "mpeg4", 48_000, [speech_like(4, 48_000)])
    whole, out = source.read_bytes(), tmp_path / "out.avi"
    assert bytes_cut_off(source, "avi") == 0
    source.write_bytes(whole[:4] + bytes(4) + whole[8:-20_000])  # by a recorder that died
    assert bytes_cut_off(source, "avi") == 0
    source.write_bytes(whole[:-20_000])
    lacks = "20000 bytes that its header promises are not there"
    ended = mpeace("denoise", source, "-o", out, "--model", tiny_model)
    assert ended.status == 1
    assert f"cut off or damaged: {lacks} (--salvage" in ended.problems[0]
    ended = mpeace("denoise", source, "-o", out, "--model", tiny_model, "--salvage")
    assert (ended.status, ended.problems) == (0, [f"mpeace: {source}: note: salvaged: {lacks}"])
