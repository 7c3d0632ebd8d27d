"""`mpeace live --install-service`: live sound that starts with the desktop.

Linux: a unit of the person's own systemd (`man systemd.service`). macOS and Windows: what to do by hand, since neither
lets a program that was not installed as an application use the microphone unasked.
"""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from apps.live.devices import portaudio
from apps.live.session.session import LiveSettings
from enhance.runtime.adaptive import model_ladder
from enhance.runtime.registry import is_model_file
from enhance.utils.atomic import write_text
from enhance.utils.errors import FileError, one_line

UNIT = "mpeace-live.service"
_TEXT = """\
# Written by `mpeace live --install-service`, and anew by the same command; removed by `mpeace live --remove-service`.
[Unit]
Description=mpeace: the microphone without noise
After=pipewire-pulse.service wireplumber.service pulseaudio.service

[Service]
ExecStart={command}
Restart=on-failure
RestartSec=5

[Install]
WantedBy=default.target
"""
_GUIDES = {
    "macOS": (
        "macOS: in Automator make an application of one step, Run Shell Script:",
        "  {command}",
        "start it once and allow it the microphone; then add it under System Settings > General > Login Items.",
    ),
    "Windows": (
        "Windows: press Win+R, type shell:startup, and in that folder make a shortcut to:",
        "  {command}",
        "Run: Minimized. Ctrl+C in its window ends it.",
    ),
}


def unit_path() -> Path:
    """Return where a person's own units lie."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "systemd" / "user" / UNIT


def service_command(settings: LiveSettings) -> list[str]:
    """Return the command line of a service with these settings."""
    model = settings.model
    if model is not None and is_model_file(model):
        model = str(Path(model).resolve())
    options = {
        "--model": model,
        "--input": settings.source,
        "--output": settings.target,
        "--sample-rate": settings.sample_rate,
        "--channels": settings.channels,
        "--latency": settings.policy.text,
        "--attenuation-limit": settings.attenuation_limit_db,
        "--mix": None if settings.mix == 1 else settings.mix,
        "--folder": settings.folder.resolve() if settings.record else None,
    }
    flags = {"--record": settings.record, "--shared-clock": settings.shared_clock}
    given = [part for name, value in options.items() if value is not None for part in (name, str(value))]
    return [sys.executable, "-m", "apps.cli", "live", "--service", *given, *(name for name, on in flags.items() if on)]


def unit_text(command: list[str]) -> str:
    """Return the unit that runs a command; what systemd would expand in it stays as it is."""

    def quoted(part: str) -> str:
        for special, written in (("\\", "\\\\"), ('"', '\\"'), ("%", "%%"), ("$", "$$")):
            part = part.replace(special, written)
        return f'"{part}"'

    return _TEXT.format(command=" ".join(map(quoted, command)))


def install_service(settings: LiveSettings) -> int:
    """Write the unit, start it now and at each login. Returns the exit status: 0 when it runs, or was explained.

    Raises:
        ModelError: when the model cannot be used; nothing is written then, as systemd would start it again and again.
        FileError: when it cannot be written or systemd does not start it.
    """
    model_ladder(settings.model)
    command, system = service_command(settings), portaudio.system()
    if system in _GUIDES:
        text = subprocess.list2cmdline(command) if system == "Windows" else shlex.join(command)
        print("\n".join(_GUIDES[system]).format(command=text))
        return 0
    path = unit_path()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, unit_text(command))
    except OSError as error:
        raise FileError(f"{path} cannot be written: {error.strerror}") from None
    print(f"Written: {path}")
    if shutil.which("systemctl") is None:
        raise FileError(f"no systemd here; let your desktop start at login what stands behind ExecStart in {path}")
    _systemctl("daemon-reload")
    _systemctl("enable", UNIT)
    _systemctl("restart", UNIT)
    print(
        "It runs now and after each login. Its state: mpeace live --status; its words: journalctl --user -u mpeace-live"
    )
    return 0


def remove_service() -> int:
    """Stop the service and remove its unit. Returns the exit status.

    Raises:
        FileError: when there is none, it cannot be removed, or systemd does not stop it (the unit is removed then).
    """
    path = unit_path()
    if not path.exists():
        raise FileError(f"no service is installed ({path} is not there)")
    has_systemd = shutil.which("systemctl") is not None
    problem = None
    if has_systemd:
        try:
            _systemctl("disable", "--now", UNIT)
        except FileError as error:
            problem = error
    try:
        (path.parent / "default.target.wants" / UNIT).unlink(missing_ok=True)  # as `disable` does
        path.unlink()
    except OSError as error:
        raise FileError(f"{path} cannot be removed: {one_line(error)}") from None
    print(f"Removed: {path}")
    if problem is not None:
        raise FileError(f"it starts at no login any more, but may still run: {problem}")
    if has_systemd:
        _systemctl("daemon-reload")
    return 0


def _systemctl(*arguments: str) -> None:
    done = subprocess.run(["systemctl", "--user", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip() or f"exit status {done.returncode}").splitlines()[0]
        if "connect to bus" in reason:
            reason += "; run it in a terminal of your desktop, as yourself"
        raise FileError(f"systemctl --user {' '.join(arguments)}: {reason}")
