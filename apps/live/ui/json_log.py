"""A live session without a screen: one line of JSON a second on standard output, for logs and programs."""

import json
import os
import sys
import time
from typing import Any, Self

from apps.live.session.session import Session
from apps.live.ui.reader import PIECE, has_room
from enhance.utils.errors import one_line, say, silence

_INTERVAL = 1.0  # seconds


class Log:
    """Context with the interface of `Screen`. It leaves the terminal alone, so that it can run in the background.

    Where standard output is closed, nobody is told anything. A reader who pauses holds nothing up: it gets the rest of
    a line when it goes on, and then the next one, with all messages since.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._written = time.monotonic() - _INTERVAL
        self._rest = b""  # of a line, which the reader has not taken yet

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: Any) -> None:
        pass

    def update(self) -> bool:
        """Write when it is time. Returns whether to go on: until a signal comes, or whoever reads has had enough."""
        if sys.stdout is None:
            return True
        passed = (time.monotonic() - self._written) // _INTERVAL
        if passed and not self._rest:
            self._written += passed * _INTERVAL  # what a hold-up has missed is not made up for
            line = json.dumps(self._session.status().as_dict(), ensure_ascii=False)
            # JSON is UTF-8 whatever the terminal is; of file names that are none it takes the escapes.
            self._rest = f"{line}\n".encode(errors="backslashreplace")
        try:
            while self._rest and has_room():
                self._rest = self._rest[os.write(sys.stdout.fileno(), self._rest[:PIECE]) :]
        except BrokenPipeError:
            silence(sys.stdout)
            return False
        except OSError as error:
            silence(sys.stdout)
            say(f"mpeace: the log ends: {one_line(error)}")
        return True
