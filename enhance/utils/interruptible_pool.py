"""Worker processes that Ctrl-C ends: none begins another task then, and none says a word about it.

A terminal sends Ctrl-C to each process of a command. Of `ProcessPoolExecutor` a process that starts or waits prints a
traceback for it, and one that works goes on with the tasks that it was handed in advance; and what
`shutdown(cancel_futures=True)` would cancel inside a `with` block, the end of that block may take up again.
"""

import multiprocessing
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

_working = _stopped = False  # of a worker process: whether it is at a task; whether Ctrl-C has come


class InterruptiblePool(ProcessPoolExecutor):
    """Fresh processes that work on tasks: a context, in which tasks that have not begun are left where it raises.

    Args:
        jobs: processes.
        set_up: is called in each process before its first task.
    """

    def __init__(self, jobs: int, set_up: Callable[[], object] | None = None) -> None:
        super().__init__(jobs, multiprocessing.get_context("spawn"), _set_up, (set_up,))

    def submit(self, work: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        """Let a process do `work(*arguments, **named)`; after Ctrl-C its future raises KeyboardInterrupt."""
        with _held_back():  # the processes that are started here hold it back as well, until they are set up
            return super().submit(_work, work, arguments, named)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        """Wait for the tasks that have begun; of the others, too, if the block ended well."""
        self.shutdown(cancel_futures=kind is not None)


@contextmanager
def _held_back() -> Iterator[None]:
    """Hold Ctrl-C back until the end of the block, where the system knows how."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _set_up(further: Callable[[], object] | None) -> None:
    signal.signal(signal.SIGINT, _note)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    if further is not None:
        further()


def _note(_: int, __: FrameType | None) -> None:
    global _stopped
    _stopped = True
    if _working:
        raise KeyboardInterrupt


def _work(work: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
    global _working
    try:
        _working = True
        if _stopped:
            raise KeyboardInterrupt
        return work(*arguments, **named)
    finally:
        _working = False
