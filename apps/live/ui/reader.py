"""The program that reads standard output: asked whether it takes more, so that one who pauses holds nothing up."""

import select
import sys

PIECE = 4096  # bytes that a pipe takes at once when it has room (PIPE_BUF)


def has_room() -> bool:
    """Return whether standard output takes a piece without a wait; always on Windows, where no pipe can be asked."""
    return sys.platform == "win32" or bool(select.select([], [sys.stdout.fileno()], [], 0)[1])
