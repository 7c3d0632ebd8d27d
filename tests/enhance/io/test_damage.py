"""What is damaged is said at the right place, keeps its time, and never ends as done without sound."""

import io
import struct
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from command import ROOT, mpeace, partial_files, read, write
from helpers import lag, speech_like

from enhance.io.sound import ogg_pages
from enhance.io.sound.sound_file import SoundReader
from enhance.utils.errors import FileError

RATE = 48_000
SECONDS = 12.0


def noise(seconds: float = SECONDS) -> np.ndarray:
    """Float32 [1, samples]; no two parts of it are alike."""
    return np.random.default_rng(1).normal(0, 0.1, (1, round(seconds * RATE))).astype(np.float32)


def write_ogg(path: Path, subtype: str, rate: int = RATE) -> bytes:
    with soundfile.SoundFile(path, "w", rate, 1, subtype, None, "OGG") as file:
        for part in np.split(noise()[0], 48):  # Ogg encoders take the stack for what comes at once
            file.write(part)
    return path.read_bytes()


def pages(content: bytes | bytearray) -> list[int]:
    """Places at which pages begin."""
    return [place for place in range(len(content)) if content.startswith(b"OggS\0", place)]


def decoded(path: Path) -> np.ndarray:
    reader = SoundReader(path, salvage=True)
    try:
        return np.concatenate([block.copy() for block in reader.blocks()], axis=1)
    finally:
        reader.close()


def test_the_checksum_of_pages_is_that_of_ogg(tmp_path: Path) -> None:
    content = write_ogg(tmp_path / "a.ogg", "VORBIS")
    places = [*pages(content), len(content)]
    for begin, end in pairwise(places):
        assert ogg_pages._checksum(content[begin:end]) == struct.unpack("<I", content[begin + 22 : begin + 26])[0]
    assert ogg_pages.damage_of(tmp_path / "a.ogg") is None


@pytest.mark.parametrize(("subtype", "rate"), [("VORBIS", RATE), ("OPUS", RATE), ("OPUS", 16_000)])
def test_ogg_that_is_damaged_in_the_middle_keeps_its_time_and_says_what_is_missing(
    tmp_path: Path, subtype: str, rate: int
) -> None:
    path = tmp_path / "a.ogg"
    content = bytearray(write_ogg(path, subtype, rate))
    whole = read(path)
    places = pages(content)
    hurt = places[len(places) // 2]
    content[hurt + 300] ^= 0x55
    path.write_bytes(content)
    with pytest.raises(FileError, match=r"cut off or damaged: \d\.\d\d s of sound are missing at \d+\.\d\d s \(--salv"):
        SoundReader(path)
    reader = SoundReader(path, salvage=True)
    told = reader.notes[0].split()
    reader.close()
    assert told[0] == "salvaged:"
    missing, place = float(told[1]), float(told[-2])
    found = decoded(path)
    assert found.shape == whole.shape
    begin, end = round(place * rate), round((place + missing) * rate)
    assert 0.3 < missing < 6
    assert not found[:, begin + 480 : end - 480].any()
    np.testing.assert_array_equal(found[:, : begin - 480], whole[:, : begin - 480])
    behind = slice(end + rate // 5, None)  # Opus takes 80 ms to find its way again
    assert lag(found[0, behind], whole[0, behind]) == 0
    assert np.corrcoef(found[0, behind], whole[0, behind])[0, 1] > 0.99


def test_pages_that_are_not_there_any_more_are_missed(tmp_path: Path) -> None:
    path = tmp_path / "a.ogg"
    content = write_ogg(path, "VORBIS")
    whole, places = read(path), pages(content)
    path.write_bytes(content[: places[3]] + content[places[4] :])
    assert decoded(path).shape == whole.shape


def test_salvage_of_ogg_through_the_command_keeps_the_length(tmp_path: Path, tiny_model: Path) -> None:
    path = tmp_path / "a.ogg"
    content = bytearray(write_ogg(path, "VORBIS"))
    content[pages(content)[4] + 300] ^= 0x55
    path.write_bytes(content)
    refused = mpeace("denoise", path, "-o", tmp_path / "b.wav", "--model", tiny_model)
    assert refused.status == 1
    assert "s of sound are missing at" in refused.stderr
    kept = mpeace("denoise", path, "-o", tmp_path / "b.wav", "--salvage", "--mix", 0, "--model", tiny_model)
    assert kept.status == 0, kept.stderr
    assert "note: salvaged: " in kept.problems[0]
    assert read(tmp_path / "b.wav").shape == (1, round(SECONDS * RATE))


def test_the_message_names_the_place_of_the_damage(tmp_path: Path, tiny_model: Path) -> None:
    flac, m4a = write(tmp_path / "a.flac", noise(4)), tmp_path / "a.m4a"
    flac.write_bytes(flac.read_bytes()[: round(0.4 * flac.stat().st_size)])
    av = pytest.importorskip("av")
    with av.open(str(m4a), "w", format="ipod") as out:
        track = out.add_stream("aac", rate=RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(noise(4), "fltp", "mono")
        frame.sample_rate = RATE
        out.mux(track.encode(frame))
        out.mux(track.encode(None))
    content = bytearray(m4a.read_bytes())
    hurt = round(0.4 * len(content))
    content[hurt : hurt + 400] = b"\xff" * 400
    m4a.write_bytes(content)
    for path in (flac, m4a):
        ended = mpeace("denoise", path, "-o", tmp_path / "b.wav", "--model", tiny_model)
        assert ended.status == 1
        place = float(ended.stderr.partition("damaged at ")[2].split()[0])
        assert place == pytest.approx(1.6, abs=0.2), ended.stderr


def test_salvage_of_a_file_that_is_damaged_from_the_beginning_on_is_no_success(
    tmp_path: Path, tiny_model: Path
) -> None:
    path = write(tmp_path / "a.flac", speech_like(2, RATE))
    content = bytearray(path.read_bytes())
    first = next(place for place in range(42, len(content)) if content[place] == 0xFF and content[place + 1] == 0xF8)
    content[first:] = bytes(len(content) - first)
    path.write_bytes(content)
    ended = mpeace("denoise", path, "-o", tmp_path / "b.flac", "--salvage", "--model", tiny_model)
    assert ended.status == 1
    assert "nothing of its sound can be read: it is damaged from the beginning on" in ended.stderr
    assert not (tmp_path / "b.flac").exists()
    assert not partial_files(tmp_path)


def test_done_without_sound_says_so(tmp_path: Path, tiny_model: Path) -> None:
    write(tmp_path / "none.wav", np.zeros((1, 0), np.float32))
    write(tmp_path / "silent.wav", np.zeros((1, 4800), np.float32))
    write(tmp_path / "sound.wav", speech_like(0.1, RATE))
    ended = mpeace("denoise", tmp_path, "-o", tmp_path / "out", "--model", tiny_model, "-q")
    assert ended.status == 0
    assert sorted(ended.problems) == [
        f"mpeace: {tmp_path / 'none.wav'}: note: it has no sound: 0 samples",
        f"mpeace: {tmp_path / 'silent.wav'}: note: there is no sound in it: all samples are 0",
    ]


def test_a_whole_ogg_from_a_broadcast_begins_where_it_begins(tmp_path: Path) -> None:
    content = write_ogg(tmp_path / "a.ogg", "VORBIS")
    places = pages(content)
    (tmp_path / "b.ogg").write_bytes(content[: places[2]] + content[places[3] :])
    late = soundfile.info(io.BytesIO((tmp_path / "b.ogg").read_bytes())).frames
    assert 0 < late < SECONDS * RATE
    assert decoded(tmp_path / "b.ogg").shape == (1, round(SECONDS * RATE)), "its first page is missing by its number"


@pytest.mark.parametrize(
    ("name", "changes", "length", "told"),
    [
        ("a.caf", {38: 118}, None, "cut off or damaged at 0.00 s (invalid data found"),
        ("a.flac", {17: 8, 19: 81, 45: 176}, 1690, "it has no sound, and FLAC cannot be written without"),
    ],
)
def test_headers_that_no_reader_can_use_are_refused_in_plain_words(
    tmp_path: Path, tiny_model: Path, name: str, changes: dict[int, int], length: int | None, told: str
) -> None:
    """A CAF whose packets cannot be told apart, and a FLAC with six channels, of which not one frame is left."""
    pytest.importorskip("av")
    source = write(tmp_path / name, read(ROOT / "tests" / "data" / "noisy.flac")[:, :14_400])
    content = bytearray(source.read_bytes()[:length])
    for place, value in changes.items():
        content[place] = value
    source.write_bytes(content)
    ended = mpeace("denoise", source, "-o", tmp_path / f"out{source.suffix}", "--model", tiny_model)
    assert ended.status == 1
    assert told in ended.problems[0]
    assert "unexpected" not in ended.stderr
