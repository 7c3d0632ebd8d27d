"""How the streams of `mpeace live` are opened, with a PortAudio that is played by the test."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from apps.live import links, rouse
from apps.live.devices import INPUT, OUTPUT, Device
from apps.live.latency import LOW
from apps.live.sides import DeviceProblem, Side

RATE, BLOCK = 48_000, 480
BOTH = (0.01, 0.01)
PATH: Any = SimpleNamespace(sample_rate=RATE, channels=1, block=BLOCK, latency_samples=0, process=lambda frames: frames)


def side(kind: str, name: str = "device") -> Side:
    return Side(Device(name, "ALSA", 0, 1, 1, RATE, BOTH, BOTH), kind, 1)


class Exclusive:
    """A device that is opened by one stream at a time."""

    def __init__(self, refuses: bool = False) -> None:
        self.opened: list[str] = []
        self.holder: object | None = None
        self._refuses = refuses

    def open(
        self, rate: int, block: int, latency: str | float, call: Callable[..., None], source: Side, target: Side | None
    ) -> Any:
        kind = "input" if target is None else "duplex"
        if self.holder is not None or (self._refuses and target):
            raise DeviceProblem("device unavailable")
        self.opened.append(kind)
        stream = SimpleNamespace(active=True, latency=BOTH, start=lambda: None, abort=lambda: None)
        stream.close = lambda: self._leave(stream)
        self.holder = stream
        return stream

    def _leave(self, stream: object) -> None:
        if self.holder is stream:
            self.holder = None


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr(rouse, "_PATIENCE", 0.0)
    monkeypatch.setattr(links, "_PATIENCE", 0.0)
    monkeypatch.setattr(links, "start_stream", lambda stream: stream.start())
    return monkeypatch


@pytest.mark.parametrize("refuses", [False, True])
def test_an_input_that_can_be_opened_once_is_let_go_of(hurried: pytest.MonkeyPatch, refuses: bool) -> None:
    device = Exclusive(refuses)
    for module in (rouse, links):
        hurried.setattr(module, "open_stream", device.open)
    if refuses:
        with pytest.raises(DeviceProblem, match="unavailable"):
            links.DuplexLink(PATH, side(INPUT), side(OUTPUT), LOW)
        assert device.holder is None
        return
    link = links.DuplexLink(PATH, side(INPUT), side(OUTPUT), LOW)
    assert device.opened == ["input", "duplex"]
    assert device.holder is not None
    link.close()
    assert device.holder is None
