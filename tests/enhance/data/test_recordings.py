"""Which files below a folder are taken for recordings, by training and by everything that scores."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from emulator.evidence.autoencoder.data import find_files
from enhance.data.cache import build_cache
from enhance.data.recordings import find_recordings, require_recordings
from enhance.dsp.rate import SAMPLE_RATE


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two recordings, what a Mac leaves beside them on other systems' disks, a text and a folder with a dot."""
    for name in ("b.wav", "below/A.FLAC", "._b.wav", "below/._A.FLAC", ".Trashes/c.wav", "about.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"\x00\x05\x16\x07")
    return tmp_path


def test_hidden_files_are_no_recordings(folder: Path) -> None:
    expected = [folder / "b.wav", folder / "below" / "A.FLAC"]
    assert find_recordings(folder) == require_recordings(folder) == expected
    assert find_recordings(folder / "b.wav") == [folder / "b.wav"]
    (folder / "speech").mkdir()
    folder.rename(folder.with_name(".hidden"))
    assert len(find_recordings(folder.with_name(".hidden"))) == 2, "a folder that was named itself may have a dot"


def test_a_folder_without_recordings_is_refused(tmp_path: Path) -> None:
    assert find_recordings(tmp_path) == []
    with pytest.raises(ValueError, match=r"no recordings in '.*'"):
        require_recordings(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"no such folder of recordings: '.*nowhere'"):
        find_recordings(tmp_path / "nowhere")


def test_the_cache_does_not_warn_of_hidden_files(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sound = np.random.default_rng(0).uniform(-0.1, 0.1, SAMPLE_RATE)
    for name in ("b.wav", "below/A.FLAC"):
        soundfile.write(folder / name, sound, SAMPLE_RATE)
    cache = build_cache([folder], folder.with_name("cache"), kind="noise")
    assert len(cache) == 2
    assert "._" not in "".join(capsys.readouterr())


def test_the_autoencoder_reads_suffixes_in_capitals_and_no_hidden_files(folder: Path) -> None:
    for name in ("speech/train", "speech/valid"):
        (folder / name).mkdir(parents=True)
        for file in ("ONE.WAV", "._ONE.WAV"):
            (folder / name / file).touch()
    assert find_files("speech", folder) == (
        [folder / "speech" / "train" / "ONE.WAV"],
        [folder / "speech" / "valid" / "ONE.WAV"],
    )
