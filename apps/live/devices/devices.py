"""Sound devices by name: the list, the choice by a part of a name, and whether one that vanished is back."""

import re
from dataclasses import dataclass, replace
from typing import Any

from apps.live.devices import portaudio
from apps.live.devices import pulseaudio as pulse
from apps.live.devices.alsa_plugin import PULSEAUDIO, server_behind
from enhance.utils.errors import UsageError

INPUT, OUTPUT = "input", "output"
SERVER = "sound server"  # host API of the devices that `pulse` finds
ANY_RATE = 0  # of what a sound server resamples
_CARD = re.compile(r" \(hw:\d+,\d+\)$")  # ALSA's number of a card, another one when it is plugged in again
# Where several host APIs offer one device (Windows), the one with the least delay that can be shared comes first.
_ORDER = ("Windows WASAPI", "Core Audio", SERVER, "ALSA", "JACK Audio Connection Kit", "Windows DirectSound", "MME")


@dataclass(frozen=True)
class Device:
    """One device.

    Attributes:
        name: as people see it.
        host_api: by which it is reached.
        index: in PortAudio's present list; never kept over a `rescan`.
        inputs, outputs: most channels.
        sample_rate: its default, Hz, or `ANY_RATE`.
        low, high: default latencies (input, output) in seconds.
        default_input, default_output: whether it is used when none is named.
        server_name: of a sink or source of the sound server, else None.
        bridge: the device of ALSA by which PortAudio reaches that sink or source.
    """

    name: str
    host_api: str
    index: int
    inputs: int
    outputs: int
    sample_rate: int
    low: tuple[float, float]
    high: tuple[float, float]
    default_input: bool = False
    default_output: bool = False
    server_name: str | None = None
    bridge: str | None = None

    @property
    def full_name(self) -> str:
        """Name and host API: enough to name it again."""
        return f"{self.name}, {self.host_api}"

    def channels(self, kind: str) -> int:
        """Return the most channels that it has as an input or as an output."""
        return self.inputs if kind == INPUT else self.outputs


def list_devices() -> list[Device]:
    """Return all devices of PortAudio, then those of the sound server if PortAudio can reach it.

    Raises:
        UsageError: when PortAudio is missing.
    """
    sounddevice = portaudio.load()
    apis = sounddevice.query_hostapis()
    defaults = _defaults(apis)
    devices = [_from_portaudio(info, apis[info["hostapi"]]["name"], defaults) for info in sounddevice.query_devices()]
    on_pipewire = any(device.name in pulse.BRIDGES for device in devices) and pulse.is_pipewire()
    if on_pipewire:
        devices = _without_detour(devices)
    bridge = _bridge(devices, on_pipewire)
    return devices if bridge is None else devices + [_from_server(item, bridge) for item in pulse.pulse_devices()]


def choose(query: str | None, kind: str, devices: list[Device] | None = None) -> Device:
    """Find the device that a name means.

    Args:
        query: a name or a part that only one device has, of any case; None for the default. Where a part fits devices
            of a sound server, ALSA's own view of them is not meant, and monitors only if it has "monitor" in it.
        kind: `INPUT` or `OUTPUT`.
        devices: to choose from; all when None.

    Raises:
        UsageError: when none matches, or several do; names them.
    """
    able = [device for device in (list_devices() if devices is None else devices) if device.channels(kind)]
    if query is None:
        for device in able:
            if device.default_input if kind == INPUT else device.default_output:
                return device
        if not able:
            raise UsageError(f"this system has no sound {kind} that PortAudio can see")
        raise UsageError(f"this system has no default {kind}; name one with --{kind}: {_names(able)}")
    wanted = query.strip().lower()
    if not wanted:
        raise UsageError(f"an empty name means no {kind} device; leave the option out for the default")
    own_names = [{device.name.lower(), device.full_name.lower(), (device.server_name or "").lower()} for device in able]
    matches = [device for device, names in zip(able, own_names, strict=True) if wanted in names]
    if not matches:
        matches = [d for d, names in zip(able, own_names, strict=True) if any(wanted in n for n in names)]
        if "monitor" not in wanted:
            matches = [device for device in matches if not (device.server_name or "").endswith(".monitor")]
        if any(device.server_name for device in matches):
            matches = [device for device in matches if device.host_api != "ALSA"]
    if not matches:
        there = _names(able) or "none"
        raise UsageError(f"no {kind} device has {query!r} in its name; there are: {there}{_unreached(able)}")
    first = min(matches, key=_rank)
    if any(not _same(first, other) for other in matches):
        raise UsageError(f"{query!r} fits {len(matches)} {kind} devices, name more of one: {_names(matches)}")
    return first


def find_again(device: Device, kind: str) -> Device | None:
    """Return the device of the same name in the present list, or None; `portaudio.rescan` makes a new list.

    The number of an ALSA card may have changed, if only one device has the rest of the name.
    """
    able = [candidate for candidate in list_devices() if candidate.channels(kind)]
    for candidate in able:
        if (candidate.full_name, candidate.server_name) == (device.full_name, device.server_name):
            return candidate
    same = [candidate for candidate in able if _without_card(candidate) == _without_card(device)]
    return same[0] if len(same) == 1 else None


def table(devices: list[Device]) -> list[str]:
    """Describe the devices, one a line; the defaults are marked with > (input) and < (output)."""
    head = ("", "name", "host API", "in", "out", "Hz", "low ms", "safe ms")
    rows = [head] + [
        (
            (">" if device.default_input else " ") + ("<" if device.default_output else " "),
            device.name,
            device.host_api,
            str(device.inputs or "-"),
            str(device.outputs or "-"),
            str(device.sample_rate or "any"),
            _milliseconds(device, device.low),
            _milliseconds(device, device.high),
        )
        for device in devices
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    numeric = range(3, len(head))
    return [
        "  ".join(
            text.rjust(width) if column in numeric else text.ljust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _from_portaudio(info: dict[str, Any], host_api: str, defaults: tuple[int, int]) -> Device:
    index = info["index"]
    return Device(
        info["name"],
        host_api,
        index,
        info["max_input_channels"],
        info["max_output_channels"],
        round(info["default_samplerate"]),
        (info["default_low_input_latency"], info["default_low_output_latency"]),
        (info["default_high_input_latency"], info["default_high_output_latency"]),
        index == defaults[0],
        index == defaults[1],
    )


def _bridge(devices: list[Device], on_pipewire: bool) -> Device | None:
    """Return the device that leads to the sinks and sources of the sound server."""
    usable = pulse.BRIDGES if on_pipewire else pulse.BRIDGES[1:]
    return next((device for name in usable for device in devices if device.name == name), None)


def _without_detour(devices: list[Device]) -> list[Device]:
    """Let PipeWire's own plug-in be the default where ALSA's `default` goes through PulseAudio's."""
    own = next((device for device in devices if device.name == pulse.BRIDGES[0]), None)
    usual = next((device for device in devices if device.default_input or device.default_output), None)
    if own is None or usual is None or usual.name != "default" or server_behind(usual.name) != PULSEAUDIO:
        return devices
    moved = {
        own: replace(own, default_input=usual.default_input, default_output=usual.default_output),
        usual: replace(usual, default_input=False, default_output=False),
    }
    return [moved.get(device, device) for device in devices]


def _unreached(devices: list[Device]) -> str:
    """Say how PortAudio gets to the sinks and sources of a sound server that it does not reach, if there is one."""
    if any(device.server_name for device in devices) or not any(device.host_api == "ALSA" for device in devices):
        return ""
    try:
        server = pulse.server_version()[0]
    except pulse.PulseError as error:
        if not any(device.name == pulse.BRIDGES[0] for device in devices):
            return ""
        return f". To name devices of PipeWire: {pulse.INSTALL_PIPEWIRE_PULSE} ({error})"
    return f". To name devices of {server}: {pulse.INSTALL_PLUGIN[pulse.PIPEWIRE in server]}"


def _from_server(item: pulse.PulseDevice, bridge: Device) -> Device:
    inputs, outputs = (item.channels, 0) if item.is_input else (0, item.channels)
    name = item.description or item.name
    return Device(
        name,
        SERVER,
        bridge.index,
        inputs,
        outputs,
        ANY_RATE,
        bridge.low,
        bridge.high,
        item.is_default and item.is_input,
        item.is_default and not item.is_input,
        item.name,
        bridge.name,
    )


def _defaults(apis: tuple[dict[str, Any], ...]) -> tuple[int, int]:
    """Return the default input and output: WASAPI's on Windows, where PortAudio itself chooses the slow MME."""
    sounddevice = portaudio.load()
    for api in apis:
        if api["name"] == "Windows WASAPI" and api["default_input_device"] >= 0 and api["default_output_device"] >= 0:
            return api["default_input_device"], api["default_output_device"]
    chosen = sounddevice.default.device
    return chosen[0], chosen[1]


def _same(first: Device, other: Device) -> bool:
    """Return whether two entries are one device under two host APIs; MME cuts names to 31 characters."""
    if first.host_api == other.host_api:
        return first is other
    shorter, longer = sorted((first.name, other.name), key=len)
    return shorter == longer or (len(shorter) == 31 and longer.startswith(shorter))


def _without_card(device: Device) -> tuple[str, str, str | None]:
    return _CARD.sub("", device.name), device.host_api, device.server_name


def _rank(device: Device) -> int:
    return _ORDER.index(device.host_api) if device.host_api in _ORDER else len(_ORDER)


def _names(devices: list[Device]) -> str:
    return "; ".join(device.server_name or device.full_name for device in devices)


def _milliseconds(device: Device, latencies: tuple[float, float]) -> str:
    sides = ((device.inputs, latencies[0]), (device.outputs, latencies[1]))
    return "/".join(f"{1000 * seconds:.0f}" for channels, seconds in sides if channels)
