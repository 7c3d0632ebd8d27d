"""The virtual microphone: what is advised where mpeace cannot make it, and that mpeace does not hear itself by it."""

import pytest

from apps.live.devices import virtual_microphone as virtual
from apps.live.devices.devices import SERVER, Device
from apps.live.devices.virtual_microphone import SINK, SOURCE, check_hears_others, guide
from enhance.utils.errors import UsageError


def test_promise_24_each_system_has_its_words() -> None:
    assert "BlackHole" in " ".join(guide("macOS"))
    assert "CABLE Output" in " ".join(guide("Windows"))
    assert "libasound2-plugins" in " ".join(guide("Linux"))


def device(name: str, inputs: int, default: bool = False, server: bool = True) -> Device:
    api, both = (SERVER if server else "ALSA"), (0.01, 0.01)
    of_server = name if server else None
    return Device(name, api, 0, inputs, 2 - 2 * inputs, 0, both, both, default and inputs > 0, False, of_server)


SPEAKER, OWN_SINK = device("speaker", 0), device(SINK, 0)


@pytest.mark.parametrize("chosen", ["default", "pulse", SOURCE, f"{SINK}.monitor"])
@pytest.mark.parametrize("usual", [SOURCE, "headset"])
def test_a_microphone_that_mpeace_itself_plays_is_refused(
    chosen: str, usual: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by default where a person has made it the default one, for other programs: everybody heard silence."""
    monkeypatch.setattr(virtual, "server_behind", lambda _: "PulseAudio", raising=False)
    alsa = {name: device(name, 1, name == "default", server=False) for name in ("default", "pulse", "usb")}
    named = {name: device(name, 1, name == usual) for name in (SOURCE, f"{SINK}.monitor", "headset", "speaker.monitor")}
    found = [*alsa.values(), *named.values(), SPEAKER, OWN_SINK]
    source = (alsa | named)[chosen]
    if usual == SOURCE or chosen in named:
        with pytest.raises(UsageError, match=f"the microphone {chosen} is .*; name yours with --input: headset$"):
            check_hears_others(source, OWN_SINK, found)
    else:
        check_hears_others(source, OWN_SINK, found)
    check_hears_others(source, SPEAKER, found)
    check_hears_others(alsa["usb"], OWN_SINK, found)
