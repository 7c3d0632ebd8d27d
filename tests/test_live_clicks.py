"""No click behind a device: what is heard when bypass, limit and mix are switched by their keys, on virtual devices."""

import sys
import time
from collections.abc import Iterator

import numpy as np
import pytest
from command import ROOT
from livecommand import ROOMY
from soundserver import RATE, Cable, SoundServer, skip_without_tools

pytest.importorskip("termios", reason="needs pseudo-terminals")
from terminal import Terminal

UP, DOWN, LEFT, RIGHT = "\x1b[A", "\x1b[B", "\x1b[D", "\x1b[C"


@pytest.fixture(scope="module")
def server() -> Iterator[SoundServer]:
    skip_without_tools()
    with SoundServer() as running_server:
        running_server.plug_in()
        yield running_server


@pytest.mark.parametrize(
    ("keys", "word"),
    [
        (("b", "b", "b", "b"), " BYPASS "),
        ((DOWN,) * 10 + (UP,) * 10, "at most 0 dB"),
        ((LEFT,) * 10 + (RIGHT,) * 10, ", 0 % of it"),
    ],
)
def test_promise_26_keys_make_no_click_behind_the_device(server: SoundServer, keys: tuple[str, ...], word: str) -> None:
    """A hum that the network removes comes and goes, with no step between samples above twice the largest of its own.

    Three tries: a busy machine loses sound, which is a step too, but a click of the switching would be there each time.
    """
    rng, seconds = np.random.default_rng(0), 30
    spectrum = np.fft.rfft(rng.normal(size=seconds * RATE))
    spectrum[300 * seconds :] = 0  # above 300 Hz
    hum = np.fft.irfft(spectrum)
    hum = (0.1 * hum / np.abs(hum).max()).astype(np.float32)
    own = np.abs(np.diff(hum)).max()
    command = [sys.executable, "-m", "apps.cli", "live", "-i", "headset", "-o", "headset", *ROOMY]
    environment = {**server.environment, "PYTHONPATH": str(ROOT)}
    for _ in range(3):
        with Cable(server, hum) as cable:
            terminal = Terminal(command, environment)
            try:
                terminal.until(lambda text: "up 0:05" in text)
                for key in keys:
                    terminal.press(key)
                    time.sleep(0.3)
                terminal.press("q")
                terminal.wait()
            finally:
                terminal.process.kill()
                terminal.process.wait()
        assert word in terminal.drawn
        begin = int(np.flatnonzero(cable.out)[0])
        out = cable.out[begin + 3 * RATE : -RATE // 2]
        step = float(np.abs(np.diff(out)).max())
        print(f"largest step {step:.5f}, of the hum {own:.5f}, largest sample {np.abs(out).max():.5f}")
        if step <= 2 * own:
            break
    assert step <= 2 * own
    assert np.abs(out).max() > 20 * own, "so a switch without a glide would be heard"
