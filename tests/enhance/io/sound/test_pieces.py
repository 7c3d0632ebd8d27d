"""The end of a recording is decided by its data, not by a header or a guess."""

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
from command import mpeace, read, start, write
from helpers import speech_like

from enhance.io.sound import mp3_frames
from enhance.io.sound.chunk_copy import gather
from enhance.io.sound.chunk_values import Change
from enhance.io.sound.sound_file import SoundReader
from enhance.utils.errors import FileError

RATE = 44_100
INFO = (b"Info", b"Xing")


def mp3(path: Path, audio: np.ndarray, rate: int = RATE, mode: str = "VARIABLE") -> bytes:
    """Write [channels, samples] as MP3; returns the file."""
    with soundfile.SoundFile(
        path, "w", rate, len(audio), format="MP3", compression_level=0.4, bitrate_mode=mode
    ) as file:
        file.write(audio.T)
    return path.read_bytes()


def headless(content: bytes, path: Path) -> bytes:
    """An MP3 as an encoder leaves it in a pipe: without the frame that tells its length."""
    path.write_bytes(content)
    first = mp3_frames.scan(path).recordings[0].ranges[0][0]
    return content[first:]


def whole(path: Path, salvage: bool = False) -> np.ndarray:
    """All that `SoundReader` reads, [channels, samples]."""
    reader = SoundReader(path, salvage)
    audio = np.concatenate([block.copy() for block in reader.blocks()], axis=1)
    assert reader.frames == audio.shape[1]
    reader.close()
    return audio


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [8000, 16_000, 22_050, 44_100, 48_000])
def test_mp3_without_a_header_is_read_to_its_end(tmp_path: Path, rate: int, channels: int) -> None:
    audio = np.concatenate([speech_like(1, rate, channels), np.zeros((channels, 3 * rate), np.float32)], axis=1)
    audio[:, -rate // 10 :] = speech_like(0.1, rate, channels)  # loud, silent, and a last word: any estimate is wrong
    content = mp3(tmp_path / "a.mp3", audio, rate)
    (tmp_path / "b.mp3").write_bytes(headless(content, tmp_path / "b.mp3"))
    told = read(tmp_path / "a.mp3")
    counted = whole(tmp_path / "b.mp3")
    recording = mp3_frames.scan(tmp_path / "b.mp3").recordings[0]
    assert counted.shape[1] == recording.frames * (1152 if rate > 24_000 else 576), "every frame, with the delay"
    delay = 576 + 529  # samples, of LAME's encoder and of any decoder
    np.testing.assert_allclose(counted[:, delay:][:, : told.shape[1]], told, atol=1e-6)


def test_a_folder_of_piped_mp3_loses_nothing(tmp_path: Path, tiny_model: Path) -> None:
    content = mp3(tmp_path / "a.mp3", np.concatenate([speech_like(1, RATE), 0.001 * speech_like(5, RATE)], axis=1))
    (tmp_path / "a.mp3").write_bytes(headless(content, tmp_path / "a.mp3"))
    ended = mpeace("denoise", tmp_path / "a.mp3", "-o", tmp_path / "b.wav", "--mix", 0, "--model", tiny_model)
    assert ended.status == 0
    assert not ended.problems
    assert abs(read(tmp_path / "b.wav").shape[1] - 6 * RATE) < 2 * 1152
    assert (
        mpeace("denoise", tmp_path / "a.mp3", "-o", tmp_path / "b.mp3", "--mix", 0, "--model", tiny_model).status == 0
    )
    assert (tmp_path / "b.mp3").stat().st_size == pytest.approx((tmp_path / "a.mp3").stat().st_size, rel=0.3)


def test_joined_mp3_are_read_one_after_the_other(tmp_path: Path, tiny_model: Path) -> None:
    parts = [speech_like(1, RATE, seed=seed) for seed in range(3)]
    content = [mp3(tmp_path / "a.mp3", part) for part in parts]
    alone = np.concatenate([_decoded(tmp_path, part) for part in content], axis=1)
    joined = tmp_path / "joined.mp3"
    joined.write_bytes(b"".join(content))
    np.testing.assert_array_equal(whole(joined), alone)
    assert alone.shape == (1, 3 * RATE)
    ended = mpeace("denoise", joined, "-o", tmp_path / "b.wav", "--mix", 0, "--model", tiny_model)
    assert ended.problems == [f"mpeace: {joined}: note: 3 recordings, joined in one file: all are read"]
    assert read(tmp_path / "b.wav").shape[1] == 3 * RATE


def test_joined_mp3_of_other_rates_and_channels_become_alike(tmp_path: Path) -> None:
    first, second = speech_like(1, 22_050), speech_like(1, RATE, channels=2)
    joined = tmp_path / "joined.mp3"
    joined.write_bytes(mp3(tmp_path / "a.mp3", first, 22_050) + mp3(tmp_path / "a.mp3", second))
    audio = whole(joined)
    assert audio.shape == (2, 2 * RATE)
    np.testing.assert_array_equal(audio[0, :RATE], audio[1, :RATE])
    assert np.corrcoef(audio[0, :RATE:2], first[0])[0, 1] > 0.95
    assert np.corrcoef(audio[1, RATE:], second[1])[0, 1] > 0.95


def test_tags_of_an_mp3_are_no_sound_and_junk_is_reported(tmp_path: Path) -> None:
    content = mp3(tmp_path / "a.mp3", speech_like(1, RATE))
    id3v1 = b"TAG".ljust(128, b"\0")
    ape = struct.pack("<8sIIII8x", b"APETAGEX", 2000, 32 + 9, 1, 1 << 31)  # a footer, with one item before it
    item = struct.pack("<II", 1, 0) + b"K" * 1
    for path, tail in (("t.mp3", id3v1), ("u.mp3", item + ape + id3v1), ("v.mp3", bytes(4096))):
        (tmp_path / path).write_bytes(content + tail)
        reader = SoundReader(tmp_path / path)
        assert (reader.frames, reader.notes) == (RATE, [])
        reader.close()
    middle = mp3_frames.scan(tmp_path / "a.mp3").recordings[0]
    cut = middle.ranges[0][0] + 20 * (middle.ranges[0][1] - middle.ranges[0][0]) // middle.frames
    (tmp_path / "w.mp3").write_bytes(content[:cut] + b"junk" * 500 + content[cut:])
    scanned = mp3_frames.scan(tmp_path / "w.mp3")
    assert 2000 <= scanned.junk < 2000 + 2 * 1044, "the junk, and at most the frame that it tears"


def test_what_libmpg123_says_does_not_reach_the_terminal(tmp_path: Path, tiny_model: Path) -> None:
    content = mp3(tmp_path / "a.mp3", speech_like(2, RATE))
    damaged = bytearray(content)
    damaged[2000:2600] = bytes(range(256)) * 2 + bytes(88)
    (tmp_path / "a.mp3").write_bytes(bytes(damaged) + b"more junk" * 1000)
    (tmp_path / "b.mp3").write_bytes(b"\x1aE\xdf\xa3" + b"no MP3 " * 20_000)
    for name in ("a.mp3", "b.mp3"):
        process = start("denoise", tmp_path / name, "-o", tmp_path / f"{name}.wav", "--model", tiny_model, "--salvage")
        lines = process.communicate()[1].decode().splitlines()
        assert all(line.startswith(("mpeace: ", str(tmp_path))) for line in lines), lines
        assert process.returncode == (name == "b.mp3")


def _decoded(folder: Path, content: bytes) -> np.ndarray:
    (folder / "alone.mp3").write_bytes(content)
    return read(folder / "alone.mp3")


def test_a_wav_whose_recorder_lost_its_power(tmp_path: Path, tiny_model: Path) -> None:
    audio = speech_like(1, 48_000)
    for suffix in ("wav", "aiff", "w64", "caf"):
        source = write(tmp_path / f"a.{suffix}", audio)
        half = write(tmp_path / f"half.{suffix}", audio[:, :24_000])
        header = source.stat().st_size - 96_000
        source.write_bytes(half.read_bytes()[:header] + source.read_bytes()[header:])
        with pytest.raises(FileError, match=r"says 48\d+ bytes of sound, and 48\d+ bytes follow it"):
            SoundReader(source)
        taken = whole(source, salvage=True)
        np.testing.assert_allclose(taken, audio, atol=2.0**-15)
    output = tmp_path / "out.wav"
    assert (
        mpeace("denoise", tmp_path / "a.wav", "-o", output, "--salvage", "--mix", 0, "--model", tiny_model).status == 0
    )
    assert read(output).shape == (1, 48_000)


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_joined_ogg_are_read_one_after_the_other(tmp_path: Path, tiny_model: Path, subtype: str) -> None:
    content = []
    for number, (rate, channels) in enumerate(((48_000, 1), (48_000, 1), (16_000, 2))):
        path = tmp_path / f"{number}.ogg"
        soundfile.write(path, speech_like(0.5, rate, channels).T, rate, format="OGG", subtype=subtype)
        content.append(path.read_bytes())
    alone = read(tmp_path / "0.ogg")
    for name, parts in (("same.ogg", content[:1] * 2), ("other.ogg", content)):
        joined = tmp_path / name
        joined.write_bytes(b"".join(parts))
        audio = whole(joined)
        assert audio.shape == (1 + (name == "other.ogg"), len(parts) * 24_000)
        np.testing.assert_array_equal(audio[:1, :24_000], alone)
    np.testing.assert_array_equal(whole(tmp_path / "same.ogg")[:, 24_000:], alone)
    ended = mpeace("denoise", joined, "-o", tmp_path / "b.wav", "--mix", 0, "--model", tiny_model)
    assert ended.problems == [f"mpeace: {joined}: note: 3 recordings, joined in one file: all are read"]


def test_joined_flac_are_read_one_after_the_other(tmp_path: Path, tiny_model: Path) -> None:
    parts = [write(tmp_path / f"{rate}.flac", speech_like(0.5, rate), rate) for rate in (48_000, 16_000)]
    joined = tmp_path / "joined.flac"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    audio = whole(joined)
    assert audio.shape == (1, 48_000)
    np.testing.assert_array_equal(audio[:, :24_000], read(parts[0]))
    ended = mpeace("denoise", joined, "-o", tmp_path / "b.flac", "--mix", 0, "--model", tiny_model)
    assert ended.problems == [f"mpeace: {joined}: note: 2 recordings, joined in one file: all are read"]
    assert read(tmp_path / "b.flac").shape == (1, 48_000)


def test_joined_recordings_of_two_and_six_channels_are_refused(tmp_path: Path) -> None:
    parts = [write(tmp_path / f"{count}.flac", speech_like(0.1, RATE, channels=count), RATE) for count in (2, 6)]
    (tmp_path / "joined.flac").write_bytes(b"".join(part.read_bytes() for part in parts))
    with pytest.raises(FileError, match="its recordings have 2 and 6 channels; take the file apart"):
        whole(tmp_path / "joined.flac")


@pytest.mark.parametrize("suffix", ["wav", "aiff", "caf", "w64", "rf64", "au"])
def test_what_is_joined_to_a_file_of_chunks_is_reported(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"a.{suffix}", speech_like(0.5, 48_000), subtype="PCM_16")
    path.write_bytes(path.read_bytes() * 2)
    with pytest.raises(FileError, match=r"its header says 480\d+ bytes of sound, and \d{5} bytes follow it"):
        SoundReader(path)


def test_a_second_chunk_of_sound_is_reported_and_the_first_is_read(tmp_path: Path) -> None:
    sound = np.round(32_768 * speech_like(0.5, 48_000)) / 32_768
    content = write(tmp_path / "a.wav", sound, subtype="PCM_16").read_bytes()
    content += content[content.index(b"data") :]
    path = tmp_path / "two.wav"
    path.write_bytes(content[:4] + struct.pack("<I", len(content) - 8) + content[8:])
    np.testing.assert_array_equal(whole(path), np.atleast_2d(sound))
    notes = SoundReader(path).notes
    assert notes == ["48000 bytes of sound in a further chunk are left out: players stop at the first"]


def test_a_chunk_behind_the_sound_of_wave64_is_no_sound(tmp_path: Path, tiny_model: Path) -> None:
    source = write(tmp_path / "a.w64", speech_like(0.5, 48_000))
    plain, tail = source.read_bytes(), bytes.fromhex("f3acd3118cd100c04f8edb8a")
    chunk = b"bext" + tail + struct.pack("<Q", 24 + 608) + b"\x7f" * 608
    content = bytearray(plain + bytes(-len(plain) % 8) + chunk)
    content[16:24] = struct.pack("<Q", len(content))
    before = read(source)
    source.write_bytes(content)
    np.testing.assert_array_equal(whole(source), before)
    output = tmp_path / "b.w64"
    assert mpeace("denoise", source, "-o", output, "--mix", 0, "--model", tiny_model).status == 0
    assert output.read_bytes().count(chunk) == 1
    np.testing.assert_array_equal(whole(output), before)


@pytest.mark.parametrize("padding", [0, 6])  # FFmpeg pads, libsndfile does not
def test_padding_of_wave64_is_no_sound_and_none_is_added(tmp_path: Path, tiny_model: Path, padding: int) -> None:
    source, output = write(tmp_path / "a.w64", speech_like(0.5, 48_000)[:, :4801]), tmp_path / "b.w64"
    before = read(source)
    content = bytearray(source.read_bytes() + bytes(padding))
    content[16:24] = struct.pack("<Q", len(content))
    source.write_bytes(content)
    np.testing.assert_array_equal(whole(source), before)
    assert mpeace("denoise", source, "-o", output, "--mix", 0, "--model", tiny_model).status == 0
    np.testing.assert_array_equal(read(output), before)


@pytest.mark.parametrize("size", [15, 14])
@pytest.mark.parametrize("family", ["RIFF", "RIFX", "FORM"])
def test_odd_chunks_without_padding_do_not_hide_the_sound(
    tmp_path: Path, tiny_model: Path, family: str, size: int
) -> None:
    order = "<" if family == "RIFF" else ">"
    suffix, form = ("aiff", b"AIFF") if family == "FORM" else ("wav", b"WAVE")
    source = tmp_path / f"a.{suffix}"
    endian = "BIG" if order == ">" else "FILE"
    soundfile.write(source, speech_like(0.5, 48_000).T, 48_000, subtype="PCM_16", endian=endian)
    before, content = read(source), source.read_bytes()

    def chunk(name: bytes, length: int) -> bytes:
        return struct.pack(order + "4sI", name, length) + b"x" * length

    odd = chunk(b"abcd", size)
    mark = content.index(b"SSND" if family == "FORM" else b"data")
    parts = form + odd + content[12:mark] + odd + content[mark:] + odd + chunk(b"wxyz", 4)
    source.write_bytes(struct.pack(order + "4sI", family.encode(), len(parts)) + parts)
    np.testing.assert_array_equal(whole(source), before)
    output = tmp_path / f"b.{suffix}"
    ended = mpeace("denoise", source, "-o", output, "--mix", 0, "--model", tiny_model)
    assert (ended.status, ended.problems) == (0, [])
    np.testing.assert_array_equal(read(output), before)
    kept = output.read_bytes()
    assert (kept.count(odd), kept.count(chunk(b"wxyz", 4))) == (3, 1)


def test_a_wav_over_4_gb_whose_size_has_wrapped(tmp_path: Path) -> None:
    path, size = tmp_path / "a.wav", 2**32 + 3 * 96_000
    form = struct.pack("<HHIIHH", 1, 1, 48_000, 96_000, 2, 16)
    header = struct.pack("<4sI4s4sI", b"RIFF", size + 36 - 2**32, b"WAVE", b"fmt ", 16) + form
    with path.open("wb") as file:
        file.write(header + struct.pack("<4sI", b"data", size - 2**32) + np.full(1000, 0.25 * 2**15, "<i2").tobytes())
        file.truncate(44 + size)  # takes no room on the disk
        file.seek(44 + 3 * 96_000)
        file.write(np.full(10_000, 1, "<i2").tobytes())  # no zeros where the sound would end, by its header
    reader = SoundReader(path)
    assert reader.frames == size // 2
    assert "all are read" in reader.notes[0]
    np.testing.assert_array_equal(next(reader.blocks())[0, :1000], 0.25)
    reader.close()
    with path.open("r+b") as file:
        file.seek(44 + size)
        file.write(struct.pack("<4sI", b"iXML", 6) + b"<xml/>")
    assert gather(path, Change(48_000, 48_000)).behind == [(b"iXML", struct.pack("<4sI", b"iXML", 6) + b"<xml/>")]
    assert SoundReader(path).frames == size // 2


@pytest.mark.parametrize("samples", [1, 319, 320, 321, 15_000, 15_040])
def test_gsm_ends_where_its_fact_chunk_says(tmp_path: Path, samples: int) -> None:
    path = write(tmp_path / "a.wav", speech_like(samples / 8000, 8000), 8000, subtype="GSM610")
    content = path.read_bytes()
    fact = content.index(b"fact")
    path.write_bytes(content[: fact + 8] + struct.pack("<I", samples) + content[fact + 12 :])
    audio = whole(path)
    assert audio.shape == (1, samples)
    assert np.abs(audio[:, -300:]).max() < 0.5, "no garbage at the end"


def test_gsm_without_a_fact_has_the_blocks_that_are_there(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", speech_like(47 * 320 / 8000, 8000), 8000, subtype="GSM610")
    content = path.read_bytes()
    fact, data = content.index(b"fact"), content.index(b"data")
    sound = content[data + 8 : data + 8 + 47 * 65]  # an odd number of bytes, which are padded
    path.write_bytes(
        content[:fact] + content[fact + 12 : data] + struct.pack("<4sI", b"data", len(sound)) + sound + b"\0"
    )
    assert whole(path).shape == (1, 47 * 320)


@pytest.mark.parametrize("subtype", ["MS_ADPCM", "IMA_ADPCM"])
def test_adpcm_ends_where_its_fact_chunk_says(tmp_path: Path, subtype: str) -> None:
    path = write(tmp_path / "a.wav", speech_like(0.5, 8000), 8000, subtype=subtype)
    content = path.read_bytes()
    fact = content.index(b"fact")
    path.write_bytes(content[: fact + 8] + struct.pack("<I", 3990) + content[fact + 12 :])
    assert whole(path).shape == (1, 3990)
    path.write_bytes(content[: fact + 8] + struct.pack("<I", 7) + content[fact + 12 :])  # not the blocks' length at all
    assert whole(path).shape[1] >= 4000


@pytest.mark.parametrize("subtype", ["MS_ADPCM", "IMA_ADPCM", "GSM610"])
@pytest.mark.parametrize("suffix", ["wav", "w64"])
def test_sound_in_blocks_is_as_long_again_when_it_was_denoised(
    tmp_path: Path, tiny_model: Path, subtype: str, suffix: str
) -> None:
    """8164 samples are 4.04 blocks of IMA ADPCM of another writer, which libsndfile's have other sizes than."""
    source = write(tmp_path / "a.wav", speech_like(8164 / 8000, 8000), 8000)
    for name in (f"b.{suffix}", f"c.{suffix}"):
        ended = mpeace(
            "denoise", source, "--subtype", subtype, "-o", tmp_path / name, "--mix", 0, "--model", tiny_model
        )
        assert ended.status == 0, ended.stderr
        source = tmp_path / name
        reader = SoundReader(source)
        assert sum(block.shape[1] for block in reader.blocks()) == reader.frames == 8164
        reader.close()


@pytest.mark.parametrize(("subtype", "width"), [("FLOAT", 4), ("DOUBLE", 8)])
def test_floats_in_the_extended_format_of_wave64_are_floats(tmp_path: Path, subtype: str, width: int) -> None:
    """As FFmpeg writes them; libsndfile takes those of 32 bits for integers, which is noise at full scale."""
    audio = speech_like(0.1, RATE, channels=2)
    plain = write(tmp_path / "plain.w64", audio, RATE, subtype=subtype).read_bytes()
    guid = bytes.fromhex("f3acd3118cd100c04f8edb8a")
    code = struct.pack("<H", 3) + bytes.fromhex("0000000010008000 00aa00389b71")
    description = (
        struct.pack("<HHIIHHHHI", 0xFFFE, 2, RATE, RATE * 2 * width, 2 * width, 8 * width, 22, 8 * width, 3) + code
    )
    fmt = b"fmt " + guid + struct.pack("<Q", 24 + len(description)) + description
    data = plain.index(b"data" + guid)
    content = plain[:40] + fmt + plain[data:]
    path = tmp_path / "a.w64"
    path.write_bytes(content[:16] + struct.pack("<Q", len(content)) + content[24:])
    assert SoundReader(path).encoding.subtype == subtype
    np.testing.assert_array_equal(whole(path), audio)


def test_a_wave64_from_a_pipe_is_read_to_its_end(tmp_path: Path) -> None:
    """FFmpeg leaves the largest sizes there are where it cannot go back."""
    audio = speech_like(0.1, RATE, channels=2)[:, :4408]
    path = write(tmp_path / "a.w64", audio, RATE, subtype="PCM_16")
    content = path.read_bytes()
    data = content.index(b"data") + 16
    most = struct.pack("<Q", 2**63 - 1)
    path.write_bytes(content[:16] + most + content[24:data] + most + content[data + 8 :])
    np.testing.assert_allclose(whole(path), audio, atol=1e-4)
