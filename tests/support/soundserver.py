"""A sound server of one's own for tests: PulseAudio with null sinks, seen by PortAudio through ALSA's pulse plugin.

The sink `cable` is a cable with two wires: its left channel is what the virtual microphone hears, its right channel is
what a program plays to the virtual loudspeaker. A recording of its monitor has both on one clock, so that the delay
between them can be counted in samples. ALSA calls the pair `headset`, one device with both directions.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import pytest

RATE = 48_000
PLUGIN = "alsa-lib/libasound_module_pcm_pulse.so"
ALSA = Path("/usr/share/alsa/alsa.conf")
_STEREO = ["--format=float32le", f"--rate={RATE}", "--channels=2", "--channel-map=front-left,front-right"]
_DEVICES = """
pcm.test_mic { type pulse device "mic" hint { show on description "microphone" } }
pcm.test_speaker { type pulse device "speaker" hint { show on description "loudspeaker" } }
pcm.headset { type asym capture.pcm test_mic playback.pcm test_speaker hint { show on description "both" } }
"""
_CABLE = (  # without rewinds, in which the server now and then puts a wrong sample into what its sink is given
    "module-null-sink sink_name=cable format=float32le rate=48000 channels=2 norewinds=1",
    "module-remap-source source_name=mic master=cable.monitor master_channel_map=front-left channel_map=mono remix=no",
    "module-remap-sink sink_name=speaker master=cable master_channel_map=front-right channel_map=mono remix=no",
)


def skip_without_tools() -> None:
    """Skip when this system cannot have such a server."""
    for tool in ("pulseaudio", "pactl", "pacat", "parec"):
        if shutil.which(tool) is None:
            pytest.skip(f"needs {tool} (packages pulseaudio and pulseaudio-utils)")
    if not any(folder.joinpath(PLUGIN).exists() for folder in (*Path("/usr/lib").glob("*-linux-*"), Path("/usr/lib"))):
        pytest.skip("needs ALSA's plugin for PulseAudio (package libasound2-plugins)")
    try:
        import pulsectl  # noqa: F401
    except (ImportError, OSError) as error:
        pytest.skip(f"needs pulsectl (extra live) and libpulse0: {error}")
    try:
        import sounddevice  # noqa: F401
    except (ImportError, OSError) as error:
        pytest.skip(f"needs sounddevice and PortAudio (package libportaudio2): {error}")


class SoundServer:
    """Context: the server runs inside, and is gone with all its clients afterwards.

    Attributes:
        environment: for programs that shall use it.
    """

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="mpeace-pulse-"))
        (self._folder / "asound.conf").write_text(_DEVICES)
        self.environment = {
            **os.environ,
            "HOME": str(self._folder),
            "XDG_RUNTIME_DIR": str(self._folder),
            "XDG_CONFIG_HOME": str(self._folder),
            "PULSE_RUNTIME_PATH": str(self._folder / "pulse"),
            "ALSA_CONFIG_PATH": f"{ALSA}:{self._folder / 'asound.conf'}",
        }
        self.environment.pop("PULSE_SERVER", None)

    def __enter__(self) -> Self:
        command = [
            "pulseaudio",
            "-n",
            "--daemonize=no",
            "--exit-idle-time=-1",
            "--use-pid-file=no",
            "--log-level=error",
        ]
        command += ["--realtime=yes", "--high-priority=yes", "--load=module-native-protocol-unix auth-anonymous=1"]
        quiet = subprocess.DEVNULL
        self._process = subprocess.Popen(command, env=self.environment, stdout=quiet, stderr=quiet)
        deadline = time.monotonic() + 60
        while subprocess.run(["pactl", "info"], env=self.environment, stdout=quiet, stderr=quiet).returncode:
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.__exit__(None, None, None)
                pytest.skip("PulseAudio does not start here")
            time.sleep(0.1)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def pactl(self, *arguments: str) -> str:
        """What `pactl` prints."""
        return subprocess.run(
            ["pactl", *arguments], env=self.environment, check=True, capture_output=True, text=True
        ).stdout

    def plug_in(self) -> None:
        """Make the cable with microphone and loudspeaker."""
        for module in _CABLE:
            self.pactl("load-module", *module.split())

    def unplug(self) -> None:
        """Remove all sinks and sources."""
        for module in self.pactl("list", "short", "modules").splitlines():
            number, name, *_ = module.split("\t")
            if name in ("module-null-sink", "module-remap-sink", "module-remap-source"):
                with suppress(subprocess.CalledProcessError):  # gone with its master
                    self.pactl("unload-module", number)


class Cable:
    """Context that plays into the microphone and records both wires.

    Args:
        server: with the cable plugged in.
        speech: what the microphone hears, [samples] at 48 kHz; played once, then silence.
    """

    def __init__(self, server: SoundServer, speech: np.ndarray) -> None:
        self._server = server
        self._played = np.zeros((len(speech), 2), np.float32)
        self._played[:, 0] = speech

    def __enter__(self) -> Self:
        options = {"env": self._server.environment, "stderr": subprocess.DEVNULL}
        self._file = tempfile.TemporaryFile()
        record = ["parec", "-d", "cable.monitor", *_STEREO, "--latency-msec=300"]
        play = ["pacat", "--playback", "-d", "cable", *_STEREO, "--latency-msec=300"]
        self._recorder = subprocess.Popen(record, stdout=self._file, **options)  # type: ignore[call-overload]
        time.sleep(0.5)
        self._player = subprocess.Popen(play, stdin=subprocess.PIPE, **options)  # type: ignore[call-overload]
        threading.Thread(target=self._feed, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in (self._recorder, self._player):
            process.terminate()
            process.wait()
        self._file.seek(0)
        data = self._file.read()
        self._file.close()
        frames = np.frombuffer(data[: len(data) // 8 * 8], np.float32).reshape(-1, 2)
        self.heard, self.out = frames[:, 0], frames[:, 1]

    def _feed(self) -> None:
        assert self._player.stdin is not None
        with suppress(BrokenPipeError, ValueError):
            self._player.stdin.write(self._played.tobytes())
            self._player.stdin.close()


def python(server: SoundServer, code: str, timeout: float = 60) -> str:
    """Run Python code in a process of its own beside the server, and give what it prints."""
    root = str(Path(__file__).resolve().parents[2])
    environment = {**server.environment, "PYTHONPATH": f"{root}{os.pathsep}{root}/tests"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=timeout
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
