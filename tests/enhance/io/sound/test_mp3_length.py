"""MP3 of low constant bitrates say how long they are, although LAME notes it only where there is room."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from command import mpeace, read
from helpers import lag, speech_like

from enhance.io.sound.mp3_frames import scan
from enhance.io.sound.mp3_length import state_length

av = pytest.importorskip("av")


def voice_memo(path: Path, rate: int, channels: int, samples: int) -> np.ndarray:
    """Write an MP3 of the lowest constant bitrate; return its sound as it was, float32 [channels, samples]."""
    audio = speech_like(samples / rate, rate, channels=channels)
    with soundfile.SoundFile(
        path, "w", rate, channels, format="MP3", compression_level=0.99, bitrate_mode="CONSTANT"
    ) as file:
        file.write(audio.T)
    return audio


@pytest.mark.parametrize(("rate", "channels"), [(8_000, 1), (16_000, 2), (22_050, 1), (44_100, 1), (48_000, 2)])
@pytest.mark.parametrize("samples", [1, 20_003])
def test_the_length_is_noted_where_lame_leaves_it_out(tmp_path: Path, rate: int, channels: int, samples: int) -> None:
    path = tmp_path / "a.mp3"
    audio = voice_memo(path, rate, channels, samples)
    state_length(path, samples)
    (recording,) = scan(path).recordings
    assert recording.samples == samples
    assert recording.lame.startswith(b"LAME")
    assert soundfile.info(path).frames == samples
    if samples > 1:  # FFmpeg keeps more of so little
        with av.open(str(path)) as container:
            heard = np.concatenate([frame.to_ndarray() for frame in container.decode(audio=0)], axis=1)
        assert heard.shape[1] == samples
        assert abs(lag(heard[0], audio[0])) <= 2, "low bitrates blur it"
    content = path.read_bytes()
    state_length(path, samples)
    assert path.read_bytes() == content, "once is enough"


def test_a_voice_memo_stays_as_long_as_it_was_and_in_its_place(
    tmp_path: Path, tiny_model: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    voice_memo(tmp_path / "a.mp3", 22_050, 1, 20_003)
    state_length(tmp_path / "a.mp3", 20_003)
    for source, target in (("a.mp3", "b.mp3"), ("b.mp3", "c.mp3")):
        ended = mpeace("denoise", tmp_path / source, "-o", tmp_path / target, "--mix", 0, "--model", tiny_model)
        assert ended.status == 0, ended.stderr
    before, after = read(tmp_path / "a.mp3"), read(tmp_path / "c.mp3")
    assert before.shape == after.shape == (1, 20_003)
    assert abs(lag(after[0], before[0])) <= 2
    assert "Xing" not in capfd.readouterr().err
