"""A program in a pseudo-terminal, for tests of what it draws and of its keys."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable

ROWS, COLUMNS = 30, 100
PATIENCE = 90.0  # seconds that anything may take on a busy machine


class Terminal:
    """A process on a terminal of its own: what it draws, and keys for it."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self.before = termios.tcgetattr(theirs)
        self.theirs = theirs
        self.drawn = ""
        environment = {**environment, "TERM": "xterm-256color"}
        self.process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True
        )

    def until(self, condition: Callable[[str], bool]) -> str:
        """Read until what was drawn since the call fulfils a condition."""
        begin, deadline = len(self.drawn), time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            self._take()
            if condition(self.drawn[begin:]):
                return self.drawn[begin:]
        raise AssertionError(f"not drawn: {self.drawn[-3000:]}")

    def press(self, keys: str) -> None:
        """Press keys."""
        os.write(self._ours, keys.encode())

    def close(self) -> None:
        """As if its window were closed."""
        os.close(self._ours)
        os.close(self.theirs)
        os.kill(self.process.pid, signal.SIGHUP)

    def wait(self) -> int:
        """Exit status; reads on meanwhile, so that the process is not stuck in writing."""
        deadline = time.monotonic() + PATIENCE
        while self.process.poll() is None and time.monotonic() < deadline:
            self._take()
        self._take()
        return self.process.wait(1)

    def _take(self) -> None:
        if select.select([self._ours], [], [], 0.05)[0]:
            self.drawn += os.read(self._ours, 65536).decode(errors="ignore")
