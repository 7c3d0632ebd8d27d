"""A PortAudio that is missing, with what installs it, or that hangs: one line."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
from command import ROOT, mpeace

from apps.live.devices import portaudio
from apps.live.devices.portaudio import install_command
from apps.live.engine.streams import Link
from apps.live.session.session import LiveSettings, Session
from apps.live.ui import run_live as run_live_module


@pytest.mark.parametrize(
    ("release", "command"),
    [
        ("ID=debian", "sudo apt install libportaudio2"),
        ('ID=linuxmint\nID_LIKE="ubuntu debian"', "sudo apt install libportaudio2"),
        ("ID=fedora", "sudo dnf install portaudio"),
        ('ID="opensuse-leap"\nID_LIKE="suse opensuse"', "sudo zypper install libportaudio2"),
        ("ID=unheard-of", "package manager"),
    ],
)
@pytest.mark.skipif(sys.platform != "linux", reason="the names are of Linux distributions")
def test_promise_23_how_portaudio_is_installed(tmp_path: Path, release: str, command: str) -> None:
    (tmp_path / "os-release").write_text(release)
    assert command in install_command(tmp_path / "os-release")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere PortAudio comes with sounddevice")
def test_promise_23_portaudio_missing_is_one_line() -> None:
    code = (
        "import ctypes.util, sys; ctypes.util.find_library = lambda name: None; "
        "from apps.cli import main; sys.exit(main(['live']))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("mpeace: live sound needs PortAudio, which is not installed: ")


class Hanging:
    """A stream whose library waits for ever once its server has died."""

    def __init__(self) -> None:
        self.ended = threading.Event()
        self.active, self.latency = True, 0.01

    def abort(self) -> None:
        assert self.ended.wait(20)

    def close(self) -> None:
        pass


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hanging]:
    if sys.platform != "linux":
        pytest.skip("streams are closed by a thread of their own under Linux")
    stream, forgotten = Hanging(), []
    sounddevice = SimpleNamespace(_exit_handler=lambda: None)
    monkeypatch.setattr(portaudio, "_PATIENCE", 0.1, raising=False)
    monkeypatch.setattr(portaudio, "load", lambda: sounddevice)
    monkeypatch.setattr("atexit.unregister", forgotten.append)
    late = threading.Timer(3.0, stream.ended.set)  # so that code that waits for it fails instead of hanging
    late.start()
    yield stream
    stream.ended.set()
    late.cancel()
    assert forgotten == [sounddevice._exit_handler]


def test_promise_21_a_sound_system_that_hangs_does_not_hold_the_program_up(hanging: Hanging) -> None:
    link = Link(SimpleNamespace(sample_rate=48_000))  # type: ignore[arg-type]
    link._streams.append(hanging)
    with pytest.raises(portaudio.StuckError, match="does not let go of its devices"):
        link.close()
    link.close()  # there is nothing more to wait for


def test_a_recording_is_finished_although_the_sound_system_hangs(
    hanging: Hanging, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command ends with one line; it hung in the middle of its recording, and the next signal tore it."""

    class Vanished(Session):
        """What is left of a session whose device is gone."""

        def __init__(self, settings: LiveSettings) -> None:
            self._settings, self._recorder, self._messages = settings, None, []
            self.path = SimpleNamespace(sample_rate=48_000, channels=1, latency_samples=0, listener=None)  # type: ignore[assignment]
            self.link = Link(self.path)  # type: ignore[arg-type]
            self.link._streams.append(hanging)
            self._monitored, self._former = False, (0, 0.0, 0.0)
            self.record()

        def status(self) -> Any:
            return SimpleNamespace(messages=[], as_dict=dict, xruns=0, lost_in=0.0, lost_out=0.0, seconds=0.0)

        def peek(self, messages: list[str] | None = None) -> Any:
            return self.status()

        def poll(self) -> None:
            assert self._recorder is not None
            assert self.link is not None  # nobody looks again
            self._recorder.write(np.zeros((480, 1), np.float32), np.zeros((480, 1), np.float32))
            self._end()

        def _drain(self) -> None:
            pass

    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr(run_live_module, "Session", Vanished)
    monkeypatch.setattr("apps.live.ui.json_log.has_room", lambda: False)  # nobody reads what it says each second
    ended = mpeace("live", "--no-ui", "--record", "--folder", tmp_path)
    assert ended.status == 1
    assert [problem.split(":")[1].strip()[:30] for problem in ended.problems] == [
        "recorded 0.0 s",
        "the sound system does not let ",
    ]
    assert soundfile.info(str(next(tmp_path.glob("*-out.flac")))).frames == 480
