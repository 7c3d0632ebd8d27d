"""Tags that move between containers of two kinds keep their fields, and a note names what stays behind."""

import itertools
import struct
from pathlib import Path
from typing import Any

import pytest
import soundfile
from command import Ended, mpeace, write
from helpers import speech_like
from mutagen.flac import FLAC
from mutagen.id3 import APIC, CHAP, ID3, POPM, TALB, TCON, TDRC, TIT2, TPE1, TPE2, TSRC, TXXX, USLT, WXXX
from mutagen.mp4 import MP4, MP4Cover
from mutagen.oggopus import OggOpus
from mutagen.wave import WAVE

from enhance.io.tag_fields import from_general, from_id3, to_id3

COVER = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
FIELDS = {
    "title": ["Gespräch mit Jürgen"],
    "artist": ["Anna", "Jürgen"],
    "date": ["2024-05-03"],
    "albumartist": ["Both"],
    "composer": ["Carla"],
    "discnumber": ["1/2"],
    "genre": ["Rock"],
    "lyrics": ["La la"],
    "comment": ["Quite good"],
    "bpm": ["120"],
    "isrc": ["DEAB12400001"],
    "x-own": ["one", "two"],
}


def moved(source: Path, target: Path, model: Path) -> Ended:
    ended = mpeace("denoise", source, "-o", target, "--model", model)
    assert ended.status == 0, ended.stderr
    return ended


def tagged_mp3(path: Path) -> Path:
    write(path, speech_like(0.5, 48_000))
    tag = ID3()
    for frame in (
        *(TIT2(3, ["Tïtle"]), TPE1(3, ["Anna", "Jürgen"]), TPE2(3, ["Both"]), TALB(3, ["Album"]), TCON(0, ["(17)"])),
        *(TDRC(3, ["2024-05-03"]), TSRC(3, ["DEAB12400001"]), USLT(3, "eng", "", "La la"), TXXX(3, "Own", ["mine"])),
        *(CHAP("c1", 0, 400, sub_frames=[TIT2(3, ["First"])]), CHAP("c2", 61_400, 90_000, sub_frames=[])),
        *(APIC(3, "image/png", 3, "front", COVER), POPM("me", 5)),
    ):
        tag.add(frame)
    tag.save(path)
    return path


def test_fields_are_the_same_after_id3() -> None:
    assert from_id3(to_id3(FIELDS)) == (FIELDS, [])
    assert from_id3(to_id3({})) == ({}, [])
    chapters = {"chapter001": ["01:01:01.400"], "chapter001name": ["First"], "chapter002": ["02:00:00.000"]}
    tag = to_id3(chapters, 7300.0)
    assert [(chapter.start_time, chapter.end_time) for chapter in tag.getall("CHAP")] == [
        (3_661_400, 7_200_000),
        (7_200_000, 7_300_000),
    ]
    assert from_id3(tag)[0] == {**chapters, "chapter002name": [""]}
    kept = to_id3({"tracknumber": ["3"], "tracktotal": ["9"], "date": ["once in May"], "chapter001": ["at noon"]})
    assert str(kept["TRCK"]) == "3/9"
    assert [str(kept[f"TXXX:{name}"]) for name in ("date", "chapter001")] == ["once in May", "at noon"]


def test_chapters_keep_their_links_and_a_note_names_their_pictures() -> None:
    tag = ID3()
    inside = [TIT2(3, ["First"]), WXXX(3, "", "https://host/a"), APIC(3, "image/png", 3, "", COVER)]
    tag.add(CHAP("c1", 0, 400, sub_frames=inside))
    tag.add(CHAP("c2", 400, 900, sub_frames=[TIT2(3, ["Second"]), APIC(3, "image/png", 3, "", COVER)]))
    fields, lost = from_id3(tag)
    assert fields["chapter001url"] == ["https://host/a"]
    assert lost == ["APIC of chapters"]
    again = to_id3(fields)
    assert [chapter.sub_frames.getall("WXXX") for chapter in again.getall("CHAP")] == [["https://host/a"], []]
    assert again.getall("TXXX") == []
    assert from_id3(again) == (fields, [])


def test_two_names_of_one_field_keep_a_text_each(tmp_path: Path, tiny_model: Path) -> None:
    source = write(tmp_path / "a.flac", speech_like(0.2, 48_000))
    tagged: Any = FLAC(source)
    tagged.update({"YEAR": ["2024"], "DATE": ["2024-05-03"], "PUBLISHER": ["House"], "ORGANIZATION": ["Label"]})
    tagged.save()
    moved(source, tmp_path / "b.mp3", tiny_model)
    assert from_id3(ID3(tmp_path / "b.mp3"))[0] == {
        "date": ["2024-05-03"],
        "year": ["2024"],
        "organization": ["Label"],
        "publisher": ["House"],
    }
    told = {"date": "2024-05-03", "year": "2024"}
    assert from_general(told) == from_general(dict(reversed(told.items()))) == ({"date": ["2024-05-03"]}, ["year"], [])


def test_comments_become_an_id3_tag_that_every_player_reads(tmp_path: Path, tiny_model: Path) -> None:
    source = write(tmp_path / "a.flac", speech_like(0.5, 48_000))
    tagged: Any = FLAC(source)
    tagged.update(FIELDS)
    tagged.save()
    for suffix in ("mp3", "wav"):
        target = tmp_path / f"b.{suffix}"
        assert not moved(source, target, tiny_model).problems
        kept: Any = ID3(target) if suffix == "mp3" else WAVE(target).tags
        assert from_id3(kept) == (FIELDS, [])
    problems = moved(source, tmp_path / "b.caf", tiny_model).problems
    assert len(problems) == 1
    place, names = problems[0].split(": note: ")[1].split(": ")
    assert place == "left out, since CAF has no place for them"
    assert set(names.split(", ")) == {"albumartist", "composer", "discnumber", "lyrics", "bpm", "isrc", "x-own"}


@pytest.mark.parametrize(("suffix", "kind"), [("flac", FLAC), ("opus", OggOpus)])
def test_an_id3_tag_becomes_comments_with_its_chapters(
    tmp_path: Path, tiny_model: Path, suffix: str, kind: type[Any]
) -> None:
    source = tagged_mp3(tmp_path / "a.mp3")
    target = tmp_path / f"b.{suffix}"
    (problem,) = moved(source, target, tiny_model).problems
    assert problem.endswith("has no place for them: POPM")
    kept = {key.lower(): texts for key, texts in kind(target).items()}
    kept.pop("metadata_block_picture", None)
    assert kept == {
        "title": ["Tïtle"],
        "artist": ["Anna", "Jürgen"],
        "albumartist": ["Both"],
        "album": ["Album"],
        "genre": ["Rock"],
        "date": ["2024-05-03"],
        "isrc": ["DEAB12400001"],
        "lyrics": ["La la"],
        "own": ["mine"],
        "chapter001": ["00:00:00.000"],
        "chapter001name": ["First"],
        "chapter002": ["00:01:01.400"],
    }


@pytest.mark.parametrize("suffix", ["wav", "w64", "aiff"])
def test_chunks_that_a_container_has_no_place_for_are_named(tmp_path: Path, tiny_model: Path, suffix: str) -> None:
    with soundfile.SoundFile(tmp_path / f"a.{suffix}", "w", 48_000, 1) as file:
        if suffix != "w64":
            file.title = "Title"
        file.write(speech_like(0.5, 48_000)[0])
    source, name = tmp_path / f"a.{suffix}", b"MARK" if suffix == "aiff" else b"bext"
    tail = bytes.fromhex("f3acd3118cd100c04f8edb8a") if suffix == "w64" else b""
    content = bytearray(source.read_bytes())
    size = struct.pack({"wav": "<I", "w64": "<Q", "aiff": ">I"}[suffix], 602 + 24 * (suffix == "w64"))
    content += bytes(-len(content) % 8 * bool(tail)) + name + tail + size + bytes(602)
    if not tail:
        content[4:8] = struct.pack(">I" if suffix == "aiff" else "<I", len(content) - 8)
    source.write_bytes(content)
    (problem,) = moved(source, tmp_path / "b.flac", tiny_model).problems
    assert problem.endswith(f": note: left out, since FLAC has no place for them: {name.decode()}")
    assert suffix == "w64" or FLAC(tmp_path / "b.flac")["title"] == ["Title"]


def test_tags_of_m4a_go_into_a_sound_file(tmp_path: Path, tiny_model: Path) -> None:
    av = pytest.importorskip("av")
    source = tmp_path / "a.m4a"
    with av.open(str(source), "w", format="ipod") as out:
        out.metadata.update({"title": "Tïtle", "album_artist": "Both", "composer": "Carla", "disc": "1/2"})
        track = out.add_stream("aac", rate=48_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(speech_like(0.5, 48_000), "fltp", "mono")
        frame.sample_rate, frame.pts = 48_000, 0
        for packet in itertools.chain(track.encode(frame), track.encode(None)):
            out.mux(packet)
    expected = {"title": ["Tïtle"], "albumartist": ["Both"], "composer": ["Carla"], "discnumber": ["1/2"]}
    assert not moved(source, tmp_path / "b.flac", tiny_model).problems
    assert dict(FLAC(tmp_path / "b.flac")) == expected
    cover: Any = MP4(source)
    cover["covr"] = [MP4Cover(COVER, MP4Cover.FORMAT_PNG)]
    cover.save()
    (problem,) = moved(source, tmp_path / "b.mp3", tiny_model).problems
    assert problem.endswith("note: its cover cannot be carried to a sound file, and is left out")
    assert from_id3(ID3(tmp_path / "b.mp3")) == (expected, [])
