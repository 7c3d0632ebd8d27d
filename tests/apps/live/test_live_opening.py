"""How the streams of `mpeace live` are opened, with a PortAudio that is played by the test."""

import time
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from apps.live.devices import pulseaudio as pulse
from apps.live.devices.devices import INPUT, OUTPUT, Device
from apps.live.devices.endpoints import DeviceProblem, Endpoint
from apps.live.engine import playback as feed
from apps.live.engine import streams as links
from apps.live.engine import wake_input as rouse
from apps.live.engine.drift_resampler import HELD_BACK
from apps.live.engine.latency import LOW, parse
from apps.live.session import device_watch
from apps.live.session import session as sessions
from apps.live.session.session import LiveSettings, Session

RATE, BLOCK = 48_000, 480
BOTH = (0.01, 0.01)
PATH: Any = SimpleNamespace(sample_rate=RATE, channels=1, block=BLOCK, latency_samples=0, process=lambda frames: frames)


def device(name: str) -> Device:
    return Device(name, "ALSA", 0, 1, 1, RATE, BOTH, BOTH)


def side(kind: str, name: str = "device") -> Endpoint:
    return Endpoint(device(name), kind, 1)


class Exclusive:
    """A device that is opened by one stream at a time."""

    def __init__(self, refuses: bool = False) -> None:
        self.opened: list[str] = []
        self.holder: object | None = None
        self._refuses = refuses

    def open(
        self,
        rate: int,
        block: int,
        latency: str | float,
        call: Callable[..., None],
        source: Endpoint,
        target: Endpoint | None,
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
    card = Exclusive(refuses)
    for module in (rouse, links):
        hurried.setattr(module, "open_stream", card.open)
    if refuses:
        with pytest.raises(DeviceProblem, match="unavailable"):
            links.DuplexLink(PATH, side(INPUT), side(OUTPUT), LOW)
        assert card.holder is None
        return
    link = links.DuplexLink(PATH, side(INPUT), side(OUTPUT), LOW)
    assert card.opened == ["input", "duplex"]
    assert card.holder is not None
    link.close()
    assert card.holder is None


@pytest.mark.parametrize("empties", [True, False])
def test_a_duplex_stream_is_as_late_as_aimed_at(hurried: pytest.MonkeyPatch, empties: bool) -> None:
    """Whether the device buffers on both sides or empties the input at once."""
    asked: list[float] = []

    def open_stream(_rate: int, _block: int, latency: float, call: Callable[..., None], *_: object) -> Any:
        asked.append(latency)
        buffered = latency if empties else 2 * latency
        times = SimpleNamespace(currentTime=1.0, inputBufferAdcTime=0.99, outputBufferDacTime=1 + buffered)
        sound = np.zeros((BLOCK, 1), np.float32)

        def start() -> None:
            for _ in range(25):
                call(sound, sound.copy(), BLOCK, times, None)

        return SimpleNamespace(active=True, latency=BOTH, start=start, abort=lambda: None, close=lambda: None)

    hurried.setattr(links, "open_stream", open_stream)
    hurried.setattr(rouse, "open_stream", Exclusive().open)
    link = links.DuplexLink(PATH, side(INPUT), side(OUTPUT), parse("0.2"))
    assert link.latency().total == pytest.approx(0.2, abs=1e-6)
    assert asked == pytest.approx([0.095, 0.19] if empties else [0.095])


def test_two_devices_share_what_is_aimed_at(hurried: pytest.MonkeyPatch) -> None:
    for module in (feed, links):
        hurried.setattr(module, "open_stream", lambda *arguments: Exclusive().open(*arguments))
    link = links.PairLink(PATH, side(INPUT), side(OUTPUT, "other"), parse("0.2"))
    assert link.feed.slack == pytest.approx((0.2 - BLOCK / RATE - HELD_BACK / RATE) / 3)


def broken_link(delay: float) -> Any:
    """A link that has lost some sound, with a delay in seconds."""
    lost = SimpleNamespace(seconds=0.5)
    return SimpleNamespace(
        xruns=2, lost_in=lost, silence=0.25, latency=lambda: SimpleNamespace(total=delay), close=lambda: None
    )


@pytest.fixture
def session(hurried: pytest.MonkeyPatch) -> Session:
    """One that runs, without a device; its monitor is called so."""
    session = Session.__new__(Session)
    session._settings = LiveSettings(monitor="phones")
    session._target = device("loudspeaker")
    session._monitored, session._former = False, (0, 0.0, 0.0)
    session.link = broken_link(delay=0.1)
    session.path = SimpleNamespace(**vars(PATH), listener=None)  # type: ignore[assignment]
    session._messages = []
    hurried.setattr(sessions.devices, "choose", lambda *_: device("phones"))
    return session


def test_a_monitor_that_does_not_start_is_closed(hurried: pytest.MonkeyPatch, session: Session) -> None:
    phones = Exclusive()
    hurried.setattr(feed, "open_stream", phones.open)

    def refuse(_: object) -> None:
        raise DeviceProblem("the device does not start")

    hurried.setattr(sessions, "start_stream", refuse)
    session.monitor()
    assert phones.opened
    assert phones.holder is None
    assert session.path.listener is None
    assert session._messages == ["the device does not start"]


def test_a_monitor_waits_with_the_devices_and_comes_back(hurried: pytest.MonkeyPatch, session: Session) -> None:
    phones = Exclusive()
    hurried.setattr(feed, "open_stream", phones.open)
    hurried.setattr(sessions, "start_stream", lambda _: None)
    link = session.link
    session.monitor()
    assert session.path.listener is not None
    session._end()
    assert phones.holder is None
    session.monitor()
    session.monitor()
    assert phones.holder is None  # PortAudio can look for devices only while no stream is open
    session.link = link
    session._listen()
    assert session.path.listener is not None
    session.monitor()
    assert phones.holder is None


def test_a_monitor_that_the_server_has_moved_elsewhere_is_switched_off(
    hurried: pytest.MonkeyPatch, session: Session
) -> None:
    """Headphones that are unplugged must not become the loudspeaker, which howls."""
    phones, present = Exclusive(), {("phones", 3)}
    headset = replace(device("phones"), server_name="phones")
    hurried.setattr(sessions.devices, "choose", lambda *_: headset)
    hurried.setattr(feed, "open_stream", phones.open)
    hurried.setattr(feed.DriftCompensatedOutput, "stalled", 0.0)
    hurried.setattr(sessions, "start_stream", lambda _: None)
    hurried.setattr(pulse, "present", lambda: set(present))
    hurried.setattr(device_watch, "_ASK_SERVER", 0.0)
    session._watch = SimpleNamespace(lost=lambda _: None)  # type: ignore[assignment]
    session._settled = session._silent = session._advised = False
    session._opened = session._collected = time.monotonic()
    session._model = SimpleNamespace(messages=[])  # type: ignore[assignment]
    session.link = SimpleNamespace(**vars(session.link), calls=0, grown=False)  # type: ignore[assignment]
    for look in ("_drain", "_look_for_silence"):
        hurried.setattr(session, look, lambda: None)
    session.monitor()
    assert phones.holder is not None

    def polled() -> list[str]:
        for _ in range(20):
            session.poll()
            time.sleep(0.01)
        return session._messages

    assert polled() == []
    present.clear()
    assert polled() == ["the monitor has vanished"]
    assert phones.holder is None


def test_devices_whose_delay_has_grown_are_opened_anew(session: Session) -> None:
    """What had waited in them counts as lost; what was lost before stays counted."""
    opened = []

    def begin(*sides: Endpoint) -> None:
        opened.append(sides)
        session.link = broken_link(delay=0.1)

    session._begin = begin  # type: ignore[method-assign]
    session._sides = side(INPUT), side(OUTPUT)
    session._open_again(broken_link(delay=1.5))
    assert opened == [session._sides]
    xruns, lost_in, lost_out = session._troubles()
    assert (xruns, lost_in) == (4, 0.5 + 1.5 + 0.5)
    assert lost_out == pytest.approx(0.25 + 0.25, abs=0.1)
    assert session._messages == [
        "the delay had grown to 1.5 s while the computer was busy; the devices were opened anew"
    ]


def test_devices_that_cannot_be_opened_anew_are_waited_for(session: Session) -> None:
    def begin(*_: Endpoint) -> None:
        raise DeviceProblem("the device does not start")

    session._begin = begin  # type: ignore[method-assign]
    session._sides = side(INPUT), side(OUTPUT)
    session._open_again(broken_link(delay=1.5))
    assert session.link is None
    assert session._messages == ["the delay had grown to 1.5 s while the computer was busy; waiting for the devices"]
