"""How sinks and sources of a sound server are reached by name, through which plug-in of ALSA; what is said if not."""

import os
import subprocess
import threading
from typing import Any

import pytest
from soundserver import SoundServer

from apps.live.devices import devices, endpoints
from apps.live.devices import pulseaudio as pulse
from apps.live.devices.devices import INPUT, OUTPUT, SERVER, Device, choose
from apps.live.devices.endpoints import Endpoint, one_stream

RATE = 48_000
BOTH = (0.01, 0.01)
PIPEWIRE_SAYS = ("PulseAudio (on PipeWire 1.4.2)", "15.0.0")
PULSEAUDIO_SAYS = ("pulseaudio", "16.1")


def device(name: str, **options: Any) -> Device:
    return Device(name, "ALSA", 0, 2, 2, RATE, BOTH, BOTH, **options)


def sides(source: Device, target: Device) -> tuple[Endpoint, Endpoint]:
    return Endpoint(source, INPUT, 1), Endpoint(target, OUTPUT, 2)


def of_server(name: str, bridge: str) -> Device:
    return Device(name, SERVER, 0, 2, 2, RATE, BOTH, BOTH, server_name=name, bridge=bridge)


@pytest.fixture
def says(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let the sound server say what it is; an error when None."""

    def let(what: tuple[str, str] | None) -> None:
        def version() -> tuple[str, str]:
            if what is None:
                raise pulse.PulseError("the sound server does not answer")
            return what

        monkeypatch.setattr(pulse, "server_version", version)
        for module in (devices, endpoints):
            monkeypatch.setattr(module, "server_behind", {"pulse": "PulseAudio", "default": "PulseAudio"}.get)

    return let


def listed(monkeypatch: pytest.MonkeyPatch, *names: str) -> list[Device]:
    """What `list_devices` makes of these devices of PortAudio, the last of which is the default, and a sink."""
    infos = [
        {
            "name": name,
            "index": number,
            "hostapi": 0,
            "max_input_channels": 2,
            "max_output_channels": 2,
            "default_samplerate": 44_100.0,
            **{f"default_{kind}_{side}_latency": 0.01 for kind in ("low", "high") for side in (INPUT, OUTPUT)},
        }
        for number, name in enumerate(names)
    ]

    class PortAudio:
        class default:
            device = (len(names) - 1, len(names) - 1)

        query_hostapis = staticmethod(lambda: ({"name": "ALSA", "default_input_device": 0},))
        query_devices = staticmethod(lambda: infos)

    monkeypatch.setattr(devices.portaudio, "load", lambda: PortAudio)
    monkeypatch.setattr(pulse, "pulse_devices", lambda: [pulse.PulseDevice("sink", "Sink", 2, False, True)])
    return devices.list_devices()


@pytest.mark.parametrize(
    ("names", "answer", "bridge", "default"),
    [
        (("pipewire", "pulse", "default"), PIPEWIRE_SAYS, "pipewire", "pipewire"),
        (("pulse", "default"), PIPEWIRE_SAYS, "pulse", "default"),
        (("pipewire", "pulse", "default"), PULSEAUDIO_SAYS, "pulse", "default"),
        (("pipewire", "pulse", "hw:0"), PIPEWIRE_SAYS, "pipewire", "hw:0"),
    ],
)
def test_pipewire_is_reached_by_its_own_plug_in_where_that_is(
    monkeypatch: pytest.MonkeyPatch,
    says: Any,
    names: tuple[str, ...],
    answer: tuple[str, str],
    bridge: str,
    default: str,
) -> None:
    """And what is the default is left alone, unless it is the detour through PulseAudio's plug-in."""
    says(answer)
    found = listed(monkeypatch, *names)
    (sink,) = [device for device in found if device.server_name]
    assert (sink.bridge, sink.index) == (bridge, names.index(bridge))
    assert "any" in devices.table(found)[-1]
    assert choose(None, INPUT, found).name == default


@pytest.mark.parametrize(
    ("source", "target", "answer", "together"),
    [
        ("pulse", "pulse", PIPEWIRE_SAYS, False),
        ("default", "default", PIPEWIRE_SAYS, False),
        ("pulse", "pulse", PULSEAUDIO_SAYS, True),
        ("pipewire", "pipewire", PIPEWIRE_SAYS, True),
        ("hw:0", "hw:0", PIPEWIRE_SAYS, True),
    ],
)
def test_pulseaudios_plug_in_on_pipewire_is_no_stream_for_both_directions(
    says: Any, source: str, target: str, answer: tuple[str, str], together: bool
) -> None:
    says(answer)
    assert one_stream(*sides(device(source), device(target))) == together


def test_two_names_of_pipewire_are_no_stream_for_both_directions(says: Any) -> None:
    says(PIPEWIRE_SAYS)
    assert not one_stream(*sides(of_server("mic", "pipewire"), of_server("speaker", "pipewire")))
    assert not one_stream(*sides(of_server("mic", "pulse"), of_server("speaker", "pulse")))
    says(PULSEAUDIO_SAYS)
    assert one_stream(*sides(of_server("mic", "pulse"), of_server("speaker", "pulse")))


@pytest.mark.parametrize(
    ("source", "told"),
    [
        (of_server("mic", "pulse"), {"PULSE_SOURCE": "mic"}),
        (of_server("mic", "pipewire"), {"PIPEWIRE_NODE": "mic"}),
        (of_server("sink.monitor", "pipewire"), {"PIPEWIRE_NODE": "sink"}),
        (device("pipewire"), {}),
    ],
)
def test_a_new_stream_is_directed_by_the_environment_and_later_ones_are_not(
    monkeypatch: pytest.MonkeyPatch, source: Device, told: dict[str, str]
) -> None:
    """And it bears the name of this program; of a sink of PipeWire's, what it plays is taken."""
    monkeypatch.setenv("PIPEWIRE_NODE", "of the person")
    before = dict(os.environ)
    with endpoints._on_server([Endpoint(source, INPUT, 1)]):
        changed = {name: value for name, value in os.environ.items() if before.get(name) != value}
        properties = changed.pop("PIPEWIRE_ALSA")
        assert changed.pop("PULSE_PROP_OVERRIDE") == "application.name=mpeace"
        assert changed == told
    assert "application.name = mpeace" in properties
    monitored = source.server_name == "sink.monitor"
    assert ("stream.capture.sink = true" in properties) == monitored
    assert dict(os.environ) == before


@pytest.mark.parametrize(
    ("name", "answer", "hint"),
    [
        ("default", PIPEWIRE_SAYS, "To name devices of PulseAudio (on PipeWire 1.4.2): sudo apt install pipewire-alsa"),
        ("default", PULSEAUDIO_SAYS, "To name devices of pulseaudio: sudo apt install libasound2-plugins"),
        ("pipewire", None, "To name devices of PipeWire: sudo apt install pipewire-pulse, and log in again"),
        ("default", None, ""),
    ],
)
def test_a_name_that_is_not_there_says_what_would_bring_the_servers_names(
    says: Any, name: str, answer: tuple[str, str] | None, hint: str
) -> None:
    says(answer)
    with pytest.raises(devices.UsageError) as refused:
        choose("mpeace", OUTPUT, [device(name)])
    assert str(refused.value).startswith(f"no output device has 'mpeace' in its name; there are: {name}, ALSA")
    assert hint in str(refused.value)
    assert ("sudo" in str(refused.value)) == bool(hint)


@pytest.mark.sound
def test_a_server_that_answers_is_not_waited_for(server: SoundServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a patience of hours, the answer comes nevertheless."""
    for name in ("XDG_RUNTIME_DIR", "PULSE_RUNTIME_PATH", "HOME"):
        monkeypatch.setenv(name, server.environment[name])
    monkeypatch.setattr(pulse, "_PATIENCE", 10_000)
    answers: list[tuple[str, str]] = []
    asking = threading.Thread(target=lambda: answers.append(pulse.server_version()), daemon=True)
    asking.start()
    asking.join(60)
    assert answers
    info = subprocess.run(["pactl", "info"], env=server.environment, capture_output=True, text=True, check=True)
    assert f"Server Name: {answers[0][0]}\n" in info.stdout
