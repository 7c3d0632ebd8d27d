"""One file: a stop leaves what was there, and what goes wrong is in the outcome."""

import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from command import partial_files, write
from helpers import speech_like
from media import make

from enhance import Denoiser
from enhance.io.denoise_file import run_task
from enhance.io.options import Clip, DenoiseOptions
from enhance.io.sound.sound_file import SoundWriter
from enhance.io.task import PARTIAL, Task
from enhance.utils.interrupt import Stopped, Stopper


def loud_wav(path: Path) -> Path:
    return write(path, 3 * np.sin(np.arange(6 * 48_000) / 20), subtype="FLOAT")


def loud_video(path: Path) -> Path:
    audio = (3 * np.sin(np.arange(6 * 48_000) / 20)).astype(np.float32)[np.newaxis]
    return make(path, "mov", "aac", "mpeg4", 48_000, [audio])


@pytest.mark.parametrize(("name", "maker"), [("a.wav", loud_wav), ("a.mov", loud_video)])
@pytest.mark.parametrize("there", [False, True])
def test_a_stop_between_the_passes_of_rescale_leaves_what_was_there(
    tmp_path: Path, tiny_denoiser: Denoiser, name: str, maker: Callable[[Path], Path], there: bool
) -> None:
    source, target = maker(tmp_path / name), tmp_path / f"out-{name}"
    if there:
        target.write_text("mine")
    settings = DenoiseOptions(clip=Clip.RESCALE, subtype="PCM_16" if name == "a.wav" else None)
    told: list[float] = []

    def on_progress(seconds: float, _: float | None) -> None:
        if told and seconds < told[-1]:  # the second pass has begun
            signal.raise_signal(signal.SIGINT)
        told.append(seconds)

    with Stopper() as stopper, pytest.raises(Stopped):
        run_task(tiny_denoiser, Task(str(source), str(target), str(tmp_path / PARTIAL)), settings, stopper, on_progress)
    assert max(told) == pytest.approx(6, abs=0.1)
    assert target.read_text() == "mine" if there else not target.exists()
    assert not partial_files(tmp_path)


def outcome_of(denoiser: Denoiser, source: Path, target: Path):
    task = Task(str(source), str(target), str(target.with_name(PARTIAL)))
    with Stopper() as stopper:
        return run_task(denoiser, task, DenoiseOptions(), stopper, lambda *_: None)


def test_a_disk_that_is_full_at_the_last_block_leaves_no_file_open(
    tmp_path: Path, tiny_denoiser: Denoiser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread that writes tells of it as late as in `close`."""
    writers: list[SoundWriter] = []

    def write_nothing(self: SoundWriter, _: np.ndarray) -> None:
        writers.append(self)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(SoundWriter, "write", write_nothing)
    outcome = outcome_of(tiny_denoiser, write(tmp_path / "a.wav", np.zeros((1, 100))), tmp_path / "b.wav")
    assert "no space left on device" in outcome.message
    assert writers[0]._checked.file.closed
    assert not partial_files(tmp_path)


def test_an_outcome_has_lengths_and_levels(tmp_path: Path, tiny_denoiser: Denoiser) -> None:
    """The tiny model halves: 6.02 dB less."""
    sine = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(96_000) / 48_000)
    outcome = outcome_of(tiny_denoiser, write(tmp_path / "a.wav", sine), tmp_path / "b.wav")
    assert (outcome.status, outcome.seconds, outcome.samples) == ("done", 2.0, 96_000)
    assert (outcome.sample_rate, outcome.channels, outcome.format, outcome.subtype) == (48_000, 1, "WAV", "PCM_16")
    assert outcome.input_dbfs == pytest.approx(-9.03, abs=0.01)
    assert outcome.output_dbfs == pytest.approx(-15.05, abs=0.05)


def test_what_goes_wrong_is_in_the_outcome_and_leaves_nothing_behind(tmp_path: Path, tiny_denoiser: Denoiser) -> None:
    audio = speech_like(0.2, 48_000)
    audio[0, 4800] = np.nan
    outcome = outcome_of(tiny_denoiser, write(tmp_path / "a.wav", audio, subtype="FLOAT"), tmp_path / "b.wav")
    assert outcome.status == "failed"
    assert outcome.message == "sample 4800 (0.100 s) of channel 1 is NaN; expected finite samples"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.wav"]
