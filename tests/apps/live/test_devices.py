"""Devices are chosen by a part of their name."""

import pytest
from livepath import RATE

from apps.live.devices.devices import INPUT, OUTPUT, Device, choose, table
from enhance.utils.errors import UsageError


def device(name: str, host_api: str = "ALSA", inputs: int = 1, outputs: int = 0, **options: object) -> Device:
    return Device(name, host_api, 0, inputs, outputs, RATE, (0.01, 0.01), (0.1, 0.1), **options)  # type: ignore[arg-type]


def test_promise_21_devices_by_part_of_their_name() -> None:
    found = [device("USB Audio: front"), device("USB Audio: rear"), device("Built-in", default_input=True)]
    assert choose("rear", INPUT, found).name == "USB Audio: rear"
    assert choose("usb audio: FRONT", INPUT, found).name == "USB Audio: front"
    assert choose(None, INPUT, found).name == "Built-in"
    with pytest.raises(UsageError, match=r"'usb' fits 2 input devices.*USB Audio: front, ALSA; USB Audio: rear, ALSA"):
        choose("usb", INPUT, found)
    with pytest.raises(UsageError, match=r"no input device has 'x1' in its name; there are: USB Audio: front"):
        choose("x1", INPUT, found)
    with pytest.raises(UsageError, match=r"no sound output"):
        choose(None, OUTPUT, found)
    assert table(found)[3].startswith(">   Built-in")


@pytest.mark.parametrize("name", ["", " "])
def test_an_empty_name_means_no_device(name: str) -> None:
    """As of a variable of the shell that is not set; it fitted the only device that no sound server knows."""
    found = [device("hw:0"), device("Headset", "sound server", server_name="headset", default_input=True)]
    with pytest.raises(UsageError, match="an empty name means no input device; leave the option out for the default"):
        choose(name, INPUT, found)


def test_promise_21_one_device_under_several_host_apis_is_no_ambiguity() -> None:
    long = "Microphone (A very long name of a device)"
    found = [device(long[:31], "MME"), device(long, "Windows DirectSound"), device(long, "Windows WASAPI")]
    assert choose("microphone", INPUT, found).host_api == "Windows WASAPI"
    assert choose(f"{long}, windows directsound", INPUT, found).host_api == "Windows DirectSound"
