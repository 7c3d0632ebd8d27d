"""Files that would lead elsewhere: our guards, tried with harmless ones."""

from pathlib import Path

import pytest
from command import mpeace, write
from helpers import speech_like


@pytest.mark.parametrize(
    "playlist",
    [
        "ffconcat version 1.0\nfile other.wav\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nother.wav\n#EXT-X-ENDLIST\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 9 RTP/AVP 0\n",
    ],
    ids=["concat", "hls", "sdp"],
)
@pytest.mark.parametrize("name", ["talk.mp4", "talk.wav", "talk.mkv"])
def test_a_playlist_in_disguise_is_not_followed(tmp_path: Path, tiny_model: Path, playlist: str, name: str) -> None:
    pytest.importorskip("av")
    write(tmp_path / "other.wav", speech_like(1, 48_000))
    (tmp_path / name).write_text(playlist)
    ended = mpeace("denoise", tmp_path / name, "-o", tmp_path / "out.wav", "--model", tiny_model)
    assert ended.status == 1
    assert "not a " in ended.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["other.wav", name])
