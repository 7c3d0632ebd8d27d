"""The first look at a media file: bitrates, and covers."""

from pathlib import Path

import pytest
from helpers import speech_like

pytest.importorskip("av")
from media import make

from enhance.io.media.scan import look_at


@pytest.mark.parametrize(("muxer", "suffix"), [("matroska", "mka"), ("mov", "mov"), ("avi", "avi")])
def test_bitrates_of_samples_without_a_codec_are_exact(tmp_path: Path, muxer: str, suffix: str) -> None:
    path = make(tmp_path / f"a.{suffix}", muxer, "pcm_s16le", None, 48_000, [speech_like(2, 48_000)])
    found = look_at(path)
    assert list(found.bits) == [0]
    assert found.bits[0] == pytest.approx(48_000 * 16, rel=0.01)
    assert not found.covers
    assert len(found.extras) == (muxer == "matroska")
