"""Devices that vanish, come back under another number, or only seem to; recordings of a program that was held up."""

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from command import read

from apps.live.devices import devices
from apps.live.devices import pulseaudio as pulse
from apps.live.devices.devices import INPUT, OUTPUT, SERVER, Device, choose, find_again
from apps.live.engine.ring_buffer import Ring
from apps.live.engine.streams import PairLink
from apps.live.session import device_watch as watch
from apps.live.session.device_watch import Watch
from apps.live.session.meters import Meters
from apps.live.session.recorder import Recorder
from apps.live.session.session import Session
from enhance.runtime.adaptive import Load
from enhance.utils.errors import UsageError

RATE = 48_000
BOTH = (0.01, 0.01)


def device(name: str, host_api: str = "ALSA", inputs: int = 1, outputs: int = 0, **options: Any) -> Device:
    return Device(name, host_api, 0, inputs, outputs, RATE, BOTH, BOTH, **options)


class Server:
    """What the sound server answers, one after the other; the last answer again and again."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, *answers: set[tuple[str, int]] | None, delay: float = 0
    ) -> None:
        self._answers, self._delay = list(answers), delay
        monkeypatch.setattr(pulse, "present", self._present)
        monkeypatch.setattr(watch, "_ASK_SERVER", 0.0)

    def _present(self) -> set[tuple[str, int]]:
        time.sleep(self._delay)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if answer is None:
            raise pulse.PulseError("the server does not answer")
        return answer


HERE = {("mic", 3), ("sink", 5), ("sink.monitor", 6)}


def verdicts(link: Any, seconds: float = 0.3) -> list[str | None]:
    mic = device("Mic", SERVER, server_name="mic")
    watching = Watch((mic, INPUT), (device("Sink", SERVER, inputs=0, outputs=2, server_name="sink"), OUTPUT))
    found, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        found.append(watching.lost(link))
        time.sleep(0.01)
    return found


def link(**values: Any) -> Any:
    return SimpleNamespace(**{"active": True, "stalled": 0.0, **values})


def test_a_server_that_does_not_answer_is_no_lost_device(monkeypatch: pytest.MonkeyPatch) -> None:
    Server(monkeypatch, HERE, None)
    assert set(verdicts(link())) == {None}


def test_a_slow_server_does_not_hold_up_the_session(monkeypatch: pytest.MonkeyPatch) -> None:
    Server(monkeypatch, HERE, delay=5)
    begin = time.monotonic()
    assert set(verdicts(link(), 0.1)) == {None}
    assert time.monotonic() - begin < 4  # it does not wait for the answer


@pytest.mark.parametrize("later", [HERE - {("sink", 5)}, HERE - {("sink", 5)} | {("sink", 7)}])
def test_a_device_that_is_gone_or_came_back_at_once_is_noticed(
    monkeypatch: pytest.MonkeyPatch, later: set[tuple[str, int]]
) -> None:
    Server(monkeypatch, HERE, HERE, later)
    assert verdicts(link())[-1] == "has vanished"


def test_other_devices_may_come_and_go(monkeypatch: pytest.MonkeyPatch) -> None:
    Server(monkeypatch, HERE, HERE | {("other", 9)}, HERE)
    assert set(verdicts(link())) == {None}


def test_either_side_that_stalls_is_noticed() -> None:
    pair = PairLink.__new__(PairLink)
    pair.called = time.perf_counter()
    pair.feed = SimpleNamespace(stalled=7.0)  # type: ignore[assignment]
    assert pair.stalled == 7.0
    watching = Watch((device("a"), INPUT), (device("b"), OUTPUT))
    assert "nothing for 4 s" in str(watching.lost(link(stalled=pair.stalled)))
    assert watching.lost(link(stalled=0.0)) is None


def test_an_alsa_card_is_found_again_under_another_number(monkeypatch: pytest.MonkeyPatch) -> None:
    usb, built_in = device("USB Audio: - (hw:1,0)"), device("Built-in: ALC (hw:0,0)")

    def again(*found: Device) -> Device | None:
        monkeypatch.setattr(devices, "list_devices", lambda: list(found))
        return find_again(usb, INPUT)

    moved, third = device("USB Audio: - (hw:2,0)"), device("USB Audio: - (hw:3,0)")
    assert again(built_in, moved) == moved
    assert again(moved, usb) == usb
    assert again(moved, third) is None
    assert again(built_in) is None
    assert again(device("USB Audio: - (hw:2,0)", inputs=0, outputs=2)) is None


def test_a_typical_desktop_has_one_device_of_a_name() -> None:
    found = [
        device("USB Audio: - (hw:1,0)", outputs=2),
        device("pulse", inputs=32, outputs=32, default_input=True, default_output=True),
        device("USB Audio Mono", SERVER, server_name="alsa_input.usb-audio.mono"),
        device("USB Audio Stereo", SERVER, inputs=0, outputs=2, server_name="alsa_output.usb-audio.stereo"),
        device("Monitor of USB Audio Stereo", SERVER, inputs=2, server_name="alsa_output.usb-audio.stereo.monitor"),
    ]
    assert choose("usb", INPUT, found) == found[2]
    assert choose("usb", OUTPUT, found) == found[3]
    assert choose("monitor of usb", INPUT, found) == found[4]
    assert choose("hw:1,0", INPUT, found) == found[0]
    assert choose(None, OUTPUT, found) == found[1]
    with pytest.raises(UsageError, match="no input device has 'bluetooth'"):
        choose("bluetooth", INPUT, found)


def test_a_device_that_reports_no_delay_still_lets_a_slow_model_give_way() -> None:
    load, late = Load(allowance=0.0), 0
    for _ in range(20):
        load.note(0.0 if load.late else 0.05, 0.01, skipped=load.late)
        late += load.late
    assert late >= 10


def test_muting_is_no_suppression() -> None:
    meters, loud = Meters(), np.full((4800, 1), 0.1, np.float32)
    for _ in range(20):
        meters.feed(loud, 0.5 * loud, RATE)
    before = meters.suppression
    for _ in range(20):
        meters.feed(loud, 0 * loud, RATE, muted=True)
    assert before == pytest.approx(6.02, abs=0.1)
    assert meters.suppression == before
    assert meters.out.rms < -60


def test_a_recording_keeps_its_length_and_says_what_it_has_lost(tmp_path: Path) -> None:
    """The session is held up for twice as long as the tap can wait."""
    session, messages = Session.__new__(Session), []
    tap = Ring(2, RATE)
    session.path = SimpleNamespace(tap=tap, channels=1, sample_rate=RATE, controls=SimpleNamespace(muted=False))  # type: ignore[assignment]
    session._meters, session._recorder, session._missed = Meters(), Recorder(tmp_path, RATE, 1, 100), 0
    session._say = messages.append  # type: ignore[method-assign]
    paths = session._recorder.paths
    given = np.random.default_rng(0).normal(0, 0.1, 3 * RATE).clip(-1, 1).astype(np.float32)
    late = np.concatenate([np.zeros(100, np.float32), given])[: len(given)]
    for number, block in enumerate(np.stack([given, late], axis=1).reshape(-1, 480, 2)):
        if number < 50 or number >= 249:
            session._drain()
        tap.write(block)
    session._drain()
    session._recorder.close()
    kept, out = (read(path)[0] for path in paths)
    assert len(kept) == len(out) == len(given) - 100
    assert messages == ["recording: 1.00 s are silence, as this program was held up"]
    silent = slice(149 * 480, 249 * 480)
    assert not kept[silent].any()
    given[silent] = 0
    np.testing.assert_allclose(kept, given[:-100], atol=1e-6)
    assert np.count_nonzero(np.abs(out - kept) > 1e-6) <= 200


def test_a_device_that_comes_back_with_fewer_channels_is_said_once() -> None:
    session = Session.__new__(Session)
    session.__dict__.update(
        _watch=SimpleNamespace(find=lambda: [device("Box", inputs=1), device("Speakers", inputs=0, outputs=2)]),
        _settings=SimpleNamespace(channels=2),
        path=SimpleNamespace(channels=2),
        _narrow=False,
        _messages=[],
    )
    for _ in range(3):
        session._look_for_devices()
    assert session._messages == ["Box is back with 1 of 2 channels; waiting for all of them"]
