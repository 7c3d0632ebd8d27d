"""A command that can be stopped and does not stop by itself: calls that do not end, a standard error that is full."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command import ROOT, partial_files, start, write
from helpers import speech_like

STUCK = """
import hashlib, sys
from pathlib import Path
from enhance.utils import interrupt
interrupt._GRACE = 0.3
with interrupt.Stopper() as stopper:
    stopper.unfinished = Path(sys.argv[1])
    print("ready", flush=True)
    hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)  # some hours in one call, in which no handler runs
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_call_that_does_not_end_is_ended_by_a_signal(tmp_path: Path, number: signal.Signals) -> None:
    unfinished = tmp_path / "part"
    unfinished.write_bytes(b"half of it")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-c", STUCK, str(unfinished)], env=environment, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.2)
    process.send_signal(number)
    process.communicate(timeout=300)
    assert process.returncode == 128 + number
    assert not unfinished.exists()


def test_a_full_standard_error_does_not_end_a_batch(tmp_path: Path, tiny_model: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full, which Linux has")
    for name in ("a.wav", "b.wav"):
        write(tmp_path / "in" / name, speech_like(0.1, 48_000))
    (tmp_path / "in" / "bad.wav").write_text("no sound")
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "apps.cli", "denoise", str(tmp_path / "in"), "-o", str(tmp_path / "out")]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        ended = subprocess.run([*command, "--model", str(tiny_model)], env=environment, stderr=full, timeout=120)
    assert ended.returncode == 1
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.wav", "b.wav"]


def test_a_reader_of_standard_error_that_goes_away_does_not_end_a_batch(tmp_path: Path, tiny_model: Path) -> None:
    for number in range(3):
        write(tmp_path / "in" / f"{number}.wav", speech_like(0.1, 48_000))
    process = start("denoise", tmp_path / "in", "-o", tmp_path / "out", "--model", tiny_model)
    assert process.stderr is not None
    process.stderr.close()
    assert process.wait(timeout=120) == 0
    assert len(list((tmp_path / "out").iterdir())) == 3
    assert not partial_files(tmp_path)
