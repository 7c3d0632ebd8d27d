"""Single keys from the terminal, without waiting; the terminal is as before when the context is left."""

import os
import select
import sys
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

_NAMES = {"A": "up", "B": "down", "C": "right", "D": "left"}  # as terminals end the sequence of an arrow
_ARROWS = {start + letter: name for start in ("\x1b[", "\x1bO") for letter, name in _NAMES.items()}
_ARROWS |= {"\xe0H": "up", "\xe0P": "down", "\xe0M": "right", "\xe0K": "left"}  # Windows


class Keys:
    """Context in which `pressed` gives the keys that were pressed. Without a terminal there are none."""

    def __init__(self) -> None:
        self._restore: Callable[[], object] | None = None
        self._read: Callable[[], str] = str
        self._begun = ""  # sequence of a key whose rest may come at the next look

    def __enter__(self) -> Self:
        if sys.stdin is None or not sys.stdin.isatty():
            return self
        if sys.platform == "win32":
            self._read = _read_windows
            return self
        import termios
        import tty

        descriptor = sys.stdin.fileno()
        before = termios.tcgetattr(descriptor)
        self._restore = lambda: termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
        tty.setcbreak(descriptor)
        self._read = lambda: _read_unix(descriptor)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._restore is not None:
            self._restore()

    def pressed(self) -> list[str]:
        """Return the keys since the last call: letters as they are, arrows as "up", "down", "left" and "right"."""
        came = self._read()
        keys, self._begun = split_keys(self._begun + came) if came else ([], "")
        return keys


def split_keys(text: str) -> tuple[list[str], str]:
    """Cut what a terminal sends into keys, and the begin of an arrow; sequences that are not known are dropped.

    Example:
        >>> split_keys("b\\x1b[Aq\\x1b[")
        (['b', 'up', 'q'], '\\x1b[')
    """
    keys: list[str] = []
    while text:
        for sequence, name in _ARROWS.items():
            if text.startswith(sequence):
                keys.append(name)
                text = text[len(sequence) :]
                break
        else:
            if any(sequence.startswith(text) for sequence in _ARROWS):
                return keys, text
            if text[0] == "\x1b":
                break
            keys.append(text[0])
            text = text[1:]
    return keys, ""


def _read_unix(descriptor: int) -> str:
    if not select.select([descriptor], [], [], 0)[0]:
        return ""
    return os.read(descriptor, 1024).decode(errors="ignore")


def _read_windows() -> str:
    import msvcrt

    console: Any = msvcrt
    text = ""
    while console.kbhit():
        text += console.getwch()
    return text
