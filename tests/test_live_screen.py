"""The screen of `mpeace live` and its keys, in a pseudo-terminal, on real virtual devices."""

import fcntl
import os
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from command import ROOT, read
from soundserver import RATE, Cable, SoundServer, skip_without_tools
from test_live import ROOMY, recordings, repeated

pty = pytest.importorskip("pty", reason="needs pseudo-terminals")
ROWS, COLUMNS = 30, 100
PATIENCE = 20.0  # seconds


@pytest.fixture(scope="module")
def server() -> Iterator[SoundServer]:
    skip_without_tools()
    with SoundServer() as running_server:
        running_server.plug_in()
        yield running_server


class Terminal:
    """A process on a terminal of its own: what it draws, and keys for it."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self.before = termios.tcgetattr(theirs)
        self.theirs = theirs
        self.drawn = ""
        environment = {**environment, "TERM": "xterm-256color"}
        self.process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True
        )

    def until(self, condition: Callable[[str], bool]) -> str:
        """Read until what was drawn since the call fulfils a condition."""
        begin, deadline = len(self.drawn), time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            self._take()
            if condition(self.drawn[begin:]):
                return self.drawn[begin:]
        raise AssertionError(f"not drawn: {self.drawn[-3000:]}")

    def press(self, keys: str) -> None:
        """Press keys."""
        os.write(self._ours, keys.encode())

    def close(self) -> None:
        """As if its window were closed."""
        os.close(self._ours)
        os.close(self.theirs)
        os.kill(self.process.pid, signal.SIGHUP)

    def wait(self) -> int:
        """Exit status; reads on meanwhile, so that the process is not stuck in writing."""
        deadline = time.monotonic() + PATIENCE
        while self.process.poll() is None and time.monotonic() < deadline:
            self._take()
        self._take()
        return self.process.wait(1)

    def _take(self) -> None:
        if select.select([self._ours], [], [], 0.05)[0]:
            self.drawn += os.read(self._ours, 65536).decode(errors="ignore")


def test_promise_26_one_key_bypasses_and_meters_show_both_sides(
    server: SoundServer, noisy_voice: np.ndarray, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "apps.cli", "live", "-i", "headset", "-o", "headset", *ROOMY]
    environment = {**server.environment, "PYTHONPATH": str(ROOT)}
    with Cable(server, repeated(noisy_voice, 40)):
        terminal = Terminal([*command, "--folder", str(tmp_path)], environment)
        try:
            terminal.until(lambda text: "measured" in text and "dBFS" in text)
            for word in ("microphone", "output", "suppression", "algorithm 20", "p99", "xruns", "CPU", "bypass"):
                assert word in terminal.drawn
            for key, word in (
                ("b", " BYPASS "),
                ("m", " MUTE "),
                ("\x1b[B", "at most 40 dB"),
                ("r", " REC "),
                ("l", "LISTENING"),
            ):
                terminal.press(key)
                terminal.until(lambda text, word=word: word in text)
            for key, word in (("b", " BYPASS "), ("m", " MUTE "), ("l", "LISTENING")):
                terminal.press(key)
                terminal.until(lambda text, word=word: text.count("mpeace live") > 3 and word not in text[-6000:])
            terminal.press("\x1b[A")
            terminal.until(lambda text: "removed entirely" in text)
            time.sleep(1)
            terminal.press("r")
            terminal.until(lambda text: "recorded" in text)
            terminal.press("q")
            assert terminal.wait() == 0
        finally:
            terminal.process.kill()
            terminal.process.wait()
    assert termios.tcgetattr(terminal.theirs) == terminal.before
    assert "\x1b[?1049l" in terminal.drawn  # the former screen is back
    assert "Traceback" not in terminal.drawn
    given, out = recordings(tmp_path)
    assert read(given).shape == read(out).shape
    assert np.abs(read(given)).max() > 0.01


def test_a_terminal_that_is_closed_leaves_a_valid_recording(
    server: SoundServer, noisy_voice: np.ndarray, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "apps.cli", "live", "-i", "headset", "-o", "headset", *ROOMY, "--record"]
    with Cable(server, repeated(noisy_voice, 20)):
        terminal = Terminal([*command, "--folder", str(tmp_path)], {**server.environment, "PYTHONPATH": str(ROOT)})
        try:
            terminal.until(lambda text: " REC 0:02" in text)
            terminal.close()
            terminal.process.wait(PATIENCE)
        finally:
            terminal.process.kill()
            terminal.process.wait()
    given, out = recordings(tmp_path)
    assert read(given).shape == read(out).shape
    assert read(given).shape[1] > RATE


@pytest.fixture(scope="module")
def noisy_voice() -> np.ndarray:
    """Five seconds of a noisy voice, [samples] at 48 kHz."""
    return read(ROOT / "tests" / "data" / "noisy.flac")[0]
