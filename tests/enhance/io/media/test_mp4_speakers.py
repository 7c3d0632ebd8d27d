"""Layouts of Apple in MOV: channels in any order keep their places and their speakers, and no process dies of them."""

import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from command import mpeace, read

pytest.importorskip("av")
import av
from media import make

from enhance.io.media.mp4_boxes import Box, read_movie
from enhance.io.media.mp4_speakers import carry_speakers, named_speakers
from enhance.io.media.opening import open_media
from enhance.io.sound.speakers import Speakers, in_format

RATE = 48_000
SURROUND = {3: "3.0", 7: "6.1", 8: "7.1"}
CENTRE_FIRST, CINEMA_61, CINEMA_71 = 114 << 16 | 3, 125 << 16 | 7, 128 << 16 | 8
DISCRETE = 147 << 16 | 8  # channels that belong to no speaker


def tones(channels: int) -> np.ndarray:
    """A tone of 300, 500, 700, ... Hz in each channel, float32 [channels, 15000]."""
    times = np.arange(15_000) / RATE
    return np.stack([0.1 * np.sin(2 * np.pi * (300 + 200 * number) * times) for number in range(channels)]).astype("f4")


def write_movie(path: Path, codec: str, channels: int) -> Path:
    """A MOV of tones with the usual layout of so many channels."""
    with av.open(str(path), "w", format="mov") as out:
        track: Any = out.add_stream(codec, rate=RATE, layout=SURROUND[channels])
        packed = np.ascontiguousarray(tones(channels).T).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(packed, "flt", SURROUND[channels])
        frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
        for packet in [*track.encode(frame), *track.encode(None)]:
            out.mux(packet)
    return path


def heard(audio: np.ndarray) -> list[int]:
    """Number of the tone in each channel."""
    spectrum = np.abs(np.fft.rfft(audio[:, 2400:12_000] * np.hanning(9600)))
    return [round((np.argmax(channel[30:]) + 30) * RATE / 9600 - 300) // 200 for channel in spectrum]


def layout_in(path: Path) -> bytes:
    """What follows the name of the layout in a MOV without labels: version, tag, mask, number of labels."""
    content = path.read_bytes()
    return content[content.index(b"chan") + 4 :][:16]


@pytest.fixture
def movie_with(tmp_path: Path) -> Callable[[int, int, str], Path]:
    """A MOV of tones whose layout has a tag of Apple's."""

    def write(tag: int, channels: int, codec: str) -> Path:
        path = write_movie(tmp_path / "a.mov", codec, channels)
        content = path.read_bytes()
        place = content.index(b"chan") + 8
        path.write_bytes(content[:place] + struct.pack(">III", tag, 0, 0) + content[place + 12 :])
        return path

    return write


@pytest.fixture
def convert(tiny_model: Path) -> Callable[[Path, Path], None]:
    """From one file to another."""

    def run(source: Path, target: Path) -> None:
        ended = mpeace("denoise", source, "-o", target, "--mix", "0", "--model", tiny_model)
        assert ended.status == 0, ended.stderr

    return run


@pytest.mark.parametrize(
    ("tag", "channels", "mask", "order"),
    [
        (CENTRE_FIRST, 3, 0x7, [1, 2, 0]),
        (CINEMA_61, 7, 0x70F, [0, 1, 2, 3, 6, 4, 5]),
        (CINEMA_71, 8, 0x63F, [0, 1, 2, 3, 6, 7, 4, 5]),
        (DISCRETE, 8, None, list(range(8))),
    ],
)
def test_channels_in_an_order_of_their_own_keep_it_and_their_speakers(
    tmp_path: Path,
    movie_with: Callable[[int, int, str], Path],
    convert: Callable[[Path, Path], None],
    tag: int,
    channels: int,
    mask: int | None,
    order: list[int],
) -> None:
    source = movie_with(tag, channels, "pcm_s24le")
    convert(source, tmp_path / "b.mov")
    assert layout_in(tmp_path / "b.mov") == layout_in(source) == struct.pack(">IIII", 0, tag, 0, 0)
    convert(tmp_path / "b.mov", tmp_path / "c.wav")
    assert heard(read(tmp_path / "c.wav")) == order
    content = (tmp_path / "c.wav").read_bytes()
    assert in_format(content[20:60]) == mask
    assert soundfile.info(tmp_path / "c.wav").frames == 15_000


def test_the_decoder_of_compressed_sound_gives_the_order(
    tmp_path: Path, movie_with: Callable[[int, int, str], Path], convert: Callable[[Path, Path], None]
) -> None:
    """AAC puts the centre first in its packets, and its decoder behind left and right, whatever the layout says."""
    source = movie_with(CENTRE_FIRST, 3, "aac")
    convert(source, tmp_path / "b.mov")
    convert(source, tmp_path / "c.wav")
    assert heard(read(tmp_path / "c.wav")) == [0, 1, 2]
    with av.open(str(tmp_path / "b.mov")) as file:
        assert file.streams.audio[0].codec_context.layout.name == "3.0"
        packed = np.concatenate([frame.to_ndarray() for frame in file.decode(audio=0)], axis=1)
    assert heard(packed) == [0, 1, 2]


def test_speakers_are_those_of_the_layout(movie_with: Callable[[int, int, str], Path]) -> None:
    path = movie_with(CENTRE_FIRST, 3, "pcm_s16le")
    movie = read_movie(path)
    assert movie is not None
    with open_media(path) as container:
        stream = container.streams.audio[0]
        assert named_speakers(stream, movie) == Speakers(0x7, (1, 2, 0))
        assert stream.codec_context.layout.name == "3.0"
        assert named_speakers(stream, Box(b"moov")) is None


def test_a_layout_is_put_into_another_description(movie_with: Callable[[int, int, str], Path], tmp_path: Path) -> None:
    old = read_movie(movie_with(CENTRE_FIRST, 3, "pcm_s16le"))
    new = read_movie(make(tmp_path / "b.mov", "mov", "pcm_s16le", None, RATE, [tones(2)]))
    assert old is not None
    assert new is not None
    (before,), (after,) = old.all(b"trak"), new.all(b"trak")
    carry_speakers(before, after)
    described = after.find(b"mdia", b"minf", b"stbl", b"stsd")
    assert described is not None
    assert described.data.count(b"chan") == 1
    assert struct.unpack_from(">I", described.data, 8) == (len(described.data) - 8,)
    assert struct.pack(">I", CENTRE_FIRST) in described.data
