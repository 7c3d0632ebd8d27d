"""The screen of a live session, drawn by rich: levels, suppression, delay, load, and the keys that change it."""

import os
import signal
import threading
import time
from itertools import groupby
from typing import Any, Self

from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from apps.live.session.session import Session
from apps.live.session.status import RUNNING, Status
from apps.live.ui.keyboard import Keys

_INTERVAL = 0.125  # seconds between two drawings
_LOWEST, _LOUD, _TOO_LOUD = -60.0, -18.0, -6.0  # dBFS: left end of the meters, and where their colour changes
_MOST_SUPPRESSION = 40.0  # dB, right end of the bar
_MESSAGES = 3  # that stay on the screen,
_SHOWN = 30.0  # and for how many seconds
_NARROW = 76  # columns under which facts take two lines
_KEYS = (
    ("b", "bypass"),
    ("\u2191 \u2193", "limit"),
    ("\u2190 \u2192", "mix"),
    ("m", "mute"),
    ("l", "listen"),
    ("r", "record"),
    ("q", "quit"),
)


class Screen:
    """Context that draws a session and obeys the keys.

    Args:
        session: what is shown.
        console: where; the terminal when None.
    """

    def __init__(self, session: Session, console: Console | None = None) -> None:
        self._session = session
        self._keys = Keys()
        self._messages: list[tuple[float, str]] = []  # when it came, and what
        self._drawn = 0.0
        self._live = Live(console=console or Console(), screen=True, auto_refresh=False)
        self._watches = hasattr(signal, "SIGTSTP") and threading.current_thread() is threading.main_thread()
        self._former: Any = None  # handler of Ctrl-Z
        self._stopping = False  # Ctrl-Z was pressed

    def __enter__(self) -> Self:
        if self._watches and signal.getsignal(signal.SIGTSTP) is not signal.SIG_IGN:
            self._former = signal.signal(signal.SIGTSTP, self._note_stop)
        self._keys.__enter__()
        self._live.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._live.__exit__(*error)
        self._keys.__exit__(*error)
        if self._former is not None:
            signal.signal(signal.SIGTSTP, self._former)
            self._former = None

    def update(self) -> bool:
        """Obey the keys, draw when it is time. Returns False when the person wants to quit."""
        if self._stopping:
            self._stop()
        for key in self._keys.pressed():
            if key.lower() == "q":
                return False
            self._obey(key)
        if time.monotonic() - self._drawn >= _INTERVAL:
            self._drawn = time.monotonic()
            status = self._session.status()
            came = [(self._drawn, message) for message in status.messages if message != status.silence]
            recent = [(when, message) for when, message in self._messages if self._drawn - when < _SHOWN]
            self._messages = (recent + came)[-_MESSAGES:]
            shown = [message for _, message in self._messages]
            self._live.update(draw(status, shown, self._live.console.width), refresh=True)
        return True

    def _note_stop(self, *_: object) -> None:
        self._stopping = True

    def _stop(self) -> None:
        """Give the terminal back while this program is stopped, and take it again when it goes on (`fg`)."""
        self._stopping = False
        self.__exit__(None, None, None)
        os.kill(os.getpid(), signal.SIGTSTP)
        self.__enter__()
        self._drawn = 0.0

    def _obey(self, key: str) -> None:
        session = self._session
        actions = {"b": session.bypass, "m": session.mute, "l": session.monitor, "r": session.record}
        if key in ("up", "+"):
            session.limit(-1)
        elif key in ("down", "-"):
            session.limit(1)
        elif key in ("left", "right"):
            session.mix(1 if key == "right" else -1)
        elif key.lower() in actions:
            actions[key.lower()]()


def can_draw() -> bool:
    """Return whether this terminal can show a screen; one that cannot, as in an editor, is called dumb."""
    console = Console()
    return console.is_terminal and not console.is_dumb_terminal


def draw(status: Status, messages: list[str], width: int) -> RenderableType:
    """Draw a session once.

    Args:
        status: to draw.
        messages: the latest, oldest first; what the status itself says of silence comes after them.
        width: columns of the terminal.
    """
    bar = max(4, min(width, 100) - 30)
    rows = Table.grid(padding=(0, 1))
    rows.add_column(width=11, style="dim", no_wrap=True)
    rows.add_column(width=bar)
    rows.add_column(width=10, justify="right", no_wrap=True)
    rows.add_row("microphone", _meter(status.input_rms, status.input_peak, bar), _level(status.input_rms))
    rows.add_row("output", _meter(status.output_rms, status.output_peak, bar), _level(status.output_rms))
    rows.add_row("suppression", _suppression(status.suppression_db, bar), f"{status.suppression_db:.1f} dB")
    parts = [_title(status), Text(), rows, Text(), _facts(status, width), Text(), _state(status)]
    shown = [*messages, status.silence] if status.silence else messages
    parts += [Text(f"\u2022 {message}", style="yellow") for message in shown]
    parts += [Rule(style="dim"), _keys()]
    return Panel(
        Group(*parts), title="[bold]mpeace live[/]", border_style="cyan", width=min(width, 100), padding=(1, 2)
    )


def _title(status: Status) -> Text:
    text = Text()
    text.append(status.input, style="bold").append("  \u2192  ", style="cyan").append(status.output, style="bold")
    channels = "mono" if status.channels == 1 else f"{status.channels} channels"
    return text.append(f"   {status.sample_rate / 1000:g} kHz {channels}, model {status.model}", style="dim")


def _meter(rms: float, peak: float, width: int) -> Text:
    """Draw a bar up to the RMS, and a mark at the peak, in green, yellow and red."""
    filled, mark = (round(width * min(max((level - _LOWEST) / -_LOWEST, 0), 1)) for level in (rms, peak))

    def cell(column: int) -> tuple[str, str]:
        level = _LOWEST * (1 - (column + 1) / width)
        colour = "red" if level > _TOO_LOUD else "yellow" if level > _LOUD else "green"
        if column < filled:
            return "\u2588", colour
        return ("\u2503", colour) if column == mark - 1 else ("\u2500", "bright_black")

    text = Text()
    for (character, colour), run in groupby(map(cell, range(width))):
        text.append(character * len(list(run)), style=colour)
    return text


def _suppression(decibels: float, width: int) -> Text:
    filled = round(width * min(decibels / _MOST_SUPPRESSION, 1))
    return Text("\u2588" * filled, style="cyan").append("\u2500" * (width - filled), style="bright_black")


def _level(rms: float) -> str:
    return "silence" if rms <= -100 else f"{rms:.1f} dBFS"


def _facts(status: Status, width: int) -> Table:
    table = Table.grid(padding=(0, 1))
    table.add_column(style="dim", width=11, no_wrap=True)
    table.add_column()
    wrapped = "\n" if width < _NARROW else ""
    latency = status.latency_ms
    if latency is not None:
        total = Text(f"{latency['total']:.0f} ms", style="bold")
        total.append(" measured" if latency["measured"] is not None else " expected", style="dim")
        parts = " + ".join(f"{part} {latency[part]:.0f}" for part in ("algorithm", "buffer", "device"))
        total.append(f"{wrapped or ' '}= {parts}")
        table.add_row("delay", total)
    frame = status.frame_ms
    times = Text(f"p50 {frame['p50']:.2f}  p95 {frame['p95']:.2f}  p99 ")
    times.append(f"{frame['p99']:.2f}", style="red" if frame["p99"] > status.block_ms else "")
    table.add_row("time", times.append(f" ms for each {status.block_ms:g} ms", style="dim"))
    lost = Text(
        f"xruns {status.xruns}, lost in {status.lost_in:.1f} s, out {status.lost_out:.1f} s",
        style="red" if status.xruns or status.lost_in or status.lost_out else "green",
    )
    table.add_row("sound", lost)
    passed = f"undenoised {status.skipped * status.block_ms / 1000:.2f} s"
    program = Text(passed, style="yellow" if status.skipped else "dim")
    program.append(f"   CPU {status.cpu_percent:.0f} %   up {clock(status.seconds)}", style="default")
    table.add_row("program", program)
    return table


def _state(status: Status) -> Text:
    limit = status.attenuation_limit_db
    text = Text("noise removed entirely" if limit is None else f"noise lowered by at most {limit:g} dB")
    if status.mix < 1:
        text.append(f", {100 * status.mix:.0f} % of it mixed with the input")
    marks = [
        (status.state != RUNNING, status.state, "black on red"),
        (status.bypass, "BYPASS", "black on yellow"),
        (status.muted, "MUTE", "black on red"),
        (status.monitor, "LISTENING", "black on green"),
        (status.recording is not None, f"REC {clock(status.recorded_seconds)}", "white on red"),
    ]
    for shown, mark, style in marks:
        if shown:
            text.append("  ").append(f" {mark} ", style=style)
    return text


def _keys() -> Columns:
    """Return all keys; where they do not fit in a line, a key and its word stay together."""
    keys = [Text.assemble((f" {key} ", "black on cyan"), f" {what}") for key, what in _KEYS]
    return Columns(keys, padding=(0, 3))


def clock(seconds: float) -> str:
    """Write seconds as on a clock: 3723.4 becomes "1:02:03".

    >>> clock(3723.4), clock(65)
    ('1:02:03', '1:05')
    """
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
