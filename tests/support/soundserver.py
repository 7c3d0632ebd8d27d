"""A sound server of one's own for tests: PulseAudio or PipeWire with null sinks, seen by PortAudio through ALSA.

The sink `cable` is a cable with two wires: its left channel is what the virtual microphone hears, its right channel is
what a program plays to the virtual loudspeaker. A recording of its monitor has both on one clock, so that the delay
between them can be counted in samples. ALSA calls the pair `headset`, one device with both directions.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

import numpy as np
import pytest

RATE = 48_000
PULSEAUDIO, PIPEWIRE = "pulseaudio", "pipewire"
# An ordinary user has neither CAP_SYS_NICE nor a limit for real-time priority; root gives both away to be one.
ORDINARY = ("prlimit", "--rtprio=0", "setpriv", "--bounding-set=-sys_nice", "--inh-caps=-sys_nice", "--")
_ALSA = Path("/usr/share/alsa/alsa.conf")
_STEREO = ["--format=float32le", f"--rate={RATE}", "--channels=2", "--channel-map=front-left,front-right"]
_SINK = "module-null-sink sink_name=cable format=float32le rate=48000 channels=2"
_WIRES = (
    "module-remap-source source_name=mic master=cable.monitor master_channel_map=front-left channel_map=mono remix=no",
    "module-remap-sink sink_name=speaker master=cable master_channel_map=front-right channel_map=mono remix=no",
)
_MODULES = ("module-null-sink", "module-remap-sink", "module-remap-source")


class SoundServer:
    """Context: PulseAudio runs inside, and is gone with all its clients afterwards.

    Args:
        ordinary: the server and the programs have no right to real-time priority.

    Attributes:
        kind: `PULSEAUDIO` or `PIPEWIRE`.
        environment: for programs that shall use it.
        prefix: of the commands of such programs.
    """

    kind = PULSEAUDIO
    tools: ClassVar[dict[str, str]] = {"pulseaudio": "pulseaudio", "pactl": "pulseaudio-utils"}
    plugin, plugin_package = "libasound_module_pcm_pulse.so", "libasound2-plugins"
    # Without rewinds, in which the server now and then puts a wrong sample into what its sink is given.
    cable = (f"{_SINK} norewinds=1", *_WIRES)

    def __init__(self, ordinary: bool = False) -> None:
        self.prefix = ORDINARY if ordinary and os.geteuid() == 0 else ()
        self._folder = Path(tempfile.mkdtemp(prefix=f"mpeace-{self.kind}-"))
        (self._folder / "asound.conf").write_text(self.devices())
        self.environment = {
            **os.environ,
            "HOME": str(self._folder),
            "XDG_RUNTIME_DIR": str(self._folder),
            "XDG_CONFIG_HOME": str(self._folder),
            "XDG_STATE_HOME": str(self._folder),
            "PULSE_RUNTIME_PATH": str(self._folder / "pulse"),
            "ALSA_CONFIG_PATH": f"{_ALSA}:{self._folder / 'asound.conf'}",
        }
        self.environment.pop("PULSE_SERVER", None)

    @classmethod
    def skip_without_tools(cls) -> None:
        """Skip when this system cannot have such a server."""
        for tool, package in cls.tools.items():
            if shutil.which(tool) is None:
                pytest.skip(f"needs {tool} (package {package})")
        if alsa_plugin(cls.plugin) is None:
            pytest.skip(f"needs ALSA's plugin for {cls.kind} (package {cls.plugin_package})")
        try:
            import pulsectl  # noqa: F401
        except (ImportError, OSError) as error:
            pytest.skip(f"needs pulsectl (extra live) and libpulse0: {error}")
        try:
            import sounddevice  # noqa: F401
        except (ImportError, OSError) as error:
            pytest.skip(f"needs sounddevice and PortAudio (package libportaudio2): {error}")

    def devices(self) -> str:
        """What ALSA is told of the cable."""
        return """
pcm.test_mic { type pulse device "mic" hint { show on description "microphone" } }
pcm.test_speaker { type pulse device "speaker" hint { show on description "loudspeaker" } }
pcm.headset { type asym capture.pcm test_mic playback.pcm test_speaker hint { show on description "both" } }
"""

    def command(self) -> list[str]:
        """What runs until it is ended."""
        return [
            *("pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no", "--log-level=error"),
            *("--realtime=yes", "--high-priority=yes", "--load=module-native-protocol-unix auth-anonymous=1"),
        ]

    def ready(self) -> bool:
        """Whether it answers."""
        quiet = subprocess.DEVNULL
        return not subprocess.run(["pactl", "info"], env=self.environment, stdout=quiet, stderr=quiet).returncode

    def __enter__(self) -> Self:
        command = [*self.prefix, *self.command()]
        quiet = subprocess.DEVNULL
        self.process = subprocess.Popen(
            command, env=self.environment, stdout=quiet, stderr=quiet, start_new_session=True
        )
        deadline = time.monotonic() + 60
        while not self.ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.__exit__(None, None, None)
                pytest.skip(f"{self.kind} does not start here")
            time.sleep(0.1)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def pactl(self, *arguments: str) -> str:
        """What `pactl` prints."""
        return subprocess.run(
            ["pactl", *arguments], env=self.environment, check=True, capture_output=True, text=True
        ).stdout

    def plug_in(self) -> None:
        """Make the cable with microphone and loudspeaker."""
        for module in self.cable:
            self.pactl("load-module", *module.split())

    def unplug(self) -> None:
        """Remove all sinks and sources."""
        for module in self.pactl("list", "short", "modules").splitlines():
            number, _, rest = module.partition("\t")
            if rest.partition("\t")[0] in _MODULES:
                with suppress(subprocess.CalledProcessError):  # gone with its master
                    self.pactl("unload-module", number)


class PipeWire(SoundServer):
    """The same with PipeWire, its session manager and its PulseAudio server, on a D-Bus of their own."""

    kind = PIPEWIRE
    tools: ClassVar[dict[str, str]] = {
        "pipewire": "pipewire",
        "pipewire-pulse": "pipewire-pulse",
        "wireplumber": "wireplumber",
        "dbus-run-session": "dbus",
        "pactl": "pulseaudio-utils",
    }
    plugin, plugin_package = "libasound_module_pcm_pipewire.so", "pipewire-alsa"
    cable = (_SINK, *_WIRES)

    def devices(self) -> str:
        """PipeWire's own plug-in; Debian's package of it removes PulseAudio, so it may lie in a folder of its own."""

        def wire(name: str, source: str, target: str, words: str) -> str:
            nodes = f'capture_node "{source}" playback_node "{target}"'
            return f'pcm.{name} {{ type pipewire {nodes} channels 1 hint {{ show on description "{words}" }} }}'

        return f"""
pcm_type.pipewire {{ lib "{alsa_plugin(self.plugin)}" }}
pcm.pipewire {{ type pipewire capture_node "-1" playback_node "-1" hint {{ show on description "PipeWire" }} }}
pcm.!default {{ type pipewire capture_node "-1" playback_node "-1" hint {{ show on description "Default" }} }}
{wire("test_mic", "mic", "mic", "microphone")}
{wire("test_speaker", "speaker", "speaker", "loudspeaker")}
{wire("headset", "mic", "speaker", "both")}
"""

    def command(self) -> list[str]:
        """Three daemons, which end together; two of them end at once where they do not find the first."""
        begin = "pipewire & until [ -S $XDG_RUNTIME_DIR/pipewire-0 ]; do sleep 0.05; done"
        return ["dbus-run-session", "--", "sh", "-c", f"{begin}; wireplumber & pipewire-pulse & wait"]


SERVERS = {server.kind: server for server in (SoundServer, PipeWire)}


def alsa_plugin(name: str) -> Path | None:
    """Where a plug-in of ALSA lies; MPEACE_ALSA_PLUGINS may name a folder that is looked into as well."""
    folders = [*Path("/usr/lib").glob("*-linux-*/alsa-lib"), Path("/usr/lib/alsa-lib"), Path("/usr/lib64/alsa-lib")]
    if "MPEACE_ALSA_PLUGINS" in os.environ:
        folders += Path(os.environ["MPEACE_ALSA_PLUGINS"]).glob("usr/lib/*/alsa-lib")
    return next((folder / name for folder in folders if (folder / name).exists()), None)


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
        self.heard, self.out = self.so_far()
        self._file.close()

    def so_far(self) -> tuple[np.ndarray, np.ndarray]:
        """What the microphone has heard and the loudspeaker has played, each [samples]."""
        data = os.pread(self._file.fileno(), os.fstat(self._file.fileno()).st_size, 0)
        frames = np.frombuffer(data[: len(data) // 8 * 8], np.float32).reshape(-1, 2)
        return frames[:, 0], frames[:, 1]

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
