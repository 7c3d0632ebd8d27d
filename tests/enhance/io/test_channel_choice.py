"""`--channels`: one side of a call is cleaned, the other stays as it was, to the sample."""

from pathlib import Path

import numpy as np
import pytest
from command import mpeace, read, write
from helpers import speech_like
from media import look, make
from tiny_model import TINY_GAIN, tiny_result


@pytest.mark.parametrize("sample_rate", [48_000, 16_000])
def test_the_other_channel_of_a_call_stays_as_it_was(tmp_path: Path, tiny_model: Path, sample_rate: int) -> None:
    audio = speech_like(9, sample_rate, 2)  # more than one block
    source = write(tmp_path / "call.wav", audio, sample_rate, subtype="FLOAT")
    ended = mpeace("denoise", source, "--channels", "right", "-o", tmp_path / "out.wav", "--model", tiny_model)
    assert ended.status == 0, ended.stderr
    kept = read(tmp_path / "out.wav")
    np.testing.assert_array_equal(kept[0], audio[0])
    assert kept[1] @ audio[1] / np.sum(audio[1] ** 2) == pytest.approx(TINY_GAIN, abs=0.01)


def test_the_other_channel_of_a_video_stays_as_it_was(tmp_path: Path, tiny_model: Path) -> None:
    pytest.importorskip("av")
    audio = speech_like(2, 48_000, 2)
    source = make(tmp_path / "call.mov", "mov", "pcm_f32le", "mpeg4", 48_000, [audio])
    assert mpeace("denoise", source, "--channels", "1", "--model", tiny_model).status == 0
    kept = look(tmp_path / "call_denoised.mov").sound[0]
    np.testing.assert_array_equal(kept[1], audio[1])
    np.testing.assert_allclose(kept[0], tiny_result(audio)[0], atol=1e-6)


@pytest.mark.parametrize("wanted", ["3", "1,0", "middle", "", "1;2"])
def test_channels_that_are_not_there_are_refused(tmp_path: Path, tiny_model: Path, wanted: str) -> None:
    source = write(tmp_path / "call.wav", speech_like(0.2, 48_000, 2))
    ended = mpeace("denoise", source, "--channels", wanted, "--model", tiny_model)
    assert ended.status == (1 if wanted == "3" else 2)
    assert len(ended.problems) == 1
    assert "channel" in ended.problems[0]
    assert list(tmp_path.iterdir()) == [source]
