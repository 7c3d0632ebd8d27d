"""Tags of another kind than their container has are kept: ID3 of a FLAC, APEv2 of an MP3."""

from pathlib import Path

import numpy as np
from command import mpeace, read, write
from helpers import speech_like
from mutagen.apev2 import APEv2
from mutagen.flac import FLAC
from mutagen.id3 import APIC, ID3, TIT2, TPE1
from mutagen.mp3 import MP3

COVER = b"\xff\xd8\xff" + bytes(300)


def test_id3_of_a_flac_becomes_comments_and_a_cover(tmp_path: Path, tiny_model: Path) -> None:
    source = write(tmp_path / "a.flac", 0.3 * speech_like(1, 48_000))
    own = FLAC(source)
    own["artist"] = "Own"
    own.save()
    tag = ID3()
    tag.add(TIT2(3, "Tïtle"))
    tag.add(TPE1(3, "Other"))
    tag.add(APIC(3, "image/jpeg", 3, "", COVER))
    tag.save(source)
    assert mpeace("denoise", source, "-o", tmp_path / "out.flac", "--model", tiny_model).status == 0
    kept = FLAC(tmp_path / "out.flac")
    assert (kept["title"], kept["artist"]) == (["Tïtle"], ["Own"])
    assert [picture.data for picture in kept.pictures] == [COVER]
    np.testing.assert_allclose(read(tmp_path / "out.flac"), read(source) / 2, atol=1e-3)


def test_apev2_of_an_mp3_stays(tmp_path: Path, tiny_model: Path) -> None:
    source = write(tmp_path / "a.mp3", 0.3 * speech_like(1, 44_100), 44_100)
    tag = APEv2()
    tag.update({"Title": "Tïtle", "Catalog": "X 1", "REPLAYGAIN_TRACK_GAIN": "-3 dB", "MP3GAIN_MINMAX": "1,2"})
    tag.save(source)
    ended = mpeace("denoise", source, "-o", tmp_path / "out.mp3", "--model", tiny_model)
    assert ended.status == 0
    assert "REPLAYGAIN_TRACK_GAIN" in ended.problems[0]
    kept = APEv2(tmp_path / "out.mp3")
    assert {key: str(value) for key, value in kept.items()} == {"Title": "Tïtle", "Catalog": "X 1"}
    assert abs(read(tmp_path / "out.mp3").shape[1] - 44_100) <= 1152
    assert mpeace("denoise", source, "-o", tmp_path / "out.flac", "--model", tiny_model).status == 0
    assert FLAC(tmp_path / "out.flac")["title"] == ["Tïtle"]


def test_both_tags_of_an_mp3_stay(tmp_path: Path, tiny_model: Path) -> None:
    source = write(tmp_path / "a.mp3", 0.3 * speech_like(1, 44_100), 44_100)
    with_id3 = MP3(source)
    with_id3.add_tags()
    with_id3["TIT2"] = TIT2(3, "ID3")
    with_id3.save()
    tag = APEv2()
    tag["Title"] = "APE"
    tag.save(source)
    assert mpeace("denoise", source, "-o", tmp_path / "out.mp3", "--model", tiny_model).status == 0
    assert str(MP3(tmp_path / "out.mp3")["TIT2"]) == "ID3"
    assert str(APEv2(tmp_path / "out.mp3")["Title"]) == "APE"
