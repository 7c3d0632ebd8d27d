"""Setting up live sound, on real virtual devices: the list of devices, `--setup`, `--measure`, the help."""

import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from command import ROOT, mpeace
from soundserver import PULSEAUDIO, SoundServer, python

from apps.live.devices import pulseaudio as pulse
from apps.live.devices import virtual_microphone as virtual
from apps.live.diagnostics.setup import likeness

pytestmark = pytest.mark.sound


def test_devices_are_listed_and_refused_in_one_line(server: SoundServer) -> None:
    environment = {**server.environment, "PYTHONPATH": str(ROOT)}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "apps.cli", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)

    listed = run("devices").stdout
    assert "headset" in listed
    assert "sound server" in listed
    assert any(line.startswith(("><  default", "><  pipewire")) for line in listed.splitlines())
    assert any(line.startswith(">") and "sound server" in line for line in listed.splitlines())
    ambiguous = run("live", "--input", "test", "--output", "headset")
    assert ambiguous.returncode == 2
    assert (
        ambiguous.stderr
        == "mpeace: 'test' fits 2 input devices, name more of one: test_mic, ALSA; test_speaker, ALSA\n"
    )
    unknown = run("live", "--input", "no such")
    assert unknown.returncode == 2
    assert len(unknown.stderr.splitlines()) == 1


def test_promise_24_setup_makes_and_tests_a_virtual_microphone(server: SoundServer) -> None:
    environment = {**server.environment, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "apps.cli", "live", "--setup"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "is the tone" in done.stdout
    assert "is the denoised sample" in done.stdout
    assert "mpeace-microphone" in server.pactl("list", "sources")
    code = "from apps.live.devices.virtual_microphone import make_cable; print(make_cable()[1])"
    assert python(server, code) == "False\n"  # it is not made twice
    (removal,) = [line for line in done.stdout.splitlines() if line.startswith("To remove it now: ")]
    for unloading in removal.partition(": ")[2].split("; "):
        server.pactl(*unloading.split()[1:])
    assert "mpeace" not in server.pactl("list", "short", "sources")
    assert "cable" in server.pactl("list", "short", "sinks")


@pytest.mark.long
def test_promise_25_the_delay_is_measured_through_a_loop(server: SoundServer) -> None:
    environment = {**server.environment, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "apps.cli", "live", "--measure", "--latency", "safe", "--shared-clock"]
    loop = ("-i", "speaker.monitor", "-o", "speaker")
    differences = []
    for _ in range(3):  # the server's own buffers grow when the machine is busy
        done = subprocess.run([*command, *loop], env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        loop_ms = float(done.stdout.split("through the loop ")[1].split()[0])
        stamps_ms = float(done.stdout.split("time stamps ")[1].split()[0])
        differences.append(abs(loop_ms - stamps_ms))
        if differences[-1] <= 15:
            break
    assert min(differences) <= 15
    open_end = ("-i", "mic", "-o", "speaker")
    deaf = subprocess.run([*command, *open_end], env=environment, capture_output=True, text=True, timeout=120)
    assert deaf.returncode == 1
    assert deaf.stderr.splitlines()[-1].startswith("mpeace: 0 of 5 bursts came back")


def test_promise_24_lost_sound_does_not_fail_the_test_of_setup_and_damage_does() -> None:
    rng, rate = np.random.default_rng(0), 48_000
    spoken = rng.normal(0, 0.1, 10 * rate) * np.sin(np.arange(10 * rate) / rate) ** 2
    late = np.concatenate([np.zeros(round(1.3 * rate)), 0.3 * spoken, np.zeros(rate)])
    lossy = np.delete(
        late, np.concatenate([np.arange(place, place + 480) for place in range(rate, 11 * rate, 3 * rate)])
    )
    assert likeness(late, spoken, rate) > 0.999
    assert likeness(lossy, spoken, rate) > 0.95
    assert likeness(late + rng.normal(0, 0.03, len(late)), spoken, rate) < 0.9
    crackling = late.copy()
    crackling.reshape(-1, 480)[::2][: len(late) // 960] = 0
    assert likeness(crackling, spoken, rate) < 0.9
    assert likeness(np.zeros(rate), spoken, rate) == 0
    late[rate + 7] = np.nan
    assert likeness(late, spoken, rate) > 0.999


def test_the_help_comes_quickly_and_without_portaudio() -> None:
    start = time.process_time()  # of this process, in which it runs: the machine may be busy
    assert "--attenuation-limit" in mpeace("live", "--help").stdout
    assert time.process_time() - start < 2


@pytest.mark.parametrize(
    ("named", "without_rewinds"),
    [
        (("pulseaudio", "16.1"), True),
        (("pulseaudio", "14.2"), False),
        (("PulseAudio (on PipeWire 1.0.5)", "15.0.0"), False),
    ],
)
def test_the_sink_is_described_in_words_that_the_server_knows(
    monkeypatch: pytest.MonkeyPatch, named: tuple[str, str], without_rewinds: bool
) -> None:
    monkeypatch.setattr(pulse, "server_version", lambda: named)
    monkeypatch.setattr(pulse, "modules", list)
    advice = "\n".join(virtual.keep_advice())
    assert "module-null-sink sink_name=mpeace" in advice
    assert ("norewinds=1" in advice) == without_rewinds
    assert ("pulse.cmd" in advice) == ("PipeWire" in named[0])


def test_a_server_that_hangs_or_is_missing_is_one_line(server: SoundServer, monkeypatch: pytest.MonkeyPatch) -> None:
    if server.kind != PULSEAUDIO:
        pytest.skip("its server is one of several processes; another kind shows the same")
    for name in ("XDG_RUNTIME_DIR", "PULSE_RUNTIME_PATH", "HOME"):
        monkeypatch.setenv(name, server.environment[name])
    assert ("mic" in {name for name, _ in pulse.present()}) == any(item.name == "mic" for item in pulse.pulse_devices())
    assert pulse.server_version()[0] == "pulseaudio"
    server.process.send_signal(signal.SIGSTOP)
    try:
        with pytest.raises(pulse.PulseError, match="does not answer"):
            pulse.present()
    finally:
        server.process.send_signal(signal.SIGCONT)
    monkeypatch.setenv("PULSE_RUNTIME_PATH", "/nowhere")
    monkeypatch.setenv("PULSE_SERVER", "unix:/nowhere/native")
    assert pulse.pulse_devices() == []
    with pytest.raises(pulse.PulseError, match="does not answer"):
        pulse.load_module("module-null-sink", "sink_name=mpeace")
