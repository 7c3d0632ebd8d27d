"""One side of the sound, a device with a number of channels, and the opening of PortAudio's streams on such sides."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from apps.live.devices import portaudio
from apps.live.devices import pulseaudio as pulse
from apps.live.devices.alsa_plugin import PULSEAUDIO, server_behind
from apps.live.devices.devices import INPUT, OUTPUT, SERVER, Device
from enhance.utils.errors import UsageError

_USUAL_RATES = (44_100, 96_000, 32_000, 16_000, 88_200, 192_000, 24_000, 22_050, 11_025, 8_000)
# Read by the plug-ins of ALSA for new streams: the name of this program, and where a stream goes.
_PULSE = {INPUT: "PULSE_SOURCE", OUTPUT: "PULSE_SINK"}
_PIPEWIRE, _PIPEWIRE_PROPERTIES = "PIPEWIRE_NODE", "PIPEWIRE_ALSA"
_PROPERTIES = "application.name = mpeace node.name = mpeace"  # without them, "PipeWire ALSA [python3.11]"
_NAMES = {"PULSE_PROP_OVERRIDE": "application.name=mpeace", _PIPEWIRE_PROPERTIES: f"{{ {_PROPERTIES} }}"}
_MONITOR = ".monitor"  # PulseAudio's ending for what a sink plays; for PipeWire it is a property of the stream


class DeviceProblem(UsageError):
    """A device cannot be opened now; it may be later."""


@dataclass(frozen=True)
class Endpoint:
    """A device in one direction."""

    device: Device
    kind: str
    channels: int


def open_stream(
    sample_rate: int,
    block: int,
    latency: str | float,
    callback: Callable[..., None],
    source: Endpoint | None,
    target: Endpoint | None,
) -> Any:
    """Open a stream of PortAudio on one or two sides; it is not started.

    Args:
        sample_rate: Hz.
        block: frames in each call of the callback.
        latency: "low", "high" or seconds, for each side.
        callback: as sounddevice's for such a stream.
        source, target: the sides, at least one.

    Raises:
        DeviceProblem: when that does not work, in PortAudio's words.
    """
    sounddevice = portaudio.load()
    sides = [side for side in (source, target) if side is not None]
    kind = {2: sounddevice.Stream}.get(len(sides), sounddevice.InputStream if source else sounddevice.OutputStream)
    device = [side.device.index for side in sides]
    channels = [side.channels for side in sides]
    extra = [_settings(side.device) for side in sides]
    try:
        with portaudio.quiet(), _on_server(sides):
            return kind(
                samplerate=sample_rate,
                blocksize=block,
                device=device if len(sides) == 2 else device[0],
                channels=channels if len(sides) == 2 else channels[0],
                extra_settings=extra if len(sides) == 2 else extra[0],
                dtype="float32",
                latency=latency,
                callback=callback,
            )
    except (sounddevice.PortAudioError, ValueError) as error:
        names = " and ".join(dict.fromkeys(side.device.full_name for side in sides))
        raise DeviceProblem(f"{names} cannot be opened at {sample_rate} Hz: {portaudio.reason(error)}") from None


def one_stream(source: Endpoint, target: Endpoint) -> bool:
    """Return whether both sides go into one stream of PortAudio, if they have one clock.

    Not so on PipeWire where its own plug-in of ALSA takes one name for both directions, nor through PulseAudio's
    plug-in: one stream for both directions then takes a whole core, and the sound comes later and later.
    """
    devices = (source.device, target.device)
    if any(device.bridge == pulse.BRIDGES[0] for device in devices):
        return False
    through_pulse = (
        device.host_api in ("ALSA", SERVER) and server_behind(device.bridge or device.name) == PULSEAUDIO
        for device in devices
    )
    return not (any(through_pulse) and pulse.is_pipewire())


def start_stream(stream: Any) -> None:
    """Start a stream of `open_stream`.

    Raises:
        DeviceProblem: when that does not work.
    """
    sounddevice = portaudio.load()
    try:
        with portaudio.quiet():
            stream.start()
    except sounddevice.PortAudioError as error:
        raise DeviceProblem(f"the device does not start: {portaudio.reason(error)}") from None


def mixed(sound: np.ndarray, channels: int) -> np.ndarray:
    """Mix float32 [frames, given] for an output: where it has fewer channels, each plays the mean of every so many.

    Example:
        >>> mixed(np.array([[1, 2, 3, 4]], np.float32), 2)
        array([[2., 3.]], dtype=float32)
    """
    if sound.shape[1] <= channels:
        return sound
    return np.stack([sound[:, channel::channels].mean(axis=1) for channel in range(channels)], axis=1)


def common_rate(source: Endpoint, target: Endpoint, wanted: int | None) -> int:
    """Return a rate that both sides take, Hz: the wanted one, or 48 kHz, or a default of theirs, or another usual one.

    Raises:
        DeviceProblem: when there is none.
    """
    defaults = (source.device.sample_rate, target.device.sample_rate)
    for rate in (wanted,) if wanted else (48_000, *filter(None, defaults), *_USUAL_RATES):
        if _takes(source, rate) and _takes(target, rate):
            return rate
    names = " and ".join(dict.fromkeys((source.device.full_name, target.device.full_name)))
    what = f"{wanted} Hz" if wanted else "no common sample rate"
    raise DeviceProblem(
        f"{names}: {what} does not work, or a device is in use" if wanted else f"{names}: {what}, or a device is in use"
    )


def _takes(side: Endpoint, sample_rate: int) -> bool:
    sounddevice = portaudio.load()
    check = sounddevice.check_input_settings if side.kind == INPUT else sounddevice.check_output_settings
    try:
        with portaudio.quiet(), _on_server([side]):
            check(
                device=side.device.index,
                channels=side.channels,
                dtype="float32",
                extra_settings=_settings(side.device),
                samplerate=sample_rate,
            )
    except (sounddevice.PortAudioError, ValueError):
        return False
    return True


@contextmanager
def _on_server(sides: list[Endpoint]) -> Iterator[None]:
    """Direct new streams, inside the block, to the sinks and sources of these sides on the sound server."""
    wanted = {name: value for side in sides for name, value in _variables(side).items()}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _variables(side: Endpoint) -> dict[str, str]:
    """Return the environment that directs a new stream to this side, under the name of this program."""
    device, name = side.device, side.device.server_name
    if device.host_api not in ("ALSA", SERVER):
        return {}
    if name is None:
        return _NAMES
    if device.bridge != pulse.BRIDGES[0]:
        return {**_NAMES, _PULSE[side.kind]: name}
    if side.kind == INPUT and name.endswith(_MONITOR):
        properties = f"{{ {_PROPERTIES} stream.capture.sink = true }}"
        return {**_NAMES, _PIPEWIRE: name.removesuffix(_MONITOR), _PIPEWIRE_PROPERTIES: properties}
    return {**_NAMES, _PIPEWIRE: name}


def _settings(device: Device) -> Any:
    """Return the settings of the host API: shared WASAPI converts other rates than the mixer's only on request."""
    if device.host_api == "Windows WASAPI":
        return portaudio.load().WasapiSettings(auto_convert=True)
    return None
