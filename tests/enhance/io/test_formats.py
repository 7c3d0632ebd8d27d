"""What lies beside the sound is kept: tags, cover, chapters, cue points, bitrate; integers come back as they were."""

import struct
from pathlib import Path
from typing import Any

import mutagen
import numpy as np
import pytest
import soundfile
from command import mpeace, read, write
from helpers import speech_like
from mutagen.flac import FLAC, CueSheet, CueSheetTrack, Picture
from mutagen.id3 import APIC, CHAP, CTOC, ID3, TIT2, TPE1, CTOCFlags
from mutagen.mp3 import MP3, BitrateMode
from mutagen.oggopus import OggOpus
from mutagen.oggvorbis import OggVorbis

from enhance.io.bitrate import match_compression
from enhance.io.formats import Encoding, choose_encoding, fit_size
from enhance.io.sound.chunk_copy import append, gather
from enhance.io.sound.chunk_values import Change
from enhance.io.sound.riff_chunks import loss
from enhance.utils.errors import FileError

COVER = b"\x89PNG\r\n\x1a\n" + bytes(range(256))


def picture() -> Picture:
    cover = Picture()
    cover.type, cover.mime, cover.desc, cover.data = 3, "image/png", "front", COVER
    return cover


def id3() -> ID3:
    """A tag with a cover and a chapter."""
    tag = ID3()
    tag.add(TIT2(3, ["Tïtle"]))
    tag.add(TPE1(3, ["Artist"]))
    tag.add(APIC(3, "image/png", 3, "front", COVER))
    tag.add(CHAP("c1", 0, 400, sub_frames=[TIT2(3, ["First"])]))
    tag.add(CTOC("toc", CTOCFlags.TOP_LEVEL | CTOCFlags.ORDERED, ["c1"]))
    return tag


def denoised(source: Path, tiny_model: Path, *options: object) -> Path:
    output = source.with_name("out" + source.suffix)
    ended = mpeace("denoise", source, "-o", output, "--model", tiny_model, *options)
    assert ended.status == 0, ended.stderr
    assert not ended.problems
    return output


def test_promise_03_flac_keeps_tags_cover_chapters_and_cue_sheet(tmp_path: Path, tiny_model: Path) -> None:
    source = write(tmp_path / "a.flac", speech_like(0.5, 48_000))
    tagged: Any = FLAC(source)
    tagged["title"], tagged["CHAPTER001"], tagged["x-own"] = "Tïtle", "00:00:00.000", ["one", "two"]
    tagged.add_picture(picture())
    sheet = CueSheet(None)
    sheet.tracks.append(CueSheetTrack(1, 12_000))
    tagged.metadata_blocks.append(sheet)
    tagged.save()
    kept: Any = FLAC(denoised(source, tiny_model))
    assert kept.cuesheet is not None
    assert kept.cuesheet.tracks[0].start_offset == 12_000
    assert dict(kept.tags) == dict(tagged.tags)
    assert [cover.data for cover in kept.pictures] == [COVER]


@pytest.mark.parametrize(("subtype", "kind"), [("VORBIS", OggVorbis), ("OPUS", OggOpus)])
def test_promise_03_ogg_keeps_tags_cover_and_chapters(
    tmp_path: Path, tiny_model: Path, subtype: str, kind: type[OggVorbis]
) -> None:
    source = write(tmp_path / "a.ogg", speech_like(0.5, 48_000), format="OGG", subtype=subtype)
    tagged = kind(source)
    tagged["title"], tagged["CHAPTER001"] = "Tïtle", "00:00:00.000"
    tagged.save()
    flac = write(tmp_path / "b.flac", speech_like(0.5, 48_000))
    with_cover = FLAC(flac)
    with_cover["title"] = "Tïtle"
    with_cover.add_picture(picture())
    with_cover.save()
    kept = kind(denoised(source, tiny_model))
    assert dict(kept.tags) == dict(tagged.tags)  # type: ignore[arg-type]
    # from one container of Vorbis comments to another, and the cover with it
    assert mpeace("denoise", flac, "--format", "ogg", "--model", tiny_model).status == 0
    moved = OggVorbis(tmp_path / "b_denoised.ogg")
    assert moved["title"] == ["Tïtle"]
    assert "metadata_block_picture" in moved


def test_promise_03_mp3_keeps_its_tag_with_cover_and_chapters(tmp_path: Path, tiny_model: Path) -> None:
    for version in (3, 4):
        source = write(tmp_path / "a.mp3", speech_like(0.5, 48_000))
        id3().save(source, v2_version=version)
        output = denoised(source, tiny_model)
        kept, was = ID3(output), ID3(source)
        assert kept.version == was.version == (2, version, 0)
        assert {key: repr(frame) for key, frame in kept.items()} == {key: repr(frame) for key, frame in was.items()}
        output.unlink()


def riff(path: Path, *chunks: tuple[bytes, bytes]) -> Path:
    """Append chunks to a WAV file."""
    content = path.read_bytes()
    for name, body in chunks:
        content += struct.pack("<4sI", name, len(body)) + body + bytes(len(body) % 2)
    path.write_bytes(content[:4] + struct.pack("<I", len(content) - 8) + content[8:])
    return path


CHUNKS = (
    (b"bext", b"Broadcast".ljust(602, b"\0")),
    (b"LIST", b"INFOINAM\x06\0\0\0Title\0"),
    (b"cue ", struct.pack("<IIIII4sII", 1, 1, 1000, 0, 0, b"data", 0, 1000)[:28]),
    (b"LIST", b"adtllabl\x0a\0\0\0\x01\0\0\0Intro\0"),
    (b"iXML", b"<BWFXML/>\n "),
)


def test_promise_03_wav_keeps_broadcast_data_cue_points_and_strings(tmp_path: Path, tiny_model: Path) -> None:
    source = riff(write(tmp_path / "a.wav", speech_like(0.5, 48_000)), *CHUNKS)
    output = denoised(source, tiny_model)
    content = output.read_bytes()
    for name, body in CHUNKS:
        assert content.count(struct.pack("<4sI", name, len(body)) + body) == 1, name
    assert struct.unpack("<I", content[4:8]) == (len(content) - 8,)
    with soundfile.SoundFile(output) as file:
        assert file.title == "Title"
        assert file.frames == 24_000
    changed = denoised(source, tiny_model, "--sample-rate", 16_000, "--if-exists", "overwrite").read_bytes()
    assert struct.pack("<4sIII", b"cue ", 28, 1, 1) + struct.pack("<I", 333) in changed, "sample 1000 of the old rate"
    assert b"INAM" in changed


def test_promise_03_strings_move_between_containers(tmp_path: Path, tiny_model: Path) -> None:
    for suffix in ("wav", "aiff", "flac", "caf"):
        with soundfile.SoundFile(tmp_path / f"a.{suffix}", "w", 48_000, 1) as file:
            file.title, file.artist = "Title", "Artist"
            file.write(speech_like(0.2, 48_000)[0])
    for source, target in (("wav", "flac"), ("flac", "wav"), ("aiff", "mp3"), ("flac", "caf"), ("caf", "caf")):
        output = tmp_path / f"{source}-{target}.{target}"
        assert mpeace("denoise", tmp_path / f"a.{source}", "-o", output, "--model", tiny_model).status == 0
        with soundfile.SoundFile(output) as file:
            assert (file.title, file.artist) == ("Title", "Artist"), output.name


def test_tags_that_are_broken_do_not_stop_the_sound(tmp_path: Path, tiny_model: Path) -> None:
    source = write(tmp_path / "a.ogg", speech_like(0.2, 48_000))
    tagged = OggVorbis(source)
    tagged["metadata_block_picture"] = "no picture"
    tagged.save()
    ended = mpeace("denoise", source, "--model", tiny_model)
    assert ended.status == 0
    assert "note: its tags cannot be read" in ended.problems[0]
    assert read(tmp_path / "a_denoised.ogg").shape == (1, 9600)


@pytest.mark.parametrize("kilobits", [64, 128, 320])
def test_mp3_comes_back_at_its_bitrate(tmp_path: Path, tiny_model: Path, kilobits: int) -> None:
    level = (320 - kilobits) / 288
    with soundfile.SoundFile(
        tmp_path / "a.mp3", "w", 44_100, 2, format="MP3", compression_level=level, bitrate_mode="CONSTANT"
    ) as file:
        file.write(speech_like(3, 44_100, 2).T)
    before: Any = MP3(tmp_path / "a.mp3").info
    after: Any = MP3(denoised(tmp_path / "a.mp3", tiny_model)).info
    assert (before.bitrate, after.bitrate) == pytest.approx((1000 * kilobits,) * 2, rel=1e-3)
    assert after.bitrate_mode is BitrateMode.CBR


@pytest.mark.parametrize(("suffix", "subtype"), [("ogg", "VORBIS"), ("opus", "OPUS")])
def test_ogg_comes_back_at_about_its_bitrate(tmp_path: Path, tiny_model: Path, suffix: str, subtype: str) -> None:
    sizes = []
    for level in (0.1, 0.9):
        source = tmp_path / f"{level}.{suffix}"
        with soundfile.SoundFile(
            source, "w", 48_000, 1, format="OGG", subtype=subtype, compression_level=level
        ) as file:
            file.write(speech_like(5, 48_000)[0])
        output = denoised(source, tiny_model)
        assert 0.7 < output.stat().st_size / source.stat().st_size < 1.4
        sizes.append(output.stat().st_size)
        output.unlink()
    assert sizes[0] > 2 * sizes[1]


def test_variable_bitrate_follows_the_input() -> None:
    levels = [match_compression("MPEG_LAYER_III", rate, 2, 44_100, "VARIABLE").level for rate in (64e3, 130e3, 245e3)]
    assert levels == sorted(levels, reverse=True)  # type: ignore[type-var]
    assert levels[0] == pytest.approx(0.9)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24"])
def test_integer_samples_come_back_bit_for_bit(tmp_path: Path, tiny_model: Path, subtype: str) -> None:
    source = write(tmp_path / "a.wav", np.linspace(-1, 1, 48_000), subtype=subtype)
    output = denoised(source, tiny_model, "--mix", "0")
    assert output.read_bytes() == source.read_bytes()


def test_silence_stays_silence(tmp_path: Path, tiny_model: Path) -> None:
    source = write(tmp_path / "a.wav", np.zeros((1, 44_100)), 44_100)
    assert not read(denoised(source, tiny_model)).any()


def test_wav_beyond_4_gb_becomes_rf64() -> None:
    pair = Encoding("WAV", "FLOAT")
    assert fit_size(pair, 500_000_000, 2) == pair
    assert fit_size(pair, 550_000_000, 2).major == "RF64"
    assert fit_size(Encoding("FLAC", "PCM_24"), 2**32, 2).major == "FLAC"
    with pytest.raises(FileError, match="4 GB"):
        fit_size(Encoding("AIFF", "PCM_24"), 2**31, 2)


def test_encodings_that_a_container_lacks_are_replaced_by_the_nearest() -> None:
    from enhance.io.formats import CONTAINERS

    def chosen(subtype: str, name: str) -> str:
        return choose_encoding(Encoding("WAV", subtype), CONTAINERS[name], None).subtype

    assert chosen("PCM_16", "flac") == "PCM_16"
    assert chosen("DOUBLE", "flac") == "PCM_24"
    assert chosen("PCM_32", "flac") == "PCM_24"
    assert chosen("MPEG_LAYER_III", "wav") == "PCM_16"
    assert chosen("PCM_24", "opus") == "OPUS"


@pytest.mark.parametrize("suffix", ["wav", "aiff", "caf", "w64", "rf64"])
def test_chunks_survive_the_copy(tmp_path: Path, suffix: str) -> None:
    """A copy into a file of the same kind leaves it whole and readable."""
    source = write(tmp_path / f"a.{suffix}", speech_like(0.1, 48_000))
    target = write(tmp_path / f"b.{suffix}", speech_like(0.1, 48_000, seed=1))
    with soundfile.SoundFile(tmp_path / f"c.{suffix}", "w", 48_000, 1) as file:
        if suffix != "w64":
            file.title = "Title"
        file.write(speech_like(0.1, 48_000)[0])
    before = read(target)
    for other in (source, tmp_path / f"c.{suffix}"):
        append(gather(other, Change(48_000, 48_000)), target, front_is_written=False)
        np.testing.assert_array_equal(read(target), before)
        assert loss(target) == loss(source)
        assert loss(target).absent == 0
    with soundfile.SoundFile(target) as file:
        assert suffix in ("w64", "caf") or file.title == "Title"


def test_the_recording_of_the_readme_can_be_denoised(tmp_path: Path, tiny_model: Path) -> None:
    source = Path(__file__).parents[2] / "data" / "noisy.flac"
    assert mpeace("denoise", source, "-o", tmp_path / "cleaned.flac", "--model", tiny_model).status == 0
    assert mutagen.File(tmp_path / "cleaned.flac").info.length == 5.0  # type: ignore[union-attr]
