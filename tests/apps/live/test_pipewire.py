"""`mpeace live` on PipeWire, in short: its own plug-in of ALSA, devices by name, what is refused with a hint.

All other tests of live sound run on it too by `--sound-server pipewire` or `--long`.
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from command import ROOT, read
from livecommand import LATER, LONG, ROOMY, Live, find, recordings, repeated, running
from soundserver import RATE, Cable, PipeWire, SoundServer, alsa_plugin, python

pytestmark = pytest.mark.sound

ALIKE = 0.08  # seconds by which what is told may differ from what is heard; the device alone adds more than 0.1


@pytest.fixture(scope="module")
def pipewire() -> Iterator[SoundServer]:
    PipeWire.skip_without_tools()
    with PipeWire() as server:
        server.plug_in()
        yield server


def mpeace(server: SoundServer, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "apps.cli", *arguments]
    environment = {**server.environment, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=2 * LATER)


def test_sinks_and_sources_are_listed_beside_the_device_that_leads_to_them(pipewire: SoundServer) -> None:
    listed = mpeace(pipewire, "devices").stdout.splitlines()
    assert any(line[4:].startswith("pipewire ") for line in listed)
    assert any("sound server" in line and "cable" in line.lower() for line in listed)


def test_named_devices_bring_the_sound_in_and_out(pipewire: SoundServer, tmp_path: Path) -> None:
    """What is recorded is what the microphone heard, and the loudspeaker gets what is recorded."""
    noisy = read(ROOT / "tests" / "data" / "noisy.flac")[0]
    options = ("-i", "mic", "-o", "speaker", "--record", "--folder", tmp_path, *ROOMY)
    with Cable(pipewire, repeated(noisy, LONG)) as cable, Live(pipewire, *options) as live:
        live.until(lambda status: running(status) and status["recorded_seconds"] > 4)
        for kind in ("sink-inputs", "source-outputs"):
            assert 'application.name = "mpeace"' in pipewire.pactl("list", kind)
        assert live.stop() == 130
    given, out = (read(path)[0] for path in recordings(tmp_path))
    assert len(given) == len(out)
    assert somewhere_alike(given, cable.heard, 0.999)
    assert somewhere_alike(out, cable.out, 0.95)  # resampled, so that two clocks would fit
    assert "Traceback" not in live.stderr


@pytest.mark.long
def test_the_reported_delay_is_that_of_the_sound(pipewire: SoundServer) -> None:
    noisy = read(ROOT / "tests" / "data" / "noisy.flac")[0]
    with (
        Cable(pipewire, repeated(noisy, LONG)) as cable,
        Live(pipewire, "-i", "mic", "-o", "speaker", *ROOMY) as live,
    ):
        live.until(running)
        deadline = time.monotonic() + LATER
        while abs(heard_delay(cable) - live.statuses[-1]["latency_ms"]["total"] / 1000) > ALIKE:
            assert time.monotonic() < deadline, "what is told is never what is heard"
            time.sleep(0.5)
        assert live.stop() == 130


def test_the_plug_in_of_pulseaudio_is_no_stream_for_both_directions(pipewire: SoundServer) -> None:
    """It would take a whole core there, and delay the sound more and more; PipeWire's own may be one."""
    if alsa_plugin("libasound_module_pcm_pulse.so") is None:
        pytest.skip("needs ALSA's plug-in for PulseAudio (package libasound2-plugins)")
    code = """
from apps.live.devices.devices import INPUT, OUTPUT, choose, list_devices
from apps.live.devices.endpoints import Endpoint, one_stream
for name in ("pulse", "headset", None):
    source, target = (choose(name, kind) for kind in (INPUT, OUTPUT))
    print(source.name, one_stream(Endpoint(source, INPUT, 1), Endpoint(target, OUTPUT, 1)))
"""
    assert python(pipewire, code).splitlines() == ["pulse False", "headset True", "pipewire True"]


def test_a_name_that_no_server_knows_is_refused_with_a_hint(pipewire: SoundServer) -> None:
    """Where the server for PulseAudio's programs is missing, nobody lists sinks and sources."""
    ended = mpeace(pipewire, "live", "--output", "mpeace", PULSE_SERVER="unix:/nowhere/native")
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert line.startswith("mpeace: no output device has 'mpeace' in its name")
    assert "To name devices of PipeWire: sudo apt install pipewire-pulse" in line


def heard_delay(cable: Cable) -> float:
    """Seconds between microphone and loudspeaker in what has been recorded last."""
    heard, out = cable.so_far()
    part = slice(-4 * RATE, -2 * RATE)
    if len(heard) < 6 * RATE or not out[part].any():
        return np.inf
    start = len(heard) - 4 * RATE
    return (find(heard[part], out, start, RATE) - start) / RATE


def somewhere_alike(part: np.ndarray, whole: np.ndarray, correlation: float) -> bool:
    """Whether a quarter of a second of a recording is what was really there: a busy machine loses sound elsewhere."""
    length = RATE // 4
    for start in range(RATE, len(part) - length, length):
        piece = part[start : start + length]
        there = whole[find(piece, whole) :][:length]
        if np.corrcoef(piece, there)[0, 1] > correlation:
            return True
    return False
