"""Sound servers of Linux, PulseAudio and PipeWire, asked through `pulsectl`: their devices and modules.

PortAudio knows the server as one device, "pipewire" or "pulse", by the plug-in of ALSA that leads to it. The plug-ins
take the sink or source of a new stream from the environment, so each of them can be opened by name nevertheless.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from enhance.utils.errors import MpeaceError, one_line

if TYPE_CHECKING:
    from pulsectl import Pulse

PIPEWIRE = "PipeWire"  # in what a server says of itself
# Devices of ALSA that lead to the server. PipeWire's own is the better one there: through PulseAudio's plug-in sound is
# heard later, and one stream for both directions takes a core and grows later and later.
BRIDGES = ("pipewire", "pulse")
# What makes PortAudio reach sinks and sources by name, by whether the server is PipeWire.
INSTALL_PLUGIN = {True: "sudo apt install pipewire-alsa", False: "sudo apt install libasound2-plugins"}
INSTALL_PIPEWIRE_PULSE = "sudo apt install pipewire-pulse, and log in again"
_PATIENCE = 5  # seconds to connect; a server that hangs does not accept


class PulseError(MpeaceError):
    """The sound server is missing, does not answer or refuses. The message is one line."""


@dataclass(frozen=True)
class PulseDevice:
    """A sink or source: `name` for programs, `description` for people, and its channels.

    It takes any sample rate. Its own one is not known: pulsectl reads it from memory that libpulse has given back.
    """

    name: str
    description: str
    channels: int
    is_input: bool
    is_default: bool


@dataclass(frozen=True)
class Module:
    """A module that the server has loaded: the number to unload it by, its name, and its arguments in one text."""

    number: int
    name: str
    arguments: str


def pulse_devices() -> list[PulseDevice]:
    """Return all sources and sinks of the server; none when there is no server."""
    try:
        with _connected() as server:
            info: Any = server.server_info()
            found = [(item, info.default_source_name) for item in server.source_list()]
            inputs = len(found)
            found += [(item, info.default_sink_name) for item in server.sink_list()]
    except PulseError:
        return []
    return [
        PulseDevice(
            item.name,
            item.description,
            item.channel_count,
            number < inputs,
            item.name == default,
        )
        for number, (item, default) in enumerate(found)
    ]


def present() -> set[tuple[str, int]]:
    """Return name and index of all sinks and sources that there are now; one that comes back has another index.

    Raises:
        PulseError: when the server does not answer.
    """
    with _connected() as server:
        return {(item.name, item.index) for item in [*server.sink_list(), *server.source_list()]}


def server_version() -> tuple[str, str]:
    """Return the name and the version of the server, as ("pulseaudio", "16.1").

    Raises:
        PulseError: when the server does not answer.
    """
    with _connected() as server:
        info: Any = server.server_info()
        return info.server_name, info.server_version


def is_pipewire() -> bool:
    """Return whether the server that answers is PipeWire."""
    try:
        return PIPEWIRE in server_version()[0]
    except PulseError:
        return False


def load_module(name: str, arguments: str) -> None:
    """Load a module into the server.

    Raises:
        PulseError: when the server does not answer, or refuses.
    """
    with _connected() as server:
        server.module_load(name, arguments)


def modules() -> list[Module]:
    """Return the modules that the server has loaded.

    Raises:
        PulseError: when the server does not answer.
    """
    with _connected() as server:
        return [Module(item.index, item.name, item.argument or "") for item in server.module_list()]


@contextmanager
def _connected() -> Iterator["Pulse"]:
    """Connect to the server; its errors become `PulseError`."""
    try:
        import pulsectl
    except ImportError:
        raise PulseError("pulsectl is not installed: pip install 'mpeace[live]'") from None
    except OSError as error:  # the library is not there
        raise PulseError(f"libpulse is not installed (package libpulse0): {one_line(error)}") from None
    try:
        with pulsectl.Pulse("mpeace", connect=False) as server:
            _connect(server)
            yield server
    except pulsectl.PulseError as error:
        raise PulseError(f"the sound server does not answer, or refuses: {error}") from None


def _connect(server: "Pulse") -> None:
    """Connect, or give up after `_PATIENCE`: the timeout of pulsectl would always be waited for to its end.

    Raises:
        PulseError: when the server does not answer.
        pulsectl.PulseError: when there is none.
    """
    problems: list[Exception] = []

    def connect() -> None:
        try:
            server.connect(autospawn=True)
        except Exception as problem:  # also what comes of being closed meanwhile
            problems.append(problem)

    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(_PATIENCE)
    if thread.is_alive():
        server.close()  # which ends that thread
        raise PulseError(f"the sound server does not answer within {_PATIENCE:g} s")
    if problems:
        raise problems[0]
