"""Ctrl-C, SIGTERM or a terminal that is closed, without a torn file: the signal sets a flag, which the work looks at
between two blocks of sound.

An exception thrown from a signal handler could surface inside a callback of libsndfile, where it is lost. So the
handler only notes the signal, `check` raises `Stopped` at a safe place, and the cleaning up is ordinary `finally`
code. While the work waits for standard input there is nothing to tear, and `waiting` lets the signal break the wait.
A second signal does not wait for the safe place.

Python runs a handler between two of its own instructions, so a call into a library that does not end keeps every signal
from being noted. A thread beside it sees the signal all the same, and ends the program if it is not noted in time.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Self

_GRACE = 10.0  # seconds from a signal until it must be noted
_JUST_NOW = 1.0  # seconds before the thread hears of a signal, in which it may have been noted
_LOOK = 0.1  # seconds between two looks
_NAP = 0.25  # seconds of sleep until a signal is raised


class Stopped(BaseException):
    """The person or the system asked the work to end. `exit_status` is 128 + the signal's number, as in shells."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.exit_status = 128 + number


class Stopper:
    """Context that listens to SIGINT, SIGTERM and SIGHUP, and restores the former handlers when it is left.

    A SIGHUP that is ignored already, as under `nohup`, stays so.

    Args:
        worker: for worker processes: a terminal sends Ctrl-C and its end to them too, but their parent ends them. It
            may send them a signal that they have had, so a second signal changes nothing; it kills those that go on.
        once: for servers, which end in order: a second signal changes nothing.

    Attributes:
        unfinished: a file that is removed should the program have to be ended in the middle of a call.
    """

    def __init__(self, worker: bool = False, once: bool = False) -> None:
        self._worker = worker
        self._once = worker or once
        self._number: int | None = None
        self._waiting = False
        self._leaving = False
        self._former: dict[int, object] = {}
        self._noted_at = -float("inf")  # time.monotonic() of the last signal that was noted
        self._woken: tuple[int, int] | None = None  # ends of a pipe into which the system writes signals as they come
        self._former_wakeup = -1
        self.unfinished: Path | None = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            interrupt = signal.SIG_IGN if self._worker else self._note
            self._former[signal.SIGINT] = signal.signal(signal.SIGINT, interrupt)
            self._former[signal.SIGTERM] = signal.signal(signal.SIGTERM, self._note)
            if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
                self._former[signal.SIGHUP] = signal.signal(signal.SIGHUP, interrupt)
            if not self._worker and sys.platform != "win32":  # where nobody sends such signals
                self._watch()
        return self

    def __exit__(self, *_: object) -> None:
        self._leaving = True  # nothing is left to stop, and a handler must not be kept from being restored
        for number, handler in self._former.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        if self._woken is not None:
            signal.set_wakeup_fd(self._former_wakeup, warn_on_full_buffer=False)
            os.close(self._woken[1])  # the thread reads the end, closes its own, and ends

    def _watch(self) -> None:
        """Start the thread that ends the program when a signal is not noted."""
        ours, theirs = self._woken = os.pipe()
        os.set_blocking(theirs, False)
        self._former_wakeup = signal.set_wakeup_fd(theirs, warn_on_full_buffer=False)

        def watch() -> None:
            while number := os.read(ours, 1):
                came = time.monotonic()
                while number[0] in self._former and self._noted_at < came - _JUST_NOW and not self._leaving:
                    if time.monotonic() - came > _GRACE:
                        self._end_at_once(number[0])
                    time.sleep(_LOOK)
            os.close(ours)

        threading.Thread(target=watch, daemon=True).start()

    def _end_at_once(self, number: int) -> None:
        if self.unfinished is not None:
            with suppress(OSError):
                self.unfinished.unlink()
        os._exit(128 + number)

    def _note(self, number: int, _: FrameType | None) -> None:
        self._noted_at = time.monotonic()
        again = self._number is not None
        self._number = number
        if self._leaving or (self._once and again):
            return
        if again or self._waiting:
            raise Stopped(number)

    @property
    def received(self) -> bool:
        """True once a signal has come since the context was entered."""
        return self._number is not None

    def check(self) -> None:
        """Raise `Stopped` when a signal came since the context was entered."""
        if self._number is not None:
            raise Stopped(self._number)

    def sleep(self, seconds: float) -> None:
        """Sleep, and raise `Stopped` when a signal comes.

        It looks again and again: of two signals at once another thread may take both, and nothing wakes this one then.
        """
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.check()
            time.sleep(min(left, _NAP))
        self.check()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Let a signal raise `Stopped` at once inside the block: for a read that may block for ever."""
        self._waiting = True
        try:
            self.check()
            yield
        finally:
            self._waiting = False


class HeldInterrupt(Stopper):
    """Context for a library: holds Ctrl-C back until `check`, or the end of the block, and raises `KeyboardInterrupt`.

    Python would raise it inside a callback of libsndfile, too, where it is lost, and the file is damaged. A second
    Ctrl-C does not wait. A program with a handler of its own for Ctrl-C keeps it, and other signals are not touched.
    """

    def __enter__(self) -> Self:
        in_main = threading.current_thread() is threading.main_thread()  # no other one is interrupted
        if in_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._former[signal.SIGINT] = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        super().__exit__()
        if kind is not KeyboardInterrupt:
            self.check()

    def _note(self, number: int, _: FrameType | None) -> None:
        if self.received and not self._leaving:
            raise KeyboardInterrupt
        self._number = number

    def check(self) -> None:
        """Raise `KeyboardInterrupt` when Ctrl-C came since the context was entered."""
        if self.received:
            raise KeyboardInterrupt
