"""What a device has lost is counted from its time stamps, and is what a recording of both ends shows."""

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from command import ROOT, read
from livecommand import LATER, LONG, Live, find, recordings, repeated, running, shifts
from soundserver import RATE, Cable, SoundServer

from apps.live.engine.lost_sound import LostSound

BLOCK = 480


def counted(stamps: np.ndarray) -> float:
    """Seconds that are counted from the stamps of blocks."""
    lost = LostSound(RATE)
    for stamp in stamps:
        lost.note(float(stamp), BLOCK)
    return lost.seconds


def clock(seconds: float, error: float = 0.0) -> np.ndarray:
    """Stamps of a device that loses nothing, with a clock that is wrong by a part of itself, and unrest of 3 ms."""
    stamps = np.arange(round(seconds * RATE / BLOCK)) * BLOCK / RATE * (1 + error)
    return stamps + np.random.default_rng(0).normal(0, 0.003, len(stamps))


@pytest.mark.parametrize("error", [-2e-4, 0.0, 2e-4])
def test_unrest_and_a_clock_that_runs_slow_or_fast_are_no_loss(error: float) -> None:
    assert counted(clock(600, error)) == 0


def test_steps_are_counted_and_a_late_call_that_is_made_up_for_is_not() -> None:
    stamps = clock(60)
    stamps[1000:] += 0.3
    stamps[2000:] += 1.2
    stamps[4000:4020] += np.linspace(0.5, 0, 20)
    assert counted(stamps) == pytest.approx(1.5, abs=0.01)


def test_many_small_losses_add_up() -> None:
    stamps = clock(20)
    for place in range(100, 2000, 100):
        stamps[place:] += 0.006
    assert counted(stamps) == pytest.approx(19 * 0.006, abs=0.03)


@pytest.mark.long
@pytest.mark.sound
def test_promise_20_what_was_lost_is_told_and_a_delay_that_has_grown_is_mended(
    server: SoundServer, tmp_path: Path
) -> None:
    """The program is held up: what the loudspeaker did without is what is told, and the delay comes back."""
    noisy = read(ROOT / "tests" / "data" / "noisy.flac")[0]
    with (
        Cable(server, repeated(noisy, LONG)) as cable,
        Live(server, "-i", "headset", "-o", "headset", "--latency", "0.15", "--record", "--folder", tmp_path) as live,
    ):
        live.until(running)
        live.until(lambda status: status["seconds"] > 6)
        at_first = live.statuses[-1]
        for _ in range(3):
            os.kill(live.process.pid, signal.SIGSTOP)
            time.sleep(0.4)
            os.kill(live.process.pid, signal.SIGCONT)
            time.sleep(2)
        held_up = live.statuses[-1]
        if held_up["lost_out"] > 0.5:  # by now the delay has grown for good, unless the devices are opened anew
            live.until(lambda status: any("opened anew" in message for message in status["messages"]), 2 * LATER)
        seconds = live.statuses[-1]["seconds"]
        last = live.until(lambda status: status["seconds"] > seconds + 4)
        live.stop()
    played = read(recordings(tmp_path)[1])[0]
    first = slice(5 * RATE, 6 * RATE)
    begin = find(played[first], cable.out)
    until = round(held_up["recorded_seconds"] * RATE)
    heard = sum(shift for shift in shifts(played[first.start : until + 3 * RATE], cable.out, begin) if shift > 0) / RATE
    told = held_up["lost_out"] - at_first["lost_out"]
    delays = [status["latency_ms"]["total"] for status in (at_first, held_up, last)]
    print(f"silence heard {heard:.2f} s, told {told:.2f}; delay {delays} ms; {last['lost_in']} s lost on the way in")
    assert told > 0.3
    assert told == pytest.approx(heard, abs=0.25)
    assert delays[2] < delays[0] + 250
    assert "s of silence on the way out" in live.stderr
