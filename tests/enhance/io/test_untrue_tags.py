"""Tags of the old stream go, those of the recording stay; gains go only when the level has changed."""

from io import BytesIO

import pytest
from mutagen.id3 import ID3, MLLT, RVA2, TIT2, TXXX

from enhance.io.untrue_tags import drop_untrue, is_untrue, true_id3

FRAMES = (
    TIT2(encoding=3, text="A talk"),
    TXXX(encoding=3, desc="encoder_delay", text="1105"),
    TXXX(encoding=3, desc="REPLAYGAIN_TRACK_GAIN", text="-6 dB"),
    RVA2(desc="track", channel=1, gain=-6, peak=0.5),
    MLLT(frames=1, bytes=2, milliseconds=3, bits_for_bytes=4, bits_for_milliseconds=4, data=b""),
)


def id3(version: int) -> bytes:
    """A tag with these frames."""
    tag, written = ID3(), BytesIO()
    for frame in FRAMES:
        tag.add(frame)
    if version == 3:
        tag.update_to_v23()
    tag.save(written, v1=0, v2_version=version)
    return written.getvalue()


@pytest.mark.parametrize(
    ("name", "always", "with_another_level"),
    [
        ("iTunSMPB", True, True),
        ("MD5", True, True),
        ("ReplayGain_Album_Peak", False, True),
        ("R128_TRACK_GAIN", False, True),
        ("iTunNORM", False, True),
        ("title", False, False),
        ("gain", False, False),
    ],
)
def test_what_describes_the_old_stream(name: str, always: bool, with_another_level: bool) -> None:
    assert (is_untrue(name, level=False), is_untrue(name, level=True)) == (always, with_another_level)


def test_gains_go_when_the_level_has_changed_and_stay_when_not() -> None:
    tag = ID3(BytesIO(id3(4)))
    assert sorted(drop_untrue(tag, level=False)) == ["MLLT", "encoder_delay"]
    assert sorted(drop_untrue(tag, level=True)) == ["REPLAYGAIN_TRACK_GAIN", "track"]
    assert list(tag) == ["TIT2"]
    assert drop_untrue(tag, level=True) == drop_untrue(None, level=True) == []


@pytest.mark.parametrize("version", [3, 4])
def test_a_tag_is_written_anew_in_its_version(version: int) -> None:
    content, dropped = true_id3(id3(version), level=True)
    tag = ID3(BytesIO(content))
    assert tag.version[:2] == (2, version)
    assert [str(frame) for frame in tag.values()] == ["A talk"]
    assert len(dropped) >= 3


def test_a_tag_without_such_things_or_that_is_none_stays_byte_for_byte() -> None:
    tag, written = ID3(), BytesIO()
    tag.add(FRAMES[0])
    tag.save(written, v1=0, padding=lambda info: 123)  # which no tag that is written anew has
    for content in (written.getvalue(), b"no tag at all", b""):
        assert true_id3(content, level=True) == (content, [])
