"""Media files are opened by name, whatever the name looks like."""

from pathlib import Path

import pytest
from helpers import speech_like

pytest.importorskip("av")
from media import make

from enhance.io.media.opening import is_mp4, muxer_of, open_media
from enhance.utils.errors import FileError


@pytest.mark.parametrize("name", ["data:a.m4a", "a b.m4a", "-i.m4a"])
def test_a_name_is_no_address(tmp_path: Path, name: str) -> None:
    path = make(tmp_path / "plain.m4a", "ipod", "aac", None, 48_000, [speech_like(0.2, 48_000)]).rename(tmp_path / name)
    with open_media(path) as container:
        assert is_mp4(container)
        assert len(container.streams.audio) == 1


def test_what_is_no_media_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    (tmp_path / "b.mp4").write_text("no video " * 100)
    for name, said in (("a.mp4", r"empty \(0 bytes\)"), ("b.mp4", "not a media file that can be read, or cut off")):
        with pytest.raises(FileError, match=said) as error:
            open_media(tmp_path / name)
        assert "\n" not in str(error.value)


def test_the_name_says_the_muxer() -> None:
    assert muxer_of(Path("a.MKV")) == "matroska"
    assert muxer_of(Path("a.flac")) == "ogg"
