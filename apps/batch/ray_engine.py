"""`--engine ray`: the files of a batch on a Ray cluster.

Each file is one task of Ray on one core. A process of Ray is used again and keeps its model, so a core loads it once.
Ray itself runs a task again, on another node if need be, when its process or its node dies. (It would do so for actors
too, but an actor of a lost node waits for a free place, with its file, and there may be none.) An output takes its name
in one step, so a file that is done twice has one output all the same.

Only a few files more than there are cores are handed out at a time: what waits does so here, as a line of text each.
"""

import os
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from functools import cache, partial
from threading import Thread, Timer
from time import monotonic
from typing import Any

from apps.batch import workers
from apps.batch.ray_cluster import connected, in_words, the_ray
from apps.batch.worker_process import MOST_MEMORY
from enhance.io.options import DenoiseOptions
from enhance.io.remote.address import is_in_memory, is_url
from enhance.io.remote.copies import discard, new_spool
from enhance.io.task import PARTIAL, PIPE, Outcome, Task, partial_of
from enhance.runtime.registry import is_model_file
from enhance.utils.environment import own_version
from enhance.utils.errors import ModelError, UsageError
from enhance.utils.interrupt import Stopped, Stopper
from enhance.utils.process_limits import limit_memory

_AGAIN = 3  # times that Ray does a file anew after its process or node died
_LOOK = 0.2  # seconds between two looks at the stopper
_ANSWER = 5.0  # seconds that a process has to hand over its last answer
_PATIENCE = 10.0  # seconds that files in work get to clean up
_AHEAD = 2  # files handed out for each core, so that none waits for the next


def run_on_ray(
    tasks: list[Task],
    address: str | None,
    jobs: int | None,
    settings: DenoiseOptions,
    stopper: Stopper,
    done: Callable[[Task, Outcome], object],
    model: dict[str, str],
) -> None:
    """Denoise all tasks, the largest files first so that the last ones end together.

    Args:
        tasks: what to do.
        address: of the cluster; None for the one that Ray finds, or a new one on this machine.
        jobs: most files at the same time; None for one per core of the cluster.
        settings: how.
        stopper: when it is set, the files in work are given up, and clean up.
        done: called with each outcome.
        model: name and file of the model are put in when a process has loaded it.

    Raises:
        UsageError: there is no Ray, no such cluster, or a node without mpeace.
        ModelError: when the model cannot be used.
        Stopped: when the person stopped the work.
    """
    _check(tasks)
    ray = the_ray()
    with connected(address):
        work = ray.remote(num_cpus=1, max_retries=_AGAIN)(_denoise)
        queue = sorted(tasks, key=lambda task: task.size)
        chosen = settings.model
        if chosen is not None and is_model_file(chosen):
            chosen = _whole(chosen)
        running: dict[Any, Task] = {}
        stopped: Counter[str] = Counter()  # times that a node that ends, and not the person, stopped a file
        try:
            while queue or running:
                stopper.check()
                room = jobs or _AHEAD * max(1, int(ray.cluster_resources().get("CPU", 1)))
                while queue and len(running) < room:
                    task = queue.pop()
                    options = replace(task.options or settings, model=chosen)
                    running[work.remote(_anywhere(task), options)] = task
                ready, _ = ray.wait(list(running), num_returns=1, timeout=_LOOK)
                for reference in ready:
                    task = running.pop(reference)
                    outcome = _outcome(reference, task, model)
                    stopped[task.target] += outcome is None
                    if outcome is not None:
                        done(task, outcome)
                    elif stopped[task.target] <= _AGAIN:
                        queue.append(task)
                    else:
                        reason = f"the nodes that worked on it ended {_AGAIN + 1} times"
                        done(task, Outcome(task.source, task.target, "failed", reason))
        finally:
            _end(list(running))


def _check(tasks: list[Task]) -> None:
    for task in tasks:
        if PIPE in (task.source, task.target):
            raise UsageError("--engine ray takes files: standard input and output (-) belong to this process")
        if is_in_memory(task.source, task.target):
            raise UsageError("--engine ray takes no memory:// addresses: each process has a memory of its own")


def _anywhere(task: Task) -> Task:
    """Return the task with whole paths: a process of Ray works in a folder of its own."""
    source, target = (path if is_url(path) else _whole(path) for path in (task.source, task.target))
    return replace(task, source=source, target=target, options=None)


def _whole(path: str) -> str:
    """Return a path from the root on. What `..` means is left to the system, since a link may stand before it."""
    return os.path.join(os.getcwd(), path)  # noqa: PTH109, PTH118


def _outcome(reference: Any, task: Task, model: dict[str, str]) -> Outcome | None:
    """Return what became of a task, under the names that the person gave; None when its node ended.

    Raises:
        UsageError: a node has no mpeace, or another version.
        ModelError: when the model cannot be used.
    """
    try:
        result, facts = the_ray().get(reference)
    except Exception as error:
        return Outcome(task.source, task.target, "failed", in_words(error, _AGAIN))
    if isinstance(result, ModelError):
        raise result
    if result is None:
        return None
    if facts.pop("mpeace") != own_version():
        raise UsageError(f"a node of the Ray cluster has another version: pip install mpeace=={own_version()} there")
    model.update(facts)
    return replace(result, input=task.source, output=task.target)


def _end(running: list[Any]) -> None:
    """Ask for the end of all files in work, and wait until they have cleaned up."""
    ray = the_ray()
    for reference in running:
        ray.cancel(reference, force=False)
    if running:
        ray.wait(running, num_returns=len(running), timeout=_PATIENCE)


@cache
def _loaded(model: str | None) -> Any:
    """Return the model, loaded once in each process, which from then on may take so much memory and no more."""
    from enhance import Denoiser

    denoiser = Denoiser(model)
    limit_memory(MOST_MEMORY)
    return denoiser


def _denoise(task: Task, settings: DenoiseOptions) -> tuple[Outcome | ModelError | None, dict[str, str]]:
    """Denoise one file in a process of Ray, under partial names of this try: an earlier one may still be running.

    The outcome is None when the process was asked to end.
    """
    from enhance.io.denoise_file import describe, run_task

    spool = new_spool() if task.spool else ""
    unfinished = os.path.join(spool, PARTIAL) if is_url(task.target) else partial_of(task.target)  # noqa: PTH118
    own = replace(task, spool=spool, partial=unfinished)
    try:
        denoiser = _loaded(settings.model)
        facts = {**describe(denoiser), "mpeace": own_version()}
        with Stopper() as stopper:
            return _watched(own, partial(run_task, denoiser, own, settings, stopper)), facts
    except ModelError as error:
        return error, {}
    except Stopped:
        return None, {}


def _watched(task: Task, work: Callable[..., Outcome]) -> Outcome:
    """Do a file in a thread, and give it up when no more sound comes of it for as long as other processes get.

    Nothing inside a process ends a call that does not end. So the process itself ends soon after its answer; should it
    have been handed another file by then, Ray does that one anew.

    Args:
        task: for what it leaves behind.
        work: takes `on_progress` and `on_bytes`, as `run_task` does.
    """
    answer: Future[Outcome] = Future()
    reached, moved = -1.0, monotonic()

    def on_progress(seconds: float, _: float | None) -> None:
        nonlocal reached, moved
        if seconds != reached:
            reached, moved = seconds, monotonic()

    def on_bytes() -> None:
        nonlocal moved
        moved = monotonic()

    def run() -> None:
        try:
            answer.set_result(work(on_progress, on_bytes))
        except BaseException as error:
            answer.set_exception(error)

    Thread(target=run, daemon=True).start()
    while monotonic() - moved <= workers.STALLED:
        with suppress(TimeoutError):
            return answer.result(_LOOK)
    discard(task)
    end = Timer(_ANSWER, os._exit, (1,))
    end.daemon = True
    end.start()
    return workers.given_up(task)
