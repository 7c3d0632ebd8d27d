"""What libraries in C print on standard error on their own, past Python: kept from the terminal."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Lock

_lock = Lock()
_depth = 0
_kept = -1


@contextmanager
def stderr_closed(wanted: bool = True) -> Iterator[None]:
    """Send the standard error of the process nowhere, for as long as one thread is inside.

    libmpg123 writes remarks on the files there, which would tear the progress display. What Python prints in another
    thread meanwhile is lost too: keep what is inside short.

    Args:
        wanted: False to do nothing.
    """
    global _depth, _kept
    if not wanted:
        yield
        return
    with _lock:
        if _depth == 0:
            with suppress(OSError, ValueError):  # there may be none
                sys.stderr.flush()
            _kept = _redirected()
        _depth += 1
    try:
        yield
    finally:
        with _lock:
            _depth -= 1
            if _depth == 0 and _kept >= 0:
                os.dup2(_kept, 2)
                os.close(_kept)
                _kept = -1


def _redirected() -> int:
    """Turn file descriptor 2 to nowhere. Returns a copy of it, or -1 when there is none."""
    try:
        kept = os.dup(2)
    except OSError:
        return -1
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    return kept
