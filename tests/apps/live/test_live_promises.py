"""Promises of `mpeace live` that need no device: what its callbacks do, and what is counted and told."""

import ast
import gc
import inspect
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from command import ROOT
from helpers import speech_like
from livepath import BLOCK, RATE, make_path

from apps.live.devices.devices import INPUT, OUTPUT, Device
from apps.live.devices.endpoints import DeviceProblem, Endpoint
from apps.live.engine import playback as feed
from apps.live.engine import streams as links
from apps.live.engine.block_processor import BlockProcessor
from apps.live.engine.latency import LOW
from apps.live.engine.streams import DuplexLink, Link, PairLink
from apps.live.session import session as sessions
from apps.live.session.meters import percentiles
from apps.live.session.session import LiveSettings, Session
from enhance import Denoiser

BOTH = (0.01, 0.01)
DEVICE = Device("device", "ALSA", 0, 1, 1, RATE, BOTH, BOTH)
TIMES = SimpleNamespace(currentTime=1.0, inputBufferAdcTime=0.99, outputBufferDacTime=1.01)
SOUND = speech_like(BLOCK / RATE, RATE)[0].reshape(-1, 1)
WAITING = {"acquire", "__enter__", "sleep", "open", "print", "write", "flush"}  # names of C functions
WAITING_MODULES = {"threading", "queue", "logging", "io", "subprocess", "rich"}


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Callable[..., None]]:
    """The callbacks of the streams that are opened; none of them calls by itself."""
    callbacks: list[Callable[..., None]] = []

    def open_stream(_rate: int, _block: int, _latency: object, call: Callable[..., None], *_: object) -> Any:
        callbacks.append(call)
        return SimpleNamespace(active=True, latency=BOTH, abort=lambda: None, close=lambda: None)

    for module in (links, feed):
        monkeypatch.setattr(module, "open_stream", open_stream)
    monkeypatch.setattr(links, "start_stream", lambda _: None)
    monkeypatch.setattr(links, "_PATIENCE", 0.0)
    return callbacks


def open_link(path: BlockProcessor, pair: bool) -> Link:
    kind = PairLink if pair else DuplexLink
    return kind(path, Endpoint(DEVICE, INPUT, 1), Endpoint(DEVICE, OUTPUT, 1), LOW)


def call_all(calls: list[Callable[..., None]], link: Link, status: Any = None) -> None:
    """What PortAudio does once in 10 ms."""
    out = np.zeros_like(SOUND)
    if isinstance(link, PairLink):
        play, take = calls[-2:]
        take(SOUND, BLOCK, TIMES, status)
        play(out, BLOCK, TIMES, None)
    else:
        calls[-1](SOUND, out, BLOCK, TIMES, status)


@pytest.mark.parametrize("pair", [False, True], ids=["one device", "two devices"])
def test_promise_20_callbacks_wait_for_nothing_and_print_nothing(
    shipped_denoiser: Denoiser, calls: list[Callable[..., None]], pair: bool
) -> None:
    """All that is called in them is watched: nothing of Python's that locks, sleeps or writes, no `with` of a lock."""
    link = open_link(make_path(shipped_denoiser), pair)
    for _ in range(30):
        call_all(calls, link)
    ours, built_in, modules = set[CodeType](), set[str](), set[str]()

    def watch(frame: FrameType, event: str, called: Any) -> None:
        if event == "c_call":
            built_in.add(called.__name__)
        elif event == "call":
            modules.add(frame.f_globals.get("__name__", "").partition(".")[0])
            if Path(frame.f_code.co_filename).is_relative_to(ROOT):
                ours.add(frame.f_code)

    sys.setprofile(watch)
    try:
        for _ in range(30):
            call_all(calls, link)
    finally:
        sys.setprofile(None)
    names = {code.co_name for code in ours}
    assert {"process", "step", "play" if pair else "_call"} <= names, "the network runs in the callback"
    assert not WAITING & built_in
    assert not WAITING_MODULES & modules
    for code in ours:
        tree = ast.parse(textwrap.dedent(inspect.getsource(code)))
        held = {ast.unparse(node.items[0]) for node in ast.walk(tree) if isinstance(node, ast.With)}
        assert held <= {"may_vanish()"}, code.co_name  # which sets how NumPy takes small numbers, and waits for nothing


def test_promise_20_the_model_has_run_before_a_stream_opens(
    tiny_model: Path, shipped_denoiser: Denoiser, monkeypatch: pytest.MonkeyPatch
) -> None:
    step, steps = Denoiser.step, []

    def counted(self: Denoiser, block: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        steps.append(self.info.name)
        return step(self, block, state)

    def opened(path: BlockProcessor, *_: object) -> None:
        raise InterruptedError(f"{path.blocks} blocks, {steps.count('tiny-delay')} steps")

    monkeypatch.setattr(Denoiser, "step", counted)
    monkeypatch.setattr(sessions, "make_link", opened)
    monkeypatch.setattr(sessions, "common_rate", lambda *_: RATE)
    monkeypatch.setattr(sessions, "be_quick", lambda: None)
    monkeypatch.setattr(sessions, "_keep_garbage", lambda: None)
    monkeypatch.setattr(sessions.devices, "list_devices", lambda: [DEVICE])
    monkeypatch.setattr(sessions.devices, "choose", lambda *_: DEVICE)
    with pytest.raises(InterruptedError, match=r"^0 blocks, 1\d\d steps"):  # 50 alone, 100 on the whole path
        Session(LiveSettings(model=str(tiny_model)))


def test_devices_that_cannot_be_opened_leave_the_collection_of_garbage_on(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service tries again every two seconds, and each time with models of its own."""

    def refused(*_: object) -> None:
        raise DeviceProblem("the device does not start")

    monkeypatch.setattr(sessions, "make_link", refused)
    monkeypatch.setattr(sessions, "common_rate", lambda *_: RATE)
    monkeypatch.setattr(sessions, "be_quick", lambda: None)
    monkeypatch.setattr(sessions.devices, "list_devices", lambda: [DEVICE])
    monkeypatch.setattr(sessions.devices, "choose", lambda *_: DEVICE)
    frozen = gc.get_freeze_count()
    try:
        with pytest.raises(DeviceProblem):
            Session(LiveSettings(model=str(tiny_model)))
        assert gc.isenabled()
        assert gc.get_freeze_count() == frozen
    finally:
        gc.unfreeze()
        gc.enable()


@pytest.mark.parametrize("pair", [False, True], ids=["one device", "two devices"])
def test_promise_20_lost_sound_is_counted_and_times_are_shown(
    tiny_denoiser: Denoiser, calls: list[Callable[..., None]], pair: bool
) -> None:
    link = open_link(make_path(tiny_denoiser), pair)
    for status in (None, "input overflow", None, "input overflow", "output underflow"):
        call_all(calls, link, status)
    assert link.xruns == 3
    link.settle()
    assert link.xruns == 0
    call_all(calls, link, "input overflow")
    assert link.xruns == 1
    assert percentiles(np.arange(1, 101) / 1000) == {"p50": 50.5, "p95": 95.05, "p99": 99.01}
    assert isinstance(link.path, BlockProcessor)
    told = percentiles(link.path.times())
    assert 0 < told["p50"] <= told["p95"] <= told["p99"]
