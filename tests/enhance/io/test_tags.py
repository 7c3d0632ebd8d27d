"""What lies beside the sound is kept: tags, cover, chapters, cue points."""

import struct
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile
from command import mpeace, read, write
from denoised import denoised
from helpers import speech_like
from mutagen.flac import FLAC, CueSheet, CueSheetTrack, MetadataBlock, Picture
from mutagen.id3 import APIC, CHAP, CTOC, ID3, TIT2, TPE1, CTOCFlags
from mutagen.oggopus import OggOpus
from mutagen.oggvorbis import OggVorbis
from mutagen.wave import WAVE

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


def test_a_flac_of_32_bits_keeps_its_tags_pictures_and_chapters(tmp_path: Path, tiny_model: Path) -> None:
    source, target = tmp_path / "a.flac", tmp_path / "b.flac"
    with av.open(str(source), "w") as out:
        stream: Any = out.add_stream("flac", rate=48_000, layout="mono", options={"strict": "experimental"})
        stream.codec_context.format = "s32"
        sound = (2**30 * speech_like(0.05, 48_000)).astype(np.int32)
        frame = av.AudioFrame.from_ndarray(sound, "s32", "mono")
        frame.sample_rate, frame.pts = 48_000, 0
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    tagged: Any = FLAC(source)
    if tagged.info.bits_per_sample != 32:
        pytest.skip("this FFmpeg writes no FLAC of 32 bits")
    tagged.clear()
    tagged.update({"title": ["Title"], "own": ["mine"], "chapter001": ["00:00:00.000"], "chapter001name": ["First"]})
    tagged.add_picture(picture())
    tagged.save()
    ended = mpeace("denoise", source, "-o", target, "--model", tiny_model)
    assert ended.status == 0
    assert ended.problems == [f"mpeace: {source}: note: flac became PCM_24"]
    kept: Any = FLAC(target)
    assert dict(kept) == dict(tagged)
    assert [cover.data for cover in kept.pictures] == [COVER]


def test_all_pictures_of_a_flac_are_kept_when_none_is_described(tmp_path: Path, tiny_model: Path) -> None:
    source = write(tmp_path / "a.flac", speech_like(0.2, 48_000))
    tagged: Any = FLAC(source)
    for kind in (3, 4, 8):
        cover = picture()
        cover.type, cover.desc, cover.data = kind, "", COVER + bytes([kind])
        tagged.add_picture(cover)
    tagged.save()
    for suffix in ("mp3", "wav"):
        target = tmp_path / f"b.{suffix}"
        assert mpeace("denoise", source, "-o", target, "--model", tiny_model).status == 0
        kept: Any = ID3(target) if suffix == "mp3" else WAVE(target).tags
        assert {int(frame.type): frame.data for frame in kept.getall("APIC")} == {
            kind: COVER + bytes([kind]) for kind in (3, 4, 8)
        }


def test_blocks_of_a_flac_without_comments_stay_as_long_as_they_are_true(tmp_path: Path, tiny_model: Path) -> None:
    source = write(tmp_path / "a.flac", speech_like(0.5, 48_000))
    tagged: Any = FLAC(source)
    sheet = CueSheet(None)
    sheet.tracks.append(CueSheetTrack(1, 12_000))
    blocks: list[Any] = [MetadataBlock(name + bytes(20)) for name in (b"riff", b"ATCH")]
    for block in blocks:
        block.code = 2
    tagged.metadata_blocks += [sheet, *blocks]
    tagged.save()
    kept: Any = FLAC(denoised(source, tiny_model))
    assert kept.cuesheet.tracks[0].start_offset == 12_000
    assert [block.data for block in kept.metadata_blocks if block.code == 2] == [block.data for block in blocks]
    output = tmp_path / "b.flac"
    ended = mpeace("denoise", source, "-o", output, "--model", tiny_model, "--sample-rate", 16_000)
    assert ended.problems == [f"mpeace: {source}: note: left out, since they describe the old sound: riff"]
    kept = FLAC(output)
    assert kept.cuesheet.tracks[0].start_offset == 4000
    assert [block.data[:4] for block in kept.metadata_blocks if block.code == 2] == [b"ATCH"]


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


def test_an_mp3_with_an_id3v1_tag_alone_keeps_it(tmp_path: Path, tiny_model: Path) -> None:
    source = write(tmp_path / "a.mp3", speech_like(0.5, 48_000))
    fields = (b"Title", b"Artist", b"Album")
    tag = (
        b"TAG" + b"".join(field.ljust(30, b"\0") for field in fields) + b"1999" + b"what I say".ljust(30, b"\0") + b"\1"
    )
    source.write_bytes(source.read_bytes() + tag)
    output = denoised(source, tiny_model)
    assert output.read_bytes()[-128:] == tag
    kept = ID3(output)
    assert [str(kept[name]) for name in ("TIT2", "TPE1", "TALB", "COMM::eng")] == [
        "Title",
        "Artist",
        "Album",
        "what I say",
    ]


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
