"""What a person is advised to install, where mpeace cannot make a virtual microphone."""

from apps.live.devices.virtual_microphone import guide


def test_promise_24_each_system_has_its_words() -> None:
    assert "BlackHole" in " ".join(guide("macOS"))
    assert "CABLE Output" in " ".join(guide("Windows"))
    assert "libasound2-plugins" in " ".join(guide("Linux"))
