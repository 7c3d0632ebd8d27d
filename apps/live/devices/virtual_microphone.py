"""The virtual microphone that other programs hear: made on Linux, explained for macOS and Windows."""

import re
from dataclasses import dataclass

from apps.live.devices import pulseaudio as pulse
from apps.live.devices.alsa_plugin import server_behind
from apps.live.devices.devices import Device
from enhance.utils.errors import UsageError

SINK, SOURCE = "mpeace", "mpeace_microphone"  # names for the sound server
SINK_TITLE, SOURCE_TITLE = "mpeace-output", "mpeace-microphone"  # names for people; the server wants no spaces
_SINK_MODULE = (
    f"module-null-sink sink_name={SINK} format=float32le rate=48000 channels=2 "
    f"sink_properties=device.description={SINK_TITLE}"
)
_SOURCE_MODULE = (
    f"module-remap-source source_name={SOURCE} master={SINK}.monitor "
    f"source_properties=device.description={SOURCE_TITLE}"
)
_NO_REWINDS, _NO_REWINDS_SINCE = " norewinds=1", 15  # PulseAudio's rewinds put single wrong samples into recordings


@dataclass(frozen=True)
class Cable:
    """A virtual cable to other programs: mpeace plays to `target`, they record from `source` (names for `choose`)."""

    target: str
    source: str


_KNOWN = {"macOS": Cable("BlackHole", "BlackHole"), "Windows": Cable("CABLE Input", "CABLE Output")}

_GUIDES = {
    "macOS": (
        "macOS has no virtual microphone of its own. BlackHole is one, free:",
        "  brew install blackhole-2ch      (or https://existential.audio/blackhole), then start the computer anew",
        "  mpeace live --output BlackHole",
        "In the other program choose the microphone 'BlackHole 2ch'. `l` in mpeace live lets you listen.",
    ),
    "Windows": (
        "Windows has no virtual microphone of its own. VB-Cable is one, donationware:",
        "  https://vb-audio.com/Cable: unpack, run the setup as administrator, start the computer anew",
        '  mpeace live --output "CABLE Input"',
        "In the other program choose the microphone 'CABLE Output'. `l` in mpeace live lets you listen.",
    ),
    "Linux": (
        "A virtual microphone needs PulseAudio, or PipeWire with its pulse server:",
        "  sudo apt install pipewire-pulse pipewire-alsa        (PipeWire; or what your distribution calls them)",
        "  sudo apt install pulseaudio libasound2-plugins       (PulseAudio)",
        "Then run mpeace live --setup again.",
    ),
}


def guide(system: str) -> tuple[str, ...]:
    """Return the steps to do by hand on a system, one a line."""
    return _GUIDES.get(system, _GUIDES["Linux"])


def known_cable(system: str, devices: list[Device]) -> Cable | None:
    """Return the virtual cable that is usual on this system, if it is installed."""
    cable = _KNOWN.get(system)
    if cable is None:
        return None
    there = all(any(name.lower() in device.name.lower() for device in devices) for name in (cable.target, cable.source))
    return cable if there else None


def make_cable() -> tuple[Cable, bool]:
    """Make the virtual microphone of the sound server if it is not there.

    Returns:
        The cable, and whether it is new.

    Raises:
        PulseError: when there is no server or it refuses.
    """
    present, new = {name for name, _ in pulse.present()}, False
    for name, module in zip((SINK, SOURCE), _modules(*pulse.server_version()), strict=True):
        if name not in present:
            pulse.load_module(*module.split(" ", 1))
            new = True
    return Cable(SINK, SOURCE), new


def check_hears_others(source: Device, target: Device, devices: list[Device]) -> None:
    """Refuse a microphone that is the virtual one, for sound that goes to it: mpeace would hear nothing but itself.

    So it is by default, where a person has made the virtual microphone the usual one for other programs.

    Args:
        source, target: that were chosen; a device that leads to the sound server stands for the default there.
        devices: all of them.

    Raises:
        UsageError: names the microphones that there are.
    """
    sources = [device for device in devices if device.server_name and device.inputs]
    name = source.server_name
    if name is None and (source.name in pulse.BRIDGES or (source.default_input and server_behind(source.name))):
        name = next((device.server_name for device in sources if device.default_input), None)
    own = (SOURCE, f"{SINK}.monitor")
    if target.server_name != SINK or name not in own:
        return
    names = [str(device.server_name) for device in sources if device.server_name not in own]
    others = "; ".join(name for name in names if not name.endswith(".monitor")) or "none"
    raise UsageError(f"the microphone {source.name} is what mpeace itself plays; name yours with --input: {others}")


def keep_advice() -> list[str]:
    """Say how to keep the virtual microphone after the next login, and how to remove it now."""
    server, version = pulse.server_version()
    modules = _modules(server, version)
    if pulse.PIPEWIRE in server:
        place = "~/.config/pipewire/pipewire-pulse.conf.d/mpeace.conf"
        commands = " ".join(f'{{ cmd = "load-module" args = "{module}" }}' for module in modules)
        lines = [f"pulse.cmd = [ {commands} ]"]
    else:
        place = "~/.config/pulse/default.pa (first line: .include /etc/pulse/default.pa)"
        lines = [f"load-module {module}" for module in modules]
    removal = "; ".join(f"pactl unload-module {number}" for number in _numbers())
    return [
        f"To have it after the next login too, put into {place}:",
        *(f"  {line}" for line in lines),
        *([f"To remove it now: {removal}"] if removal else []),
    ]


def _modules(server: str, version: str) -> tuple[str, str]:
    """Return the modules of sink and source, with options that a server of this name and version knows."""
    major = re.match(r"\d+", version)
    rewinds = pulse.PIPEWIRE in server or major is None or int(major[0]) < _NO_REWINDS_SINCE
    return _SINK_MODULE + ("" if rewinds else _NO_REWINDS), _SOURCE_MODULE


def _numbers() -> list[int]:
    """Return the numbers of the modules of the virtual microphone, in the order in which they may be unloaded."""
    loaded = pulse.modules()
    wanted = (("module-remap-source", f"source_name={SOURCE}"), ("module-null-sink", f"sink_name={SINK}"))
    return [
        module.number
        for name, argument in wanted
        for module in loaded
        if module.name == name and argument in module.arguments.split()
    ]
