"""Edit lists: what a person cut away does not come back, and the padding of a codec is no sound."""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import mpeace, read
from helpers import speech_like

from enhance.io.media.edit_list import Edit, pieces_of, read_edits, write_edits
from enhance.io.media.mp4_boxes import Box, read_movie
from enhance.utils.errors import FileError

av: Any = pytest.importorskip("av")
from media import make  # noqa: E402

RATE = 48_000


def marked(seconds: float) -> np.ndarray:
    """Soft noise with a burst at every half second, float32 [1, samples]."""
    audio = 0.01 * np.random.default_rng(1).standard_normal(round(seconds * RATE))
    burst = 0.8 * np.sin(np.arange(240) * 0.3)
    for begin in range(0, audio.size - burst.size, RATE // 2):
        audio[begin : begin + burst.size] += burst
    return audio[np.newaxis].astype(np.float32)


def with_edits(source: Path, target: Path, pieces: list[tuple[float, float]], empty: float = 0.0) -> Path:
    """Write a file whose movie header, at its end, shows pieces only: seconds from and to, after a pause."""
    content = source.read_bytes()
    movie = read_movie(source)
    assert movie is not None
    header = movie.find(b"mvhd")
    assert header is not None
    (ticks,) = struct.unpack_from(">I", header.data, 12)
    for track in movie.all(b"trak"):
        media = track.find(b"mdia", b"mdhd")
        before = read_edits(track)
        assert media is not None
        assert before
        (scale,) = struct.unpack_from(">I", media.data, 12)
        delay = before[-1].media_time
        edits = [Edit(round(empty * ticks), -1)] if empty else []
        edits += [Edit(round((end - begin) * ticks), delay + round(begin * scale)) for begin, end in pieces]
        track.put(b"edts", write_edits(edits))
    place = content.rindex(b"moov") - 4
    target.write_bytes(content[:place] + movie.pack())
    return target


def shown(path: Path) -> tuple[np.ndarray, list[tuple[bytes, float]]]:
    """Sound, as FFmpeg's players hear it, and each picture that is shown with its time."""
    sound: list[np.ndarray] = []
    pictures: list[tuple[bytes, float]] = []
    with av.open(str(path)) as container:
        end = float(container.streams.audio[0].duration * container.streams.audio[0].time_base)
        for packet in container.demux(container.streams.audio[0], *container.streams.video):
            for frame in packet.decode():
                if packet.stream.type == "audio":
                    sound.append(frame.to_ndarray())
                else:
                    pictures.append((frame.to_ndarray().tobytes(), round(frame.time, 3)))
    return np.concatenate(sound, axis=1)[:, : round(end * RATE)], pictures


def bursts(audio: np.ndarray) -> np.ndarray:
    loud = np.flatnonzero(np.abs(audio[0]) > 0.4)
    return loud[np.diff(loud, prepend=-RATE) > RATE // 20] / RATE


@pytest.mark.parametrize("picture", ["libx264", "mpeg4"])
@pytest.mark.parametrize("name", ["phone.mp4", "phone.mov"])
def test_a_trimmed_video_stays_trimmed(tmp_path: Path, tiny_model: Path, name: str, picture: str) -> None:
    full = make(tmp_path / name, name[-3:], "aac", picture, RATE, [marked(5)])
    source = with_edits(full, tmp_path / f"trimmed-{name}", [(1.25, 3.4)])
    output = tmp_path / f"out-{name}"
    ended = mpeace("denoise", source, "-o", output, "--mix", 0, "--model", tiny_model)
    assert ended.status == 0, ended.stderr
    before, after = shown(source), shown(output)
    assert after[0].shape[1] == round(2.15 * RATE)
    np.testing.assert_allclose(bursts(after[0]), [0.25, 0.75, 1.25, 1.75], atol=0.001)
    assert after[1] == before[1]
    with av.open(str(output)) as container:
        assert container.duration / av.time_base == pytest.approx(2.15, abs=0.001)


def test_the_sound_of_a_trimmed_video_alone(tmp_path: Path, tiny_model: Path) -> None:
    audio = marked(5)
    full = make(tmp_path / "a.mov", "mov", "pcm_s16le", "mpeg4", RATE, [audio])
    source = with_edits(full, tmp_path / "trimmed.mov", [(0.5, 1.5), (3.0, 4.0)])
    assert mpeace("denoise", source, "-o", tmp_path / "a.wav", "--mix", 0, "--model", tiny_model).status == 0
    wanted = np.concatenate([audio[:, RATE // 2 : RATE * 3 // 2], audio[:, 3 * RATE : 4 * RATE]], axis=1)
    np.testing.assert_allclose(read(tmp_path / "a.wav"), wanted, atol=1e-4)


def test_two_pieces_of_a_video_stay_two_pieces(tmp_path: Path, tiny_model: Path) -> None:
    full = make(tmp_path / "a.mp4", "mp4", "aac", "mpeg4", RATE, [marked(5)])
    source = with_edits(full, tmp_path / "cut.mp4", [(0.25, 1.0), (3.25, 4.0)])
    output = tmp_path / "out.mp4"
    assert mpeace("denoise", source, "-o", output, "--mix", 0, "--model", tiny_model).status == 0
    sound, pictures = shown(output)
    assert sound.shape[1] == round(1.5 * RATE)
    np.testing.assert_allclose(bursts(sound), [0.25, 1.0], atol=0.001)
    assert pictures == shown(source)[1]


def test_a_pause_in_front_stays(tmp_path: Path, tiny_model: Path) -> None:
    full = make(tmp_path / "a.mp4", "mp4", "aac", "mpeg4", RATE, [marked(3)])
    source = with_edits(full, tmp_path / "late.mp4", [(0.5, 2.0)], empty=0.75)
    output = tmp_path / "out.mp4"
    assert mpeace("denoise", source, "-o", output, "--mix", 0, "--model", tiny_model).status == 0
    with av.open(str(output)) as container:
        stream = container.streams.audio[0]
        assert float(stream.start_time * stream.time_base) == pytest.approx(0.75, abs=0.001)
    assert shown(output)[1] == shown(source)[1]


@pytest.mark.parametrize(
    ("name", "muxer", "codec", "samples"),
    [
        ("a.m4a", "ipod", "aac", 48_000),
        ("a.m4a", "ipod", "aac", 31_337),
        ("a.m4a", "ipod", "alac", 31_337),
        ("a.mp4", "mp4", "libopus", 48_000),
        ("a.mp4", "mp4", "libopus", 31_337),
        ("a.mp4", "mp4", "libmp3lame", 48_000),
        ("a.mov", "mov", "aac", 31_337),
    ],
)
def test_the_padding_of_a_codec_is_no_sound(
    tmp_path: Path, tiny_model: Path, name: str, muxer: str, codec: str, samples: int
) -> None:
    source = make(tmp_path / name, muxer, codec, None, RATE, [speech_like(1, RATE)[:, :samples]])
    assert mpeace("denoise", source, "-o", tmp_path / "a.wav", "--model", tiny_model).status == 0
    assert read(tmp_path / "a.wav").shape[1] == samples
    output = tmp_path / f"out-{name}"
    assert mpeace("denoise", source, "-o", output, "--model", tiny_model).status == 0
    assert mpeace("denoise", output, "-o", tmp_path / "b.wav", "--model", tiny_model).status == 0
    assert read(tmp_path / "b.wav").shape == read(tmp_path / "a.wav").shape


@pytest.mark.parametrize(
    ("name", "muxer", "codec", "frame"),
    [
        ("a.mkv", "matroska", "ac3", 1536),
        ("a.mkv", "matroska", "eac3", 1536),
        ("a.mkv", "matroska", "mp2", 1152),
        ("a.mp4", "mp4", "ac3", 1536),
        ("a.mp4", "mp4", "eac3", 1536),
    ],
)
def test_encoders_that_keep_the_end_for_themselves_give_it(
    tmp_path: Path, tiny_model: Path, name: str, muxer: str, codec: str, frame: int
) -> None:
    audio = 0.01 * speech_like(1, RATE)[:, : 24 * frame]
    audio[:, -6000:] += 0.3 * np.sin(np.arange(6000) * 0.1, dtype=np.float32)
    source = make(tmp_path / name, muxer, codec, None, RATE, [audio])
    output = tmp_path / f"out-{name}"
    assert mpeace("denoise", source, "-o", output, "--mix", 0, "--model", tiny_model).status == 0
    for path, sound in ((source, tmp_path / "a.wav"), (output, tmp_path / "b.wav")):
        assert mpeace("denoise", path, "-o", sound, "--mix", 0, "--model", tiny_model).status == 0
    before, after = read(tmp_path / "a.wav"), read(tmp_path / "b.wav")
    assert after.shape[1] >= before.shape[1]
    assert muxer == "matroska" or after.shape == before.shape
    end = slice(before.shape[1] - 500, before.shape[1])
    assert np.corrcoef(after[0, end], before[0, end])[0, 1] > 0.95


def test_the_delay_that_itunes_writes_into_a_tag_is_left_out() -> None:
    text = b" 00000000 00000840 000001CA 000000000000BB80 00000000"
    tag = struct.pack(">I4s", 16, b"name") + b"\0\0\0\0iTunSMPB" + struct.pack(">I4sII", 16 + len(text), b"data", 1, 0)
    media = Box(b"mdhd", struct.pack(">IIIIII", 0, 0, 0, 44_100, 50_570, 0))
    track = Box(b"trak", children=[Box(b"tkhd", bytes(12) + struct.pack(">I", 7) + bytes(68)), Box(b"mdia")])
    track.children[1].children.append(media)
    movie = Box(
        b"moov", children=[Box(b"mvhd", struct.pack(">IIIII", 0, 0, 0, 600, 0)), track, Box(b"udta", tag + text)]
    )
    pieces = pieces_of(movie, 7)
    assert pieces is not None
    assert [(piece.begin * 44_100, piece.end and piece.end * 44_100) for piece in pieces] == [(2112, 2112 + 48_000)]


@pytest.mark.parametrize(("edits", "what"), [([(1, 1), (0, 1)], "out of order"), ([(0, 1)], "another speed")])
def test_edits_that_cannot_be_followed_are_refused(edits: list[tuple[int, int]], what: str) -> None:
    rate = 0x10000 if what == "out of order" else 0x8000
    track = Box(b"trak", children=[Box(b"tkhd", bytes(12) + struct.pack(">I", 1) + bytes(68))])
    track.children.append(Box(b"mdia", children=[Box(b"mdhd", struct.pack(">IIIIII", 0, 0, 0, RATE, 9 * RATE, 0))]))
    track.children.append(write_edits([Edit(600 * length, begin * RATE, rate) for begin, length in edits]))
    movie = Box(b"moov", children=[Box(b"mvhd", struct.pack(">IIIII", 0, 0, 0, 600, 0)), track])
    with pytest.raises(FileError, match=what):
        pieces_of(movie, 1)


def test_edits_are_read_as_they_are_written() -> None:
    edits = [Edit(75, -1), Edit(2**33, 2**34), Edit(5, 0, 0)]
    assert read_edits(Box(b"trak", children=[write_edits(edits)])) == edits


@pytest.mark.parametrize("target", ["out.wav", "out.mp4"])
def test_the_first_fragment_is_not_the_whole_recording(tmp_path: Path, tiny_model: Path, target: str) -> None:
    """Without an empty header in front, the header has the length of what it describes: of the first fragment."""
    audio = marked(2.0)
    options = {"movflags": "frag_keyframe", "frag_duration": "300000"}
    with av.open(str(tmp_path / "a.mp4"), "w", format="mp4", container_options=options) as out:
        stream = out.add_stream("aac", rate=RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(audio, "fltp", "mono")
        frame.sample_rate, frame.pts = RATE, 0
        out.mux([*stream.encode(frame), *stream.encode(None)])
    movie = read_movie(tmp_path / "a.mp4")
    assert movie is not None
    (piece,) = pieces_of(movie, 1) or []
    assert piece.end is None
    ended = mpeace("denoise", tmp_path / "a.mp4", "-o", tmp_path / target, "--mix", 0, "--model", tiny_model)
    assert ended.status == 0, ended.stderr
    with av.open(str(tmp_path / target)) as container:
        heard = sum(frame.samples for frame in container.decode(audio=0))
    assert 2.0 * RATE <= heard <= 2.05 * RATE, "up to the padding of the codec"


def copied(source: Path, target: Path) -> Path:
    """The same packets in another container, as FFmpeg copies them."""
    with av.open(str(source)) as before, av.open(str(target), "w") as after:
        track = after.add_stream_from_template(before.streams.audio[0])
        for packet in before.demux(before.streams.audio[0]):
            if packet.dts is not None:
                packet.stream = track
                after.mux(packet)
    return target


@pytest.mark.parametrize(("codec", "suffix"), [("pcm_s16le", ".mov"), ("alac", ".m4a"), ("flac", ".mp4")])
def test_a_track_copied_from_matroska_ends_with_its_last_sample(tmp_path: Path, codec: str, suffix: str) -> None:
    """Its clock of a millisecond makes the length in the header wrong, of ALAC by a whole packet."""
    audio = 0.1 * np.random.default_rng(0).standard_normal((1, 44_131)).astype(np.float32)
    source = copied(make(tmp_path / "a.mka", "matroska", codec, None, 44_100, [audio]), tmp_path / f"a{suffix}")
    assert mpeace("denoise", source, "-o", tmp_path / "out.wav", "--mix", 0, "--model", "tiny").status == 0
    np.testing.assert_allclose(read(tmp_path / "out.wav"), audio, rtol=0, atol=2.0**-15)


@pytest.mark.parametrize("codec", ["pcm_s16le", "alac"])
def test_what_is_cut_away_behind_lossless_sound_stays_away(tmp_path: Path, codec: str) -> None:
    whole = make(tmp_path / "a.mov", "mov", codec, "mpeg4", RATE, [marked(1)])
    source = with_edits(whole, tmp_path / "b.mov", [(0.25, 0.9)])
    assert mpeace("denoise", source, "-o", tmp_path / "out.wav", "--mix", 0, "--model", "tiny").status == 0
    np.testing.assert_allclose(read(tmp_path / "out.wav"), marked(1)[:, 12_000:43_200], rtol=0, atol=2.0**-15)
