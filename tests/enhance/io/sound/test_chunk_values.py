"""Chunks and tags stay true of the sound: times at its rate, no gain or delay of the old stream; and in their place."""

import struct
from pathlib import Path
from typing import Any

import av
import mutagen
import numpy as np
import pytest
import soundfile
from command import mpeace, read, write
from helpers import speech_like
from mutagen.id3 import COMM, ID3, RVA2, TIT2, TXXX
from mutagen.mp4 import MP4, MP4FreeForm

from enhance.io.sound.chunk_copy import gather
from enhance.io.sound.chunk_values import Change, converted

RATE = 48_000


def chunk(name: bytes, content: bytes, form: str = "<4sI") -> bytes:
    """A chunk with its padding."""
    return struct.pack(form, name, len(content)) + content + bytes(len(content) % 2)


def wav(path: Path, before: bytes = b"", behind: bytes = b"", samples: int = 24_000, pad: bool = True) -> Path:
    """A mono WAV of 16 bits with chunks on both sides of its sound."""
    audio = np.round(speech_like(samples / RATE, RATE)[0] * 2**15).astype("<i2").tobytes()
    form = chunk(b"fmt ", struct.pack("<HHIIHH", 1, 1, RATE, 2 * RATE, 2, 16))
    sound = struct.pack("<4sI", b"data", len(audio)) + audio
    content = b"WAVE" + form + before + sound + behind
    path.write_bytes(b"RIFF" + struct.pack("<I", len(content)) + content)
    return path


def denoised(source: Path, tiny_model: Path, *options: object) -> tuple[bytes, list[str]]:
    """The bytes of the output, and the notes on it."""
    output = source.with_name("out" + source.suffix)
    ended = mpeace("denoise", source, "-o", output, "--model", tiny_model, "--if-exists", "overwrite", *options)
    assert ended.status == 0, ended.stderr
    return output.read_bytes(), [line.split(": note: ")[1] for line in ended.problems]


BEXT = b"Scene 1".ljust(338, b"\0") + struct.pack("<QH", 48_000 * 3600, 2) + bytes(64) + struct.pack("<5h", *range(5))
BEXT = BEXT.ljust(602, b"\0")
CUE = struct.pack("<IIIIIII", 1, 1, 1000, 0x61746164, 0, 0, 1000)
LABEL = (
    b"adtl" + chunk(b"labl", struct.pack("<I", 1) + b"Intro\0") + chunk(b"ltxt", struct.pack("<II4s", 1, 600, b"rgn "))
)
SAMPLER = struct.pack("<9I", 0, 0, round(1e9 / RATE), 60, 0, 0, 0, 1, 0) + struct.pack("<6I", 0, 0, 120, 240, 0, 0)
IXML = (
    b"<BWFXML><SPEED><FILE_SAMPLE_RATE>48000</FILE_SAMPLE_RATE><TIMESTAMP_SAMPLE_RATE>48000</TIMESTAMP_SAMPLE_RATE>"
    b"<TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_HI>1</TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_HI>"
    b"<TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_LO>8</TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_LO></SPEED></BWFXML>"
)


@pytest.mark.parametrize(
    ("subtype", "told"), [("PCM_16", 20), ("PCM_24", 24), ("FLOAT", 32), ("DOUBLE", 64), ("ULAW", 8)]
)
def test_the_depth_in_ixml_is_that_of_the_samples_that_are_written(
    tmp_path: Path, tiny_model: Path, subtype: str, told: int
) -> None:
    """As it was where the samples stay what they are: 20 of 24 bits may be all that a converter gave."""
    xml = IXML.replace(b"</SPEED>", b"<AUDIO_BIT_DEPTH>20</AUDIO_BIT_DEPTH></SPEED>")
    output, notes = denoised(wav(tmp_path / "a.wav", b"", chunk(b"iXML", xml)), tiny_model, "--subtype", subtype)
    assert b"<AUDIO_BIT_DEPTH>%d</AUDIO_BIT_DEPTH>" % told in output
    assert notes == []


def test_chunks_stay_before_the_sound_where_they_were_before_it(tmp_path: Path, tiny_model: Path) -> None:
    before = chunk(b"bext", BEXT) + chunk(b"iXML", IXML)
    behind = chunk(b"cue ", CUE) + chunk(b"LIST", LABEL) + chunk(b"smpl", SAMPLER)
    source = wav(tmp_path / "a.wav", before, behind)
    content, notes = denoised(source, tiny_model, "--mix", 0)
    assert content == source.read_bytes(), "bit for bit, and in the same order"
    assert not notes
    for options in (("--subtype", "FLOAT"), ("--format", "rf64"), ("--subtype", "PCM_24")):
        content, _ = denoised(source, tiny_model, "--mix", 0, *options)
        assert content.count(before) == content.count(behind) == 1
        assert content.index(before) < content.index(b"data") < content.index(behind)
        np.testing.assert_allclose(read(tmp_path / "out.wav"), read(source), atol=1e-7)


def test_chunks_of_odd_sizes_become_an_rf64_and_stay_in_it(tmp_path: Path, tiny_model: Path) -> None:
    """libsndfile finds no sound there behind a chunk of odd size."""
    long, other = BEXT + b"A=PCM", chunk(b"abcd", b"odd")
    xml = IXML + b" " * (len(IXML) % 2 == 0)
    source = wav(tmp_path / "a.wav", chunk(b"bext", long) + chunk(b"iXML", xml) + other)
    content, notes = denoised(source, tiny_model, "--mix", 0, "--format", "rf64")
    assert not notes
    front = chunk(b"bext", long + b"\0") + chunk(b"iXML", xml + b" ")
    assert content.index(front) < content.index(b"data") < content.index(other)
    assert soundfile.info(tmp_path / "out.wav").frames == 24_000
    for name in (b"RF64", b"BW64"):  # as others write it: all three before the sound
        odd = content.replace(front, chunk(b"bext", long) + chunk(b"iXML", xml) + other).removesuffix(other)
        (tmp_path / "b.rf64").write_bytes(name + odd[4:])
        again, notes = denoised(tmp_path / "b.rf64", tiny_model, "--mix", 0)
        assert not notes
        assert front in again
        np.testing.assert_array_equal(read(tmp_path / "out.rf64"), read(source))


def test_chunks_are_kept_where_ffmpeg_reads_the_sound(tmp_path: Path, tiny_model: Path) -> None:
    source = tmp_path / "a.wav"
    with av.open(str(source), "w") as out:
        track = out.add_stream("adpcm_yamaha", rate=RATE, layout="mono")
        sound = np.round(speech_like(0.5, RATE) * 2**15).astype(np.int16)
        for start in range(0, sound.shape[1], 1024):
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound[:, start : start + 1024]), "s16", "mono")
            frame.sample_rate, frame.pts = RATE, start
            out.mux(track.encode(frame))
        out.mux(track.encode(None))
    content = source.read_bytes()
    content = content[:4] + struct.pack("<I", len(content) + 602) + content[8:] + chunk(b"bext", BEXT)
    source.write_bytes(content)
    content, notes = denoised(source, tiny_model, "--mix", 0)
    assert notes == ["adpcm_yamaha became PCM_16"]
    assert chunk(b"bext", BEXT) in content


def test_a_level_that_changed_is_left_out(tmp_path: Path, tiny_model: Path) -> None:
    source = wav(tmp_path / "a.wav", chunk(b"bext", BEXT) + chunk(b"MD5 ", bytes(16)), chunk(b"levl", bytes(200)))
    content, notes = denoised(source, tiny_model)
    assert notes == ["left out, since they describe the old sound: loudness (bext), MD5, levl"]
    assert b"MD5 " not in content
    assert b"levl" not in content
    place = content.index(b"bext") + 8
    assert content[place : place + 412] == BEXT[:412]
    assert content[place + 412 : place + 422] == 5 * b"\xff\x7f", "EBU Tech 3285: not measured"
    for unknown in (content[place : place + 602], BEXT[:412] + bytes(190)):
        assert denoised(wav(tmp_path / "a.wav", chunk(b"bext", unknown)), tiny_model)[1] == [], "none to leave out"


def test_times_move_to_the_new_sample_rate(tmp_path: Path, tiny_model: Path) -> None:
    behind = chunk(b"cue ", CUE) + chunk(b"LIST", LABEL) + chunk(b"smpl", SAMPLER)
    source = wav(tmp_path / "a.wav", chunk(b"bext", BEXT) + chunk(b"iXML", IXML), behind)
    content, _ = denoised(source, tiny_model, "--sample-rate", 16_000)

    def body(name: bytes) -> bytes:
        place = content.index(name)
        return content[place + 8 :][: struct.unpack("<I", content[place + 4 : place + 8])[0]]

    assert struct.unpack("<Q", body(b"bext")[338:346]) == (16_000 * 3600,)
    assert struct.unpack("<IIIIIII", body(b"cue ")) == (1, 1, 333, 0x61746164, 0, 0, 333)
    assert struct.unpack("<II", body(b"ltxt")[:8]) == (1, 200)
    assert b"Intro" in body(b"labl")
    assert struct.unpack("<I", body(b"smpl")[8:12]) == (62_500,)
    assert struct.unpack("<II", body(b"smpl")[44:52]) == (40, 80)
    moved = round((2**32 + 8) / 3)
    assert b"<FILE_SAMPLE_RATE>16000<" in body(b"iXML")
    assert b"<TIMESTAMP_SAMPLE_RATE>16000<" in body(b"iXML")
    assert b"_HI>%d<" % (moved >> 32) in body(b"iXML")
    assert b"_LO>%d<" % (moved & 0xFFFFFFFF) in body(b"iXML")


def test_times_of_ixml_move_without_their_high_half_and_get_one_where_they_need_it() -> None:
    name = b"TIMESTAMP_SAMPLES_SINCE_MIDNIGHT"
    for rates in (b"", b"<TIMESTAMP_SAMPLE_RATE>48000</TIMESTAMP_SAMPLE_RATE>"):
        xml = rates + b"<%s_LO>4000000000</%s_LO>" % (name, name)
        less, more = (converted("wave", b"iXML", xml, Change(48_000, rate)) for rate in (44_100, 96_000))
        assert less == rates.replace(b"48000", b"44100") + b"<%s_LO>3675000000</%s_LO>" % (name, name)
        halves = (name, name, name, 8_000_000_000 - 2**32, name)
        assert more == rates.replace(b"48000", b"96000") + b"<%s_HI>1</%s_HI><%s_LO>%d</%s_LO>" % halves
    xml = b"<SYNC_POINT_LOW>1</SYNC_POINT_LOW><SYNC_POINT_HIGH>0</SYNC_POINT_HIGH><SYNC_POINT_LOW>1</SYNC_POINT_LOW>"
    assert converted("wave", b"iXML", xml, Change(48_000, 44_100)) is None, "left out, with a note"


def test_timers_of_a_radio_spot_move_to_the_new_sample_rate(tmp_path: Path, tiny_model: Path) -> None:
    timers = b"".join(struct.pack("<4sI", name, 6000 * number) for number, name in enumerate((b"INT1", b"SEG1")))
    cart = b"0101" + b"Title".ljust(680, b"\0") + timers.ljust(64, b"\0") + bytes(1300)
    source = wav(tmp_path / "a.wav", chunk(b"cart", cart))
    content, notes = denoised(source, tiny_model, "--sample-rate", 16_000)
    place = content.index(b"cart") + 8
    assert content[place + 684 :][:16] == b"INT1" + bytes(4) + b"SEG1" + struct.pack("<I", 2000)
    assert content[place + 700 :][:1348] == cart[700:]
    assert not notes


def test_times_of_a_big_endian_wav_are_left_out_and_reported() -> None:
    assert converted("wave, big-endian", b"cue ", CUE, Change(48_000, 48_000)) == CUE
    assert converted("wave, big-endian", b"cue ", CUE, Change(48_000, 16_000)) is None


def test_times_of_aiff_and_caf_move_too() -> None:
    change = Change(48_000, 16_000)
    marks = struct.pack(">H", 2) + struct.pack(">HI", 1, 3000) + b"\x03one" + struct.pack(">HI", 2, 6000) + b"\x02to\0"
    moved = converted("aiff", b"MARK", marks, change)
    assert moved is not None
    assert struct.unpack(">HI", moved[2:8]) == (1, 1000)
    assert struct.unpack(">HI", moved[12:18]) == (2, 2000)
    mark = struct.pack(">IdI8xI", 0, 3000.0, 7, 0)
    moved = converted("caf", b"mark", struct.pack(">II", 0, 1) + mark, change)
    assert moved == struct.pack(">II", 0, 1) + struct.pack(">IdI8xI", 0, 1000.0, 7, 0)
    region = struct.pack(">IIIII", 0, 1, 5, 0, 1) + mark
    moved = converted("caf", b"regn", region, change)
    assert moved is not None
    assert struct.unpack_from(">d", moved, 24) == (1000.0,)


@pytest.mark.parametrize("samples", [24_000, 24_001])
def test_odd_chunks_without_padding_keep_what_follows(tmp_path: Path, tiny_model: Path, samples: int) -> None:
    title = struct.pack("<4sI", b"LIST", 15) + b"INFOINAM\x03\0\0\0abc"  # 15 bytes, and no padding behind them
    xml = chunk(b"iXML", IXML)
    source = wav(tmp_path / "a.wav", behind=title + xml, samples=samples)
    names = [name for name, _ in gather(source, Change(RATE, RATE)).behind]
    assert names == [b"LIST", b"iXML"]
    content, _ = denoised(source, tiny_model)
    assert xml in content
    source = wav(tmp_path / "b.wav", before=title, behind=xml, samples=samples)
    assert [name for name, _ in gather(source, Change(RATE, RATE)).behind] == [b"iXML"]
    odd = soundfile.SoundFile(tmp_path / "c.wav", "w", RATE, 1, "PCM_U8")
    odd.write(speech_like(0.1, RATE)[0][:4799])
    odd.close()
    raw = (tmp_path / "c.wav").read_bytes()[: 44 + 4799]
    (tmp_path / "c.wav").write_bytes(raw + xml)  # odd sound, no padding
    content, _ = denoised(tmp_path / "c.wav", tiny_model)
    assert xml in content


def test_gain_and_delay_of_the_old_stream_do_not_describe_the_new_one(tmp_path: Path, tiny_model: Path) -> None:
    told = "left out, since they describe the old sound: "
    mp3 = write(tmp_path / "a.mp3", speech_like(0.5, RATE))
    tags = ID3()
    tags.add(TIT2(3, ["Title"]))
    tags.add(COMM(3, "eng", "iTunSMPB", [" 00000000 00000210 000007A8"]))
    tags.add(TXXX(3, "REPLAYGAIN_TRACK_GAIN", ["-6.5 dB"]))
    tags.add(RVA2("track", 1, -6.5, 1))
    tags.add(COMM(3, "eng", "", ["my comment"]))
    tags.save(mp3)
    _, notes = denoised(mp3, tiny_model)
    assert notes[0].startswith(told)
    kept = ID3(tmp_path / "out.mp3")
    assert sorted(kept) == ["COMM::eng", "TIT2"]
    _, notes = denoised(mp3, tiny_model, "--mix", 0)
    assert notes == [told + "iTunSMPB"], "the level is the same, the encoder's delay is not"
    assert "TXXX:REPLAYGAIN_TRACK_GAIN" in ID3(tmp_path / "out.mp3")
    for name in ("a.flac", "a.opus", "a.ogg"):
        options = {"format": "OGG", "subtype": "OPUS"} if name == "a.opus" else {}
        tagged: Any = mutagen.File(write(tmp_path / name, speech_like(0.5, RATE), **options))  # type: ignore[attr-defined]
        tagged["title"], tagged["R128_TRACK_GAIN"], tagged["REPLAYGAIN_ALBUM_PEAK"] = "Title", "256", "0.9"
        tagged.save()
        _, notes = denoised(tmp_path / name, tiny_model)
        assert notes[0].lower().startswith(told), notes
        kept: Any = mutagen.File(tmp_path / f"out.{name[2:]}")  # type: ignore[attr-defined]
        assert {key.lower() for key in kept} - {"encoder"} == {"title"}


@pytest.mark.parametrize("suffix", ["wav", "aiff"])
@pytest.mark.parametrize("version", [3, 4])
def test_gains_in_the_id3_of_wav_and_aiff_do_not_describe_the_new_level(
    tmp_path: Path, tiny_model: Path, suffix: str, version: int
) -> None:
    source = write(tmp_path / f"a.{suffix}", speech_like(0.5, RATE))
    tagged: Any = mutagen.File(source)  # type: ignore[attr-defined]
    tagged.add_tags()
    for frame in (TIT2(3, ["Title"]), TXXX(3, "replaygain_track_gain", ["-6.5 dB"]), RVA2("track", 1, -6.5, 1)):
        tagged.tags.add(frame)
    tagged.tags.save(source, v2_version=version)
    _, notes = denoised(source, tiny_model)
    assert len(notes) == 1
    assert "replaygain_track_gain" in notes[0]
    kept: Any = mutagen.File(tmp_path / f"out.{suffix}")  # type: ignore[attr-defined]
    assert sorted(kept.tags) == ["TIT2"]
    assert kept.tags.version == (2, version, 0)
    content, notes = denoised(source, tiny_model, "--mix", 0)
    assert (content, notes) == (source.read_bytes(), [])


def test_what_is_no_chunk_behind_the_chunks_is_reported(tmp_path: Path, tiny_model: Path) -> None:
    tag = b"TAG".ljust(128, b"\0")
    source = wav(tmp_path / "a.wav")
    plain = source.read_bytes()
    for behind, notes in ((tag, ["128 bytes behind its last chunk are none, and are left out"]), (bytes(100), [])):
        source.write_bytes(plain + behind)
        assert denoised(source, tiny_model)[1] == notes
    source.write_bytes(plain + chunk(b"iXML", IXML) + bytes(range(7, 27)))
    content, notes = denoised(source, tiny_model)
    assert notes == ["20 bytes behind its last chunk are none, and are left out"]
    assert IXML in content


def test_itunes_delay_of_m4a_is_left_out_and_reported(tmp_path: Path, tiny_model: Path) -> None:
    pytest.importorskip("av")
    from media import make_m4a

    source = make_m4a(tmp_path / "a.m4a")
    tagged: Any = MP4(source)
    tagged["\xa9nam"] = "Title"
    tagged["----:com.apple.iTunes:iTunSMPB"] = MP4FreeForm(b" 00000000 00000840 00000000 0000000000075300")
    tagged.save()
    _, notes = denoised(source, tiny_model)
    assert notes == ["left out, since they describe the old sound: iTunSMPB"]
    kept: Any = MP4(tmp_path / "out.m4a")
    assert "\xa9nam" in kept
    assert "----:com.apple.iTunes:iTunSMPB" not in kept
