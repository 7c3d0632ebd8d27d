"""A process that denoises one file after the other; `apps.batch.workers` hands them out.

`begin_early` starts the first one before the command line is read: meanwhile it loads NumPy, ONNX Runtime and the file
engine. So this module itself loads next to nothing, and on Linux a fork, which would copy the locks of threads and the
state of libraries, is safe as long as there are none.
"""

import multiprocessing
import signal
import sys
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from time import monotonic

MOST_MEMORY = 4_000_000_000  # bytes of a process beside its libraries; a file takes a tenth of a gigabyte
_TELL = 0.1  # seconds between two words of progress from one process

Worker = tuple[BaseProcess, Connection]
_early: Worker | None = None


def begin_early() -> None:
    """Start a process that the first `start_worker` will return. Only for a program that has just begun."""
    global _early
    _early = _start(early=True)


def start_worker() -> Worker:
    """Return a process that waits for its settings and tasks, and the pipe to send them through.

    It takes `DenoiseOptions`, then one `Task` after the other. It sends a dict that describes the model, or a
    `ModelError`; for each task tuples of progress (seconds done, seconds in all if known), None when bytes came or
    went, and an `Outcome`.
    """
    global _early
    taken, _early = _early, None
    return taken or _start()


def end_early() -> None:
    """End the process of `begin_early` if nobody has taken it."""
    global _early
    if _early is not None:
        process, pipe = _early
        process.kill()
        process.join()
        pipe.close()
        _early = None


def _start(early: bool = False) -> Worker:
    if early and sys.platform == "linux":
        context = multiprocessing.get_context("fork")
    else:
        context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    inherited = ours if context.get_start_method() == "fork" else None
    process = context.Process(target=_serve, args=(theirs, inherited), daemon=True)
    process.start()
    theirs.close()
    return process, ours


def _serve(pipe: Connection, inherited: Connection | None) -> None:
    """Load the model once, then denoise each task that comes, until the pipe closes or a signal stops the process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends Ctrl-C here too, but the parent ends its processes
    if inherited is not None:
        inherited.close()  # or the parent's end would stay open when the parent has died
    from enhance.utils.interrupt import Stopped, Stopper

    with suppress(Stopped, EOFError, BrokenPipeError), Stopper(worker=True) as stopper:
        from enhance import Denoiser
        from enhance.io.denoise_file import describe, run_task
        from enhance.utils.errors import ModelError
        from enhance.utils.process_limits import limit_memory

        limit_memory(MOST_MEMORY)
        last = 0.0

        def on_progress(seconds: float, total: float | None) -> None:
            nonlocal last
            if monotonic() - last >= _TELL:
                last = monotonic()
                pipe.send((seconds, total))

        def on_bytes() -> None:
            nonlocal last
            if monotonic() - last >= _TELL:
                last = monotonic()
                pipe.send(None)

        try:
            with stopper.waiting():
                settings = pipe.recv()
            denoiser = Denoiser(settings.model)
            pipe.send(describe(denoiser))
            while True:
                with stopper.waiting():
                    task = pipe.recv()
                pipe.send(run_task(denoiser, task, settings, stopper, on_progress, on_bytes))
        except ModelError as error:
            pipe.send(error)
