"""A missing PortAudio: one line, with what installs it."""

import subprocess
import sys
from pathlib import Path

import pytest
from command import ROOT

from apps.live.devices.portaudio import install_command


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
