"""Several files at a time: one process each, fed one task after the other over a pipe.

A pool of the standard library gives up as a whole when one of its processes dies, as it does when the system runs out
of memory or a codec crashes. Here the parent notices which file it was, removes what was half-written, counts the
file as failed and starts another process for the rest.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from time import monotonic

from apps.batch.worker_process import start_worker
from enhance.io.options import DenoiseOptions
from enhance.io.remote.copies import discard
from enhance.io.task import Outcome, Task
from enhance.utils.errors import ModelError
from enhance.utils.interrupt import Stopper

_LOOK = 0.1  # seconds between two looks at the stopper
_PATIENCE = 10.0  # seconds that a process gets to clean up when it is asked to end
STALLED = 600.0  # seconds without any more sound, after which a process is ended


@dataclass
class _Worker:
    process: BaseProcess
    pipe: Connection
    task: Task | None = None
    reached: float = -1.0  # seconds of sound that are done
    moved: float = 0.0  # when that changed last, time.monotonic()


def run_in_processes(
    tasks: list[Task],
    jobs: int,
    settings: DenoiseOptions,
    stopper: Stopper,
    on_progress: Callable[[Task, float, float | None], object],
    done: Callable[[Task, Outcome], object],
    model: dict[str, str],
) -> None:
    """Denoise all tasks, `jobs` at a time, the largest files first so that the last ones end together.

    One at a time they keep their order.

    Args:
        tasks: what to do.
        jobs: number of processes.
        settings: how.
        stopper: when it is set, all processes clean up and end.
        on_progress: called with progress: task, seconds done, seconds in all if known.
        done: called with each outcome.
        model: name and file of the model are put in when a process has loaded it.

    Raises:
        ModelError: when the model cannot be used.
        Stopped: when the person stopped the work.
    """
    queue = sorted(tasks, key=lambda task: task.size) if jobs > 1 else tasks[::-1]
    workers: list[_Worker] = []
    try:
        while queue or any(worker.task for worker in workers):
            while queue and len(workers) < jobs:
                workers.append(_start(settings))
            for worker in workers:
                if worker.task is None and queue:
                    _hand(worker, queue.pop())
            ready = wait([worker.pipe for worker in workers], timeout=_LOOK)
            stopper.check()
            for worker in [worker for worker in workers if worker.pipe in ready]:
                if not _listen(worker, model, on_progress, done):
                    workers.remove(worker)
            for worker in [worker for worker in workers if worker.task and monotonic() - worker.moved > STALLED]:
                workers.remove(worker)
                _give_up(worker, done)
    finally:
        _end(workers)


def _start(settings: DenoiseOptions) -> _Worker:
    process, pipe = start_worker()
    with suppress(BrokenPipeError):  # the process is dead: `_listen` finds the end of the pipe and says so
        pipe.send(settings)
    return _Worker(process, pipe)


def _hand(worker: _Worker, task: Task) -> None:
    worker.task, worker.reached, worker.moved = task, -1.0, monotonic()
    with suppress(BrokenPipeError):  # the process is dead: `_listen` finds the end of the pipe and says so
        worker.pipe.send(task)


def _listen(
    worker: _Worker,
    model: dict[str, str],
    on_progress: Callable[[Task, float, float | None], object],
    done: Callable[[Task, Outcome], object],
) -> bool:
    """Take one message. Returns False when the process has died."""
    task = worker.task
    try:
        message = worker.pipe.recv()
    except (EOFError, OSError):
        worker.process.join(_PATIENCE)
        worker.pipe.close()
        if task is not None:
            discard(task)
            reason = f"the process that worked on it died (exit code {worker.process.exitcode}); not enough memory?"
            done(task, Outcome(task.source, task.target, "failed", reason))
        return False
    if isinstance(message, ModelError):
        raise message
    if message is None:  # bytes came or went
        worker.moved = monotonic()
    elif isinstance(message, dict):
        model.update(message)
    elif task is not None and isinstance(message, Outcome):
        worker.task = None
        done(task, message)
    elif task is not None:
        if message[0] > worker.reached:
            worker.reached, worker.moved = message[0], monotonic()
        on_progress(task, *message)
    return True


def _give_up(worker: _Worker, done: Callable[[Task, Outcome], object]) -> None:
    """End a process in which nothing moves, and count its file as failed."""
    task = worker.task
    _end([worker])
    if task is not None:
        done(task, given_up(task))


def given_up(task: Task) -> Outcome:
    """Return the outcome of a file in which nothing moved for too long."""
    reason = f"no more sound came of it in {STALLED:g} s; it may be damaged"
    return Outcome(task.source, task.target, "failed", reason)


def _end(workers: list[_Worker]) -> None:
    """Ask the processes to end; those at work remove their partial files first."""
    for worker in workers:
        worker.process.terminate()
    for worker in workers:
        worker.process.join(_PATIENCE)
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()
        if worker.task is not None:
            discard(worker.task)
        worker.pipe.close()
