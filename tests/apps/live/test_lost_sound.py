"""What a device has lost is counted from its time stamps, and is what a recording of both ends shows."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from command import ROOT, read
from livecommand import LATER, LONG, Live, find, recordings, repeated, running, shifts
from soundserver import PULSEAUDIO, RATE, SERVERS, Cable, SoundServer

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
def test_promise_20_lost_sound_is_reported_and_a_delay_that_has_grown_is_mended(
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
        # PulseAudio keeps what came meanwhile: its delay has grown for good, unless the devices are opened anew.
        if server.kind == PULSEAUDIO and held_up["lost_out"] > 0.5:
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


def inserted(recorded: np.ndarray, real: np.ndarray) -> float:
    """Seconds that the end of the wire has between the samples of a recording: lost on the way in, silence out."""
    begin = find(recorded[: 2 * RATE], real)
    return sum(shift for shift in shifts(recorded, real, begin) if shift > 0) / RATE


@pytest.mark.long
@pytest.mark.sound
@pytest.mark.parametrize("kind", list(SERVERS))
def test_promise_20_an_ordinary_user_sees_what_was_lost(kind: str, tmp_path: Path) -> None:
    """Server and program without rights to real-time priority, beside four programs that take all cores."""
    SERVERS[kind].skip_without_tools()
    noisy = read(ROOT / "tests" / "data" / "noisy.flac")[0]
    options = ("-i", "headset", "-o", "headset", "--latency", "0.15", "--record", "--folder", tmp_path)
    hogs = []
    with SERVERS[kind](ordinary=True) as server:
        server.plug_in()
        server.environment["DBUS_SYSTEM_BUS_ADDRESS"] = "unix:path=/nowhere"  # nor is there RealtimeKit
        try:
            with Cable(server, repeated(noisy, LONG)) as cable, Live(server, *options) as live:
                live.until(running)
                at_first = live.until(lambda status: status["seconds"] > 5)
                hogs = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(4)]
                last = live.until(lambda status: status["seconds"] > 20)
                live.until(lambda status: status["recorded_seconds"] > last["recorded_seconds"] + 4)
                live.stop()
        finally:
            for hog in hogs:
                hog.kill()
                hog.wait()
    part = slice(5 * RATE, round((last["recorded_seconds"] + 3) * RATE))  # of which the last three are not looked at
    given, played = (read(path)[0][part] for path in recordings(tmp_path))
    really = inserted(given, cable.heard), inserted(played, cable.out)
    told = tuple(last[way] - at_first[way] for way in ("lost_in", "lost_out"))
    print(
        f"{kind}: lost on the way in {really[0]:.2f} s, told {told[0]:.2f}; out {really[1]:.2f} s, told {told[1]:.2f}"
    )
    assert any("no real-time priority" in message for message in live.messages)
    for seconds, words in zip(really, told, strict=True):
        assert words == pytest.approx(seconds, abs=0.3 + 0.3 * seconds)
