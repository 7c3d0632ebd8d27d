"""Detection of devices that vanish: the system says so, or the calls stop, or the server has lost them."""

import threading
import time
from typing import Protocol

from apps.live.devices import portaudio
from apps.live.devices import pulseaudio as pulse
from apps.live.devices.devices import INPUT, OUTPUT, Device, find_again
from apps.live.devices.endpoints import Endpoint

_STALLED = 4.0  # seconds without a call
_ASK_SERVER = 3.0  # seconds between two questions to the sound server
_RETRY = 1.0  # seconds between two looks for a device that vanished


class Sound(Protocol):
    """Declare what is looked at: a `Link`, or an output of its own."""

    @property
    def active(self) -> bool: ...

    @property
    def stalled(self) -> float: ...


class Watch:
    """Looks after devices.

    Args:
        sides: each device as it was when it was opened, and its kind.
    """

    def __init__(self, *sides: tuple[Device, str]) -> None:
        self._sides = sides
        self._names = {device.server_name for device, _ in sides if device.server_name}
        self._asked = self._tried = 0.0
        self._link: Sound | None = None
        self._asking: threading.Thread | None = None
        self._first: set[tuple[str, int]] | None = None  # the server's first answer for this link
        self._moved = False

    def lost(self, link: Sound) -> str | None:
        """Say in a few words what is wrong, or return None.

        A sound server moves the streams of a device that vanishes to another one without a word; hence the question.
        """
        if not link.active:
            return "has vanished"
        if link.stalled > _STALLED:
            return f"has sent nothing for {_STALLED:g} s"
        if link is not self._link:
            self._link, self._first, self._moved = link, None, False
        busy = self._asking is not None and self._asking.is_alive()
        if self._names and not busy and time.monotonic() - self._asked > _ASK_SERVER:
            self._asked = time.monotonic()
            self._asking = threading.Thread(target=self._ask, args=(link,), daemon=True)
            self._asking.start()
        return "has vanished" if self._moved else None

    def _ask(self, link: Sound) -> None:
        """Compare the server's devices with those at first; in a thread, as a busy server answers after seconds."""
        try:
            ours = {(name, index) for name, index in pulse.present() if name in self._names}
        except pulse.PulseError:
            return  # a server that is gone ends the streams
        if link is not self._link:
            return
        if self._first is None:
            self._first = ours
        self._moved = ours != self._first or {name for name, _ in ours} != self._names

    def find(self) -> list[Device] | None:
        """Find all devices by their names, if they are back; looks at most once a second. No stream may be open."""
        if time.monotonic() - self._tried < _RETRY:
            return None
        self._tried = time.monotonic()
        if not portaudio.rescan():
            return None
        found = [again for side in self._sides if (again := find_again(*side)) is not None]
        return found if len(found) == len(self._sides) else None


def sides(source: Device, target: Device, channels: int | None) -> tuple[Endpoint, Endpoint]:
    """Return the sides of a link: as many channels in as wanted (one if not), the same out if the device has them.

    One channel goes to both loudspeakers; more than the output has are mixed.
    """
    given = min(channels or 1, source.inputs)
    out = given if given > 1 else 2
    return Endpoint(source, INPUT, given), Endpoint(target, OUTPUT, min(out, target.outputs))
