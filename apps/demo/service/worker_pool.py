"""Files are decoded, denoised and encoded in processes of their own, with limits of memory and time.

A decoder gets what strangers upload. Whatever it does then, that process pays: it is ended, the file is refused, and
the server goes on with another process. A process that did its job well is kept for the next.
"""

import multiprocessing
import threading
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from time import monotonic, process_time

from apps.demo.limits import Limits
from apps.demo.remix import CachedDenoiser, Track
from enhance.io.options import DenoiseOptions
from enhance.io.task import OnProgress, Outcome, Task
from enhance.utils.errors import FileError, MpeaceError
from enhance.utils.interrupt import Stopped, Stopper
from enhance.utils.process_limits import limit_memory

_TELL = 0.1  # seconds between two words of progress
_PATIENCE = 10.0  # seconds that a process gets to clean up when it is asked to end

_Answer = tuple[Outcome, list[Track]] | MpeaceError


@dataclass(frozen=True)
class Job:
    """One rendering of a file.

    Attributes:
        model: name or path for `Denoiser`.
        folder: for the samples of `CachedDenoiser`.
        tracks: from a former rendering, whose samples are used again; None runs the network.
        task, options: as for `mpeace denoise`.
        limits: how long the sound may be.
    """

    model: str
    folder: Path
    tracks: list[Track] | None
    task: Task
    options: DenoiseOptions
    limits: Limits


@dataclass
class _Worker:
    process: SpawnProcess
    pipe: Connection


class WorkerPool:
    """Processes that render files; as many as there are jobs at a time.

    Args:
        megabytes: of memory that each may take beside its libraries.
        seconds: without any more sound, after which one is ended.
    """

    def __init__(self, megabytes: int, seconds: float) -> None:
        self._megabytes, self._seconds = megabytes, seconds
        self._idle: list[_Worker] = []
        self._busy: list[_Worker] = []
        self._closed = False
        self._lock = threading.Lock()

    def prepare(self) -> None:
        """Start a process before there is a job: it takes a second, in which a server has other things to do."""
        with self._lock:
            self._idle.append(self._start())

    def run(self, job: Job, on_progress: OnProgress) -> tuple[Outcome, list[Track]]:
        """Do a job; returns its outcome and the sound that went through the network.

        An exception of `on_progress` ends the job, and comes through.

        Raises:
            FileError: what went wrong, in one line.
        """
        worker = self._take()
        try:
            answer, cancelled = self._talk(worker, job, on_progress)
        except BaseException:
            self._end(worker)
            raise
        self._give_back(worker)
        if cancelled is not None:
            raise cancelled
        if isinstance(answer, MpeaceError):
            raise FileError(str(answer))
        return answer

    def processes(self) -> list[int]:
        """Return the ids of the processes."""
        with self._lock:
            return [worker.process.pid or 0 for worker in (*self._busy, *self._idle)]

    def close(self) -> None:
        """End all processes; a job that comes later is refused."""
        with self._lock:
            self._closed = True
            workers = [*self._busy, *self._idle]
        for worker in workers:
            worker.process.terminate()
        for worker in workers:
            self._end(worker)

    def _talk(self, worker: _Worker, job: Job, on_progress: OnProgress) -> tuple[_Answer, BaseException | None]:
        """Hand a job to a process and listen until it is done; returns its answer, and what `on_progress` raised."""
        try:
            worker.pipe.send(job)
            cancelled: BaseException | None = None
            while worker.pipe.poll(self._seconds):
                kind, *values = worker.pipe.recv()
                if kind == "done":
                    return values[0], cancelled
                if cancelled is None:
                    try:
                        on_progress(*values)
                    except BaseException as error:  # whoever waits for the job has no more use for it
                        cancelled = error
                        worker.pipe.send(None)
        except (EOFError, OSError):
            worker.process.join(_PATIENCE)
            code = worker.process.exitcode
            raise FileError(f"the process that worked on it died (exit code {code}); it may be damaged") from None
        raise FileError(f"no more sound came of it in {self._seconds:g} s; it may be damaged")

    def _take(self) -> _Worker:
        with self._lock:
            if self._closed:
                raise FileError("the server is ending")
            while self._idle:
                worker = self._idle.pop()
                if worker.process.is_alive():
                    self._busy.append(worker)
                    return worker
                worker.pipe.close()
            worker = self._start()
            self._busy.append(worker)
            return worker

    def _start(self) -> _Worker:
        context = multiprocessing.get_context("spawn")  # a fork would copy the locks of other threads
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, self._megabytes * 1_000_000), daemon=True)
        process.start()
        theirs.close()
        return _Worker(process, ours)

    def _give_back(self, worker: _Worker) -> None:
        with self._lock:
            if worker in self._busy:  # else `close` has ended it
                self._busy.remove(worker)
                self._idle.append(worker)

    def _end(self, worker: _Worker) -> None:
        """End a process. The first of two threads that want it does it, as `close` may come while a job is given up."""
        with self._lock:
            mine = [workers for workers in (self._busy, self._idle) if worker in workers]
            for workers in mine:
                workers.remove(worker)
        if not mine:
            return
        worker.process.terminate()
        worker.process.join(_PATIENCE)
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()
        with suppress(OSError):
            worker.pipe.close()


class _Cancelled(Exception):
    """The job is not wanted any more."""


def _serve(pipe: Connection, most_bytes: int) -> None:
    """Do the jobs that come, until the pipe closes or a signal stops the process."""
    from enhance import Denoiser
    from enhance.io.denoise_file import run_task

    limit_memory(most_bytes)
    denoisers: dict[str, Denoiser] = {}

    def perform(job: Job, stopper: Stopper) -> tuple[Outcome, list[Track]]:
        if job.model not in denoisers:
            denoisers[job.model] = Denoiser(job.model)
        cached = CachedDenoiser(denoisers[job.model], job.folder, job.tracks)
        last, reached = -_TELL, -1.0

        def watch(seconds: float, total: float | None) -> None:
            nonlocal last, reached
            track = cached.tracks[-1]
            job.limits.check(max(seconds, total or 0), track.sample_rate, track.channels)
            if seconds > reached and monotonic() - last >= _TELL:
                last, reached = monotonic(), seconds
                pipe.send(("progress", seconds, total))
            if pipe.poll():
                pipe.recv()
                raise _Cancelled

        begun = process_time()
        outcome = run_task(cached, job.task, job.options, stopper, watch)  # type: ignore[arg-type]
        outcome.elapsed = process_time() - begun  # waiting for a busy machine says nothing of the model
        return outcome, cached.tracks

    with suppress(Stopped, EOFError, BrokenPipeError), Stopper(worker=True) as stopper:
        while True:
            with stopper.waiting():
                job = pipe.recv()
            if job is None:  # a word to a job that was done already
                continue
            try:
                pipe.send(("done", perform(job, stopper)))
            except MpeaceError as error:
                pipe.send(("done", error))
