"""A live session without a screen: one line of JSON a second on standard output, for logs and programs."""

import json
import sys
import time
from typing import Any, Self

from apps.live.keys import Keys
from apps.live.session import Session

_INTERVAL = 1.0  # seconds


class Log:
    """Context with the interface of `Screen`; `q` on a terminal quits here too."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._keys = Keys()
        self._written = time.monotonic() - _INTERVAL

    def __enter__(self) -> Self:
        self._keys.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._keys.__exit__(*error)

    def update(self) -> bool:
        """Write when it is time. Returns False when the person wants to quit, or nobody reads any more."""
        if "q" in self._keys.pressed():
            return False
        if time.monotonic() - self._written < _INTERVAL:
            return True
        self._written += _INTERVAL
        sys.stdout.write(json.dumps(self._session.status().as_dict(), ensure_ascii=False) + "\n")
        sys.stdout.flush()
        return True
