"""The screen of `mpeace live` and its keys, in a pseudo-terminal, on real virtual devices."""

import sys
import time
from pathlib import Path

import numpy as np
import pytest
from command import ROOT, read
from livecommand import LONG, ROOMY, recordings, repeated
from soundserver import RATE, Cable, SoundServer

pytestmark = pytest.mark.sound

termios = pytest.importorskip("termios", reason="needs pseudo-terminals")
from terminal import PATIENCE, Terminal  # noqa: E402


def test_promise_26_one_key_bypasses_and_meters_show_both_sides(
    server: SoundServer, noisy_voice: np.ndarray, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "apps.cli", "live", "-i", "headset", "-o", "headset", *ROOMY]
    environment = {**server.environment, "PYTHONPATH": str(ROOT)}
    with Cable(server, repeated(noisy_voice, LONG)):
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
    with Cable(server, repeated(noisy_voice, LONG)):
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
