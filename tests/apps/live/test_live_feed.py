"""The queue between two devices when sound is late or lost, simulated with clocks of its own; channels that differ."""

from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from apps.live.devices.devices import INPUT, OUTPUT, Device
from apps.live.devices.endpoints import Endpoint
from apps.live.engine import playback as feeds
from apps.live.engine import streams as links
from apps.live.engine.latency import LOW
from apps.live.engine.playback import DriftCompensatedOutput
from apps.live.engine.playout_buffer import PlayoutBuffer

RATE, BLOCK = 48_000, 480
NO_TIMES = SimpleNamespace(currentTime=0.0, inputBufferAdcTime=0.0, outputBufferDacTime=0.0)


def side(kind: str, channels: int) -> Endpoint:
    both = (0.01, 0.01)
    return Endpoint(Device("device", "ALSA", 0, channels, channels, RATE, both, both), kind, channels)


@pytest.fixture
def no_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    """Streams that are opened and never call."""
    stream = SimpleNamespace(active=True, latency=0.01, abort=lambda: None, close=lambda: None)
    for module in (feeds, links):
        monkeypatch.setattr(module, "open_stream", lambda *_: stream)
    monkeypatch.setattr(links, "start_stream", lambda _: None)


class Clock:
    """Seconds that the simulation sets."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        for module in ("playback", "playout_buffer"):
            monkeypatch.setattr(f"apps.live.engine.{module}.perf_counter", lambda: self.now)


def simulate(
    feed: DriftCompensatedOutput,
    clock: Clock,
    seconds: float,
    brought: Callable[[int], Iterable[int]],
    stalled: range = range(0),
) -> np.ndarray:
    """Let both sides call every 10 ms, and give what is played.

    Args:
        feed: as it is new.
        clock: of the simulation.
        seconds: of it.
        brought: which blocks of a tone come with a call.
        stalled: numbers of the calls in which the output does not call.
    """
    played = []
    for number in range(round(seconds * RATE / BLOCK)):
        clock.now = number * BLOCK / RATE
        if number not in stalled:
            out = np.empty((BLOCK, 1), np.float32)
            feed._play(out, BLOCK, NO_TIMES, None)
            played.append(out[:, 0])
        clock.now += 0.005
        for block in brought(number):
            phase = 2 * np.pi * 200 * (block * BLOCK + np.arange(BLOCK)) / RATE
            feed.bring(0.5 * np.sin(phase).astype(np.float32)[:, None])
    return np.concatenate(played)


def biggest_step(sound: np.ndarray) -> float:
    return float(np.abs(np.diff(sound)).max())


TONE_STEP = 0.5 * 2 * np.pi * 200 / RATE


@pytest.mark.parametrize("blocks", [5, 15, 30])
@pytest.mark.parametrize("late", [False, True])
def test_input_that_is_lost_or_late_is_one_gap_and_the_delay_is_as_before(
    no_streams: None, monkeypatch: pytest.MonkeyPatch, blocks: int, late: bool
) -> None:
    """For 50, 150, 300 ms nothing comes, in the end either all at once or never."""

    def brought(number: int) -> Iterable[int]:
        if 100 <= number < 100 + blocks:
            return ()
        return range(100, number + 1) if late and number == 100 + blocks else (number,)

    clock, feed = Clock(monkeypatch), DriftCompensatedOutput(RATE, BLOCK, 1, side(OUTPUT, 1), LOW)
    sound = simulate(feed, clock, 10, brought)
    assert feed.outlet.gaps == 1
    assert feed.slack == pytest.approx(LOW.slack + 0.001)
    wanted = BLOCK + feed.slack * RATE
    assert feed.outlet.waiting() == pytest.approx(wanted, abs=0.001 * RATE)
    pieces = np.abs(sound[RATE // 2 :].reshape(-1, BLOCK)).max(axis=1)
    assert np.count_nonzero(pieces < 0.1) <= blocks + 3
    assert biggest_step(sound) < 1.5 * TONE_STEP


def test_slack_is_given_up_again_after_a_long_calm(no_streams: None, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, feed = Clock(monkeypatch), DriftCompensatedOutput(RATE, BLOCK, 1, side(OUTPUT, 1), LOW)
    monkeypatch.setattr(feeds, "_CALM", 10.0)
    sound = simulate(feed, clock, 90, lambda number: () if number in (100, 101, 102, 103) else (number,))
    assert feed.outlet.gaps == 1
    assert feed.slack == LOW.slack
    assert feed.outlet.waiting() == pytest.approx(BLOCK + LOW.slack * RATE, abs=0.002 * RATE)
    assert biggest_step(sound) < 1.5 * TONE_STEP


def test_the_queue_that_is_filled_anew_makes_no_click(no_streams: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once when the link has settled, once when the output has stalled for 300 ms."""
    clock, feed = Clock(monkeypatch), DriftCompensatedOutput(RATE, BLOCK, 1, side(OUTPUT, 1), LOW)

    def brought(number: int) -> Iterable[int]:
        if number == 100:
            feed.settle()
        return (number,)

    sound = simulate(feed, clock, 4, brought, range(200, 230))
    assert biggest_step(sound) < 1.5 * TONE_STEP
    assert feed.outlet.gaps == 0
    assert feed.outlet.waiting() == pytest.approx(BLOCK + feed.slack * RATE, abs=0.001 * RATE)


def test_a_gap_fades_and_the_delay_stays() -> None:
    outlet = PlayoutBuffer(1, RATE, 1.0, wanted=2 * BLOCK)
    tone = 0.5 * np.sin(2 * np.pi * 200 * np.arange(100 * BLOCK) / RATE).astype(np.float32).reshape(-1, BLOCK, 1)
    played = []
    for number, block in enumerate(tone):
        if number not in (40, 41, 42):  # nothing comes
            outlet.ring.write(block)
        out = np.empty((BLOCK, 1), np.float32)
        outlet.play(out)
        played.append(out[:, 0])
    sound = np.concatenate(played)
    assert outlet.gaps == 1
    assert len(outlet.ring) == BLOCK
    assert biggest_step(sound) < 1.5 * np.abs(np.diff(tone.ravel())).max()


@pytest.mark.parametrize(("given", "out"), [(2, 1), (4, 2), (3, 2), (1, 2)])
@pytest.mark.parametrize("kind", [links.DuplexLink, links.PairLink])
def test_channels_that_differ_are_mixed(
    no_streams: None, monkeypatch: pytest.MonkeyPatch, kind: type[links.Link], given: int, out: int
) -> None:
    monkeypatch.setattr(links, "_PATIENCE", 0.0)
    path: Any = SimpleNamespace(
        sample_rate=RATE, channels=given, block=BLOCK, latency_samples=0, process=lambda frames: frames
    )
    link = kind(path, side(INPUT, given), side(OUTPUT, out), LOW)  # type: ignore[call-arg]
    frames = np.tile(np.arange(1, given + 1, dtype=np.float32), (BLOCK, 1))
    played = np.empty((BLOCK, out), np.float32)
    if isinstance(link, links.PairLink):
        for _ in range(8):
            link._call(frames, BLOCK, NO_TIMES, None)
            link.feed._play(played, BLOCK, NO_TIMES, None)
    else:
        link._call(frames, played, BLOCK, NO_TIMES, None)
    expected = [float(np.mean(range(1 + channel, given + 1, out))) if given > out else 1 for channel in range(out)]
    np.testing.assert_allclose(played[-1], expected, atol=1e-3)
