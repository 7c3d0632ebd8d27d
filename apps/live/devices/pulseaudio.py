"""Sound servers of Linux, PulseAudio and PipeWire, asked by `pactl`: their devices, under the names that people see.

PortAudio of many distributions knows the server as one device, "pulse". The server's library takes the sink or source
of a new stream from the environment, so each of them can be opened by name nevertheless.
"""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass

from enhance.utils.errors import MpeaceError

PORTAUDIO_NAME = "pulse"  # the device of ALSA that leads to the server
_PATIENCE = 5  # seconds


class PulseError(MpeaceError):
    """`pactl` is missing, does not answer or refuses. The message is one line."""


@dataclass(frozen=True)
class PulseDevice:
    """A sink or source: `name` for programs, `description` for people, Hz and channels of its own."""

    name: str
    description: str
    sample_rate: int
    channels: int
    is_input: bool
    is_default: bool


def pactl(*arguments: str) -> str:
    """Run `pactl` and return what it prints.

    Raises:
        PulseError: when that fails.
    """
    command = shutil.which("pactl")
    if command is None:
        raise PulseError("pactl is not installed (package pulseaudio-utils)")
    try:
        done = subprocess.run(
            [command, *arguments],
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            env={**os.environ, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PulseError(f"pactl does not answer: {error}") from error
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise PulseError(f"pactl {' '.join(arguments[:2])}: {lines[-1]}")
    return done.stdout


def pulse_devices() -> list[PulseDevice]:
    """Return all sinks and sources of the server; none when there is no server."""
    try:
        info = json.loads(pactl("--format=json", "info"))
        found = [
            (kind, item) for kind in ("sources", "sinks") for item in json.loads(pactl("--format=json", "list", kind))
        ]
    except (PulseError, ValueError):
        return []
    defaults = {"sources": info.get("default_source_name"), "sinks": info.get("default_sink_name")}
    return [_device(kind, item, defaults[kind]) for kind, item in found]


def present() -> set[tuple[str, str]]:
    """Name and index of all sinks and sources that the server has now; one that comes back has another index.

    Raises:
        PulseError: when the server does not say.
    """
    lines = [line.split("\t") for kind in ("sinks", "sources") for line in pactl("list", "short", kind).splitlines()]
    return {(fields[1], fields[0]) for fields in lines if len(fields) > 1}


def _device(kind: str, item: dict[str, str], default: str | None) -> PulseDevice:
    _, channels, rate = item["sample_specification"].split()
    return PulseDevice(
        item["name"],
        item["description"],
        int(rate.removesuffix("Hz")),
        int(channels.removesuffix("ch")),
        kind == "sources",
        item["name"] == default,
    )
