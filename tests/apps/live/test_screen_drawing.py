"""What the screen of `mpeace live` draws, at any width; and which messages stay on it."""

import io
import os
import signal
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from apps.live.session.session import LiveSettings
from apps.live.session.silence_hint import advice
from apps.live.session.status import Status
from apps.live.ui import keyboard, screen
from apps.live.ui import run_live as run_live_module
from apps.live.ui.keyboard import Keys
from apps.live.ui.screen import Screen, draw

LATENCY = {"algorithm": 20.0, "buffer": 4.0, "device": 129.0, "total": 153.0, "measured": 153.0}


def status(**changes: Any) -> Status:
    values: dict[str, Any] = {
        "time": "2026-11-28T21:35:01+0000", "state": "running", "seconds": 3723.0, "input": "Built-in Microphone",
        "output": "Headphones", "sample_rate": 48_000, "channels": 1, "model": "small", "input_rms": -30.0,
        "input_peak": -12.0, "output_rms": -32.0, "output_peak": -14.0, "suppression_db": 12.0,
        "speech_probability": 0.5, "latency_ms": LATENCY, "frame_ms": {"p50": 0.9, "p95": 1.2, "p99": 2.0},
        "block_ms": 10.0, "load": 0.1, "xruns": 3,
        "lost_in": 0.1, "lost_out": 0.3, "skipped": 2, "repaired": 0, "cpu_percent": 21.0, "bypass": True,
        "muted": True, "attenuation_limit_db": 12.0, "mix": 0.5, "monitor": True, "silence": None, "recording": "x",
        "recorded_seconds": 65.0, "messages": [],
    }  # fmt: skip
    return Status(**values | changes)


@pytest.mark.parametrize("width", [60, 72, 80, 100, 200])
def test_every_label_value_and_key_is_there_at_any_width(width: int) -> None:
    console = Console(width=width, record=True, color_system=None)
    console.print(draw(status(), ["one message"], width))
    text = console.export_text()
    assert "\u2026" not in text, "nothing is cut off"
    for label in (
        "Built-in Microphone",
        "Headphones",
        "48 kHz mono",
        "microphone",
        "output",
        "suppression",
        "delay",
        "time",
        "sound",
        "one message",
    ):
        assert label in text
    for value in ("-30.0 dBFS", "12.0 dB", "153 ms measured", "algorithm 20 + buffer 4 + device 129", "p99 2.00"):
        assert value in text
    for value in (
        "xruns 3, lost in 0.1 s, out 0.3 s",
        "undenoised 0.02 s",
        "CPU 21 %",
        "up 1:02:03",
        "BYPASS",
        "MUTE",
        "REC",
    ):
        assert value in text
    for key in ("b  bypass", "\u2191 \u2193  limit", "m  mute", "l  listen", "r  record", "q  quit"):
        assert key in text
    assert max(map(len, text.splitlines())) <= width


class Session:
    """Gives one status after the other."""

    def __init__(self, *statuses: Status) -> None:
        self._statuses = list(statuses)

    def status(self) -> Status:
        return self._statuses.pop(0)


def test_messages_leave_the_screen_and_silence_is_shown_while_it_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=1000.0)
    shown: list[list[str]] = []
    with monkeypatch.context() as patch:
        patch.setattr(screen.time, "monotonic", lambda: clock.now)
        patch.setattr(screen, "draw", lambda status, messages, width: shown.append([*messages]) or "")
        silent = advice("mic")
        session: Any = Session(
            status(messages=["is back"]), status(silence=silent, messages=[silent]), status(silence=silent), status()
        )
        drawn = Screen(session, Console(quiet=True))
        for seconds in (0, 1, 20, 20):
            clock.now += seconds
            drawn.update()
    assert shown == [["is back"], ["is back"], ["is back"], []]
    console = Console(width=100, record=True, color_system=None)
    console.print(draw(status(silence=silent), [], 100))
    assert "mic gives exact silence" in console.export_text()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no Ctrl-Z that stops a program")
def test_ctrl_z_gives_the_terminal_back_and_the_keys_work_when_it_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    import pty
    import termios

    monkeypatch.setattr(screen, "draw", lambda *_: "")
    former = signal.signal(signal.SIGTSTP, lambda *_: None)  # or a program that does not hear it would stop the tests
    ours, theirs = pty.openpty()
    drawn = io.StringIO()
    seen: list[object] = []

    def lines() -> bool:
        return bool(termios.tcgetattr(theirs)[3] & termios.ICANON)

    def kill(process: int, number: int) -> None:
        seen.extend((process, number, lines(), drawn.getvalue().endswith("\x1b[?1049l")))

    with monkeypatch.context() as patch, os.fdopen(theirs, "r", closefd=False) as keyboard_of_it:
        patch.setattr(sys, "stdin", keyboard_of_it)
        patch.setattr("os.kill", kill)
        session: Any = SimpleNamespace(status=status)
        with Screen(session, Console(file=drawn, force_terminal=True)) as front:
            assert front.update()
            assert not lines()
            signal.raise_signal(signal.SIGTSTP)
            assert front.update()
            assert seen == [os.getpid(), signal.SIGTSTP, True, True]
            assert not lines()
            assert drawn.getvalue().count("\x1b[?1049h") == 2
        assert lines()
    signal.signal(signal.SIGTSTP, former)
    os.close(ours)
    os.close(theirs)


def test_an_arrow_that_comes_in_two_pieces_is_one_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """As through a slow connection: the end of the arrow down was taken for the key of the bypass."""
    pieces = iter(["\x1b", "[B", "q\x1b[", "A", "\x1b", "", "b"])
    keys = Keys()
    monkeypatch.setattr(keys, "_read", lambda: next(pieces))
    assert [keys.pressed() for _ in range(7)] == [[], ["down"], ["q"], ["up"], [], [], ["b"]]
    assert keyboard.split_keys("\x1b[5~b") == ([], "")


@pytest.mark.parametrize(("kind", "front"), [("dumb", "Log"), ("xterm-256color", "Screen")])
def test_a_terminal_that_cannot_show_a_screen_gets_the_log(
    kind: str, front: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It showed nothing at all."""
    chosen = []

    class Front:
        def __init__(self, name: str) -> None:
            chosen.append(name)

        def __enter__(self) -> Any:
            return SimpleNamespace(update=lambda: False)

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setenv("TERM", kind)
    monkeypatch.setenv("FORCE_COLOR", "1")  # as on a terminal
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    session = SimpleNamespace(close=list, status=status)
    monkeypatch.setattr(run_live_module, "Session", lambda _: session)
    monkeypatch.setattr(run_live_module.portaudio, "load", lambda: None)
    for name in ("Log", "Screen"):
        monkeypatch.setattr(run_live_module, name, lambda _, name=name: Front(name))
    assert run_live_module.run_live(LiveSettings(), show_screen=True) == 0
    assert chosen == [front]
