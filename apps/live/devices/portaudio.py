"""PortAudio through sounddevice: found or explained, quiet on standard error, and asked anew for its devices."""

import atexit
import contextlib
import os
import platform
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from enhance.utils.errors import MpeaceError, UsageError

_INSTALL = {  # by ID or ID_LIKE of /etc/os-release
    "debian": "sudo apt install libportaudio2",
    "ubuntu": "sudo apt install libportaudio2",
    "fedora": "sudo dnf install portaudio",
    "rhel": "sudo dnf install portaudio",
    "arch": "sudo pacman -S portaudio",
    "suse": "sudo zypper install libportaudio2",
    "alpine": "sudo apk add portaudio",
}
_PATIENCE = 5.0  # seconds that a stream may take to close


class StuckError(MpeaceError):
    """The sound system does not let go of a stream: only a new process will have sound. The message is one line."""


def load() -> ModuleType:
    """Load the sounddevice module.

    Raises:
        UsageError: when it or PortAudio is missing; says what to install on this system.
    """
    try:
        with quiet():
            import sounddevice
    except ModuleNotFoundError:
        raise UsageError("live sound needs the package sounddevice: pip install 'mpeace[live]'") from None
    except OSError:
        raise UsageError(f"live sound needs PortAudio, which is not installed: {install_command()}") from None
    return sounddevice


def install_command(release: Path = Path("/etc/os-release")) -> str:
    """Return the command that installs PortAudio on this system.

    Args:
        release: file that names a Linux distribution.
    """
    if sys.platform == "darwin":
        return "brew install portaudio"
    if sys.platform == "win32":
        return "pip install --force-reinstall sounddevice (it brings PortAudio along)"
    try:
        described = platform_release(release.read_text(encoding="utf-8"))
    except OSError:
        described = {}
    for name in (described.get("ID", ""), *described.get("ID_LIKE", "").split()):
        for known, command in _INSTALL.items():
            if name == known or (known == "suse" and "suse" in name):
                return command
    return "install the PortAudio library (often called portaudio or libportaudio2) with the package manager"


def platform_release(text: str) -> dict[str, str]:
    """Read the fields of an os-release file.

    Example:
        >>> platform_release('ID=ubuntu\\nID_LIKE="debian"')
        {'ID': 'ubuntu', 'ID_LIKE': 'debian'}
    """
    fields = (line.partition("=") for line in text.splitlines() if "=" in line)
    return {key: value.strip().strip("\"'") for key, _, value in fields}


def rescan() -> bool:
    """Let PortAudio look for devices again, which it does only when it starts. No stream may be open.

    sounddevice has no public function for it (its issue 3); these two are what its author names there.

    Returns:
        Whether PortAudio is at work; where not, the next call may help.
    """
    sounddevice = load()
    with quiet():
        with contextlib.suppress(sounddevice.PortAudioError):
            sounddevice._terminate()
        try:
            sounddevice._initialize()
        except sounddevice.PortAudioError:
            return False
    return True


def close(*streams: Any) -> None:
    """Stop streams at once and close them. Their callbacks are not called any more when this returns.

    On Linux another thread does it: when PulseAudio dies while it is recorded from, its library may wait for ever.

    Raises:
        StuckError: when they are not closed after some seconds. PortAudio is not asked for anything more then.
    """

    def work() -> None:
        for stream in streams:
            stream.abort()
            stream.close()

    with quiet():
        if sys.platform != "linux":
            work()
            return
        thread = threading.Thread(target=work, name="close", daemon=True)
        thread.start()
        thread.join(_PATIENCE)
    if thread.is_alive():
        atexit.unregister(load()._exit_handler)  # which would wait as well
        raise StuckError("the sound system does not let go of its devices, as when its server has died; start anew")


def reason(error: Exception) -> str:
    """Return the message of PortAudio in one line, without its code.

    Example:
        >>> reason(ValueError("Error opening Stream: Invalid sample rate [PaErrorCode -9997]"))
        'invalid sample rate'
    """
    details = error.args[2] if len(error.args) > 2 else None
    if isinstance(details, tuple) and details[-1]:
        text = str(details[-1])
    else:
        text = str(error).partition("[PaErrorCode")[0].rpartition(": ")[2]
    text = text.strip().rstrip(".")
    return text[:1].lower() + text[1:]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Drop what C libraries print on standard error inside the block: messages of ALSA and PortAudio help nobody.

    What Python prints goes on to where it went.
    """
    try:
        kept = os.dup(2)
    except OSError:
        yield
        return
    stderr = sys.stderr
    stderr.flush()
    own = stderr if _descriptor(stderr) != 2 else os.fdopen(os.dup(kept), "w", buffering=1, encoding="utf-8")
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    sys.stderr = own
    try:
        yield
    finally:
        sys.stderr = stderr
        os.dup2(kept, 2)
        os.close(kept)
        if own is not stderr:
            own.close()


def _descriptor(stream: object) -> int | None:
    try:
        return stream.fileno()  # type: ignore[attr-defined]
    except (AttributeError, OSError, ValueError):
        return None


def system() -> str:
    """Return "Linux", "macOS" or "Windows", or Python's name for the system."""
    return {"Darwin": "macOS"}.get(platform.system(), platform.system())
