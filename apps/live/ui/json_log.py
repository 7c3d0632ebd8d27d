"""A live session without a screen: one line of JSON a second on standard output, for logs and programs."""

import json
import sys
import time
from typing import Any, Self

from apps.live.session.session import Session
from enhance.utils.errors import one_line, say, silence

_INTERVAL = 1.0  # seconds


class Log:
    """Context with the interface of `Screen`. It leaves the terminal alone, so that it can run in the background.

    Where standard output is closed, nobody is told anything.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._written = time.monotonic() - _INTERVAL

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: Any) -> None:
        pass

    def update(self) -> bool:
        """Write when it is time. Returns whether to go on: until a signal comes, or whoever reads has had enough."""
        passed = (time.monotonic() - self._written) // _INTERVAL
        if passed:
            self._written += passed * _INTERVAL  # what a hold-up has missed is not made up for
            line = json.dumps(self._session.status().as_dict(), ensure_ascii=False)
            try:
                print(line, flush=True)  # nowhere, where standard output is closed
            except BrokenPipeError:
                silence(sys.stdout)
                return False
            except OSError as error:
                silence(sys.stdout)
                say(f"mpeace: the log ends: {one_line(error)}")
        return True
