"""What was written is opened once before it takes its name; a decoder that dies costs one file, also one at a time."""

import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from command import mpeace, partial_files, start, write, write_silence
from helpers import speech_like

from enhance.io import codec_limits
from enhance.io.read_back import check_sound
from enhance.utils.errors import FileError


def test_what_cannot_be_read_again_does_not_take_the_name(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(codec_limits, "_LIMITS", {})  # which would refuse it before
    source = write(tmp_path / "a.wav", speech_like(0.2, 48_000, 9))
    output = tmp_path / "b.caf"
    ended = mpeace("denoise", source, "-o", output, "--subtype", "ALAC_16", "--model", tiny_model)
    assert ended.status == 1
    assert "cannot be read again" in ended.problems[0]
    assert not output.exists()
    assert not partial_files(tmp_path)


@pytest.mark.parametrize("major", ["WAV", "AIFF", "CAF", "W64", "RF64", "AU", "FLAC"])
def test_every_encoding_is_readable_or_refused(tmp_path: Path, tiny_model: Path, major: str) -> None:
    source = write(tmp_path / "a.flac", speech_like(0.5, 8000, 2), 8000)
    for subtype in soundfile.available_subtypes(major):
        output = tmp_path / f"{subtype}.{major.lower()}"
        ended = mpeace("denoise", source, "-o", output, "--subtype", subtype, "--mix", 0, "--model", tiny_model)
        assert ended.status == (0 if output.exists() else 1), ended.stderr
        if output.exists():
            audio = soundfile.read(output, always_2d=True)[0].T
            assert audio.shape[1] >= 4000
            assert np.corrcoef(audio[0, :4000], soundfile.read(source, always_2d=True)[0].T[0])[0, 1] > 0.7, subtype


def test_a_file_that_is_shorter_or_longer_than_what_was_written_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", speech_like(0.5, 48_000))
    check_sound(path, 48_000, 1, 24_000)
    for rate, channels, samples in ((48_000, 1, 24_001), (48_000, 1, 23_999), (44_100, 1, 24_000), (48_000, 2, 24_000)):
        with pytest.raises(FileError, match="can be read again"):
            check_sound(path, rate, channels, samples)


@pytest.mark.parametrize("others", [("a.wav", "c.wav"), ()])
def test_a_decoder_that_dies_takes_no_other_file_along_with_one_job(
    tmp_path: Path, tiny_model: Path, others: tuple[str, ...]
) -> None:
    """One file alone is told of in one line, too."""
    (tmp_path / "in").mkdir()
    write_silence(tmp_path / "in" / "b.wav", seconds=20_000)
    for name in others:
        write(tmp_path / "in" / name, speech_like(0.1, 48_000))
    process = start("denoise", tmp_path / "in", "-o", tmp_path / "out", "--model", tiny_model)

    def kill_the_worker() -> None:
        while not list((tmp_path / "out").glob(".*")) or not all((tmp_path / "out" / n).exists() for n in others[:1]):
            time.sleep(0.02)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        for child in children:
            if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                os.kill(int(child), signal.SIGSEGV)

    thread = threading.Thread(target=kill_the_worker)
    thread.start()
    stderr = process.communicate(timeout=300)[1].decode()
    thread.join()
    assert process.returncode == 1
    assert f"{tmp_path / 'in' / 'b.wav'}: the process that worked on it died (exit code -11)" in stderr
    assert stderr.count("mpeace:") == 1
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(others)
