"""A whole run: the plan, the model, the files one by one or several at a time, the report, the exit status."""

import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from apps.batch.apart import check_apart
from apps.batch.choices import Engine, IfExists
from apps.batch.manifest import read_manifest
from apps.batch.manifest_plan import plan_manifest
from apps.batch.plan import make_plan
from apps.batch.report import Reporter, check_report, write_report
from apps.batch.report_rows import RowReport, is_rows
from apps.batch.speech_file import OPTION, SpeechFile
from apps.batch.worker_process import end_early
from enhance.io.codec_limits import check_settings
from enhance.io.options import DenoiseOptions
from enhance.io.remote.address import is_in_memory, shown
from enhance.io.task import PIPE, Outcome, Task
from enhance.runtime.registry import model_for_files
from enhance.runtime.speech_segments import THRESHOLD
from enhance.utils.errors import UsageError
from enhance.utils.interrupt import Stopped, Stopper

SINGLE_FILE_APART = True  # one file, too, is done in a process of its own: a decoder that dies is then told in one line


def denoise_all(
    inputs: list[str],
    output: str | None,
    settings: DenoiseOptions,
    *,
    name: str | None = None,
    if_exists: IfExists = IfExists.SKIP,
    jobs: int | None = None,
    engine: Engine = Engine.PROCESSES,
    address: str | None = None,
    manifest: str | None = None,
    report: Path | None = None,
    speech_segments: Path | None = None,
    quiet: bool = False,
) -> int:
    """Denoise all inputs.

    Args:
        inputs: files, folders, patterns, or `-`.
        output: file, folder or `-`; None for beside each input.
        settings: how to denoise and to write.
        name: template of output names.
        if_exists: what to do with outputs that are there.
        jobs: files at the same time; None for one, or with Ray for one per core of the cluster.
        engine: what does the work.
        address: of the Ray cluster; None for the one that Ray finds, or a new one on this machine.
        manifest: path or URL of a table of inputs and outputs, instead of both.
        report: path of a report, as JSON in one piece or as rows, JSONL or Parquet.
        speech_segments: path of a JSON file that gets the segments of speech, with `settings.speech_threshold`.
        quiet: say nothing but problems.

    Returns:
        The exit status: 0 when every file is done or was there, 1 when one failed.

    Raises:
        UsageError: when the run cannot be started, before anything is written.
        ModelError: when the model cannot be used.
        Stopped: when the person stopped the run. What was finished stays, and the same command goes on from there.
    """
    _check_manifest(inputs, output, name, manifest, settings)
    if address is not None and engine is not Engine.RAY:
        raise UsageError("--address belongs to --engine ray")
    if report is not None:
        check_report(report)
    if is_rows(report):
        threshold = THRESHOLD if settings.speech_threshold is None else settings.speech_threshold
        settings = replace(settings, sha256=True, speech_threshold=threshold)
    speech = None
    if speech_segments is not None:
        speech = SpeechFile(speech_segments, settings.speech_threshold or 0.0, if_exists is IfExists.SKIP)
    check_settings(settings.container, settings.subtype, settings.sample_rate)
    with Stopper() as stopper:
        if manifest is None:
            plan = make_plan(inputs, output, name, if_exists, settings)
        else:
            plan = plan_manifest(read_manifest(manifest, settings), if_exists, settings)
        _check_pipes(plan.tasks)
        targets = [task.target for task in plan.tasks] + [outcome.output or "" for outcome in plan.settled]
        check_apart(targets, {"--manifest": manifest, "--report": report, OPTION: speech_segments})
        if speech is not None:
            speech.check(plan.tasks)
        if settings.model is None and plan.tasks and plan.tasks[0].source != PIPE:
            settings = replace(settings, model=model_for_files())
        rows = RowReport(report) if report is not None and is_rows(report) else None
        outcomes = list(plan.settled)
        model: dict[str, str] = {}
        stopped: Stopped | None = None
        with Reporter(plan.tasks, quiet) as reporter:

            def done(outcome: Outcome, task: Task | None = None) -> None:
                if task is not None:
                    outcomes.append(outcome)
                if rows is not None:
                    rows.add(outcome)
                if speech is not None:
                    speech.add(outcome)
                reporter.done(outcome, task)

            try:
                for outcome in plan.settled:
                    done(outcome)
                if plan.tasks and engine is Engine.RAY:
                    from apps.batch.ray_engine import run_on_ray

                    end_early()
                    run_on_ray(plan.tasks, address, jobs, settings, stopper, lambda a, b: done(b, a), model)
                elif plan.tasks:
                    _run(plan.tasks, jobs or 1, settings, stopper, reporter, done, model)
            except Stopped as signal:
                stopped = signal
            finally:
                if rows is not None:
                    rows.close()
        order = {(task.source, task.target): index for index, task in enumerate(plan.tasks)}
        outcomes.sort(key=lambda outcome: order.get((outcome.input, outcome.output or ""), -1))
        reporter.summary(outcomes, plan.passed_over)
        if report is not None and rows is None:
            named = {"inputs": [shown(text) for text in inputs], "output": output and shown(output), "name": name}
            options = {**named, "if_exists": if_exists, **vars(settings)}
            options["raw"] = settings.raw and str(settings.raw)
            write_report(report, outcomes, plan.passed_over, model, options)
        if speech is not None:
            speech.close(outcomes)
        if stopped is not None:
            raise stopped
    return 1 if any(outcome.status == "failed" for outcome in outcomes) else 0


def _run(
    tasks: list[Task],
    jobs: int,
    settings: DenoiseOptions,
    stopper: Stopper,
    reporter: Reporter,
    done: Callable[[Outcome, Task], object],
    model: dict[str, str],
) -> None:
    """Do the tasks, calling `done` as they end. Name and file of the model are put into `model`."""
    here = PIPE in (tasks[0].source, tasks[0].target) or any(is_in_memory(task.source, task.target) for task in tasks)
    if not here and (len(tasks) > 1 or SINGLE_FILE_APART):  # a decoder that dies takes its process along, and no more
        from apps.batch.workers import run_in_processes

        def done_in_process(task: Task, outcome: Outcome) -> None:
            done(outcome, task)

        run_in_processes(tasks, min(jobs, len(tasks)), settings, stopper, reporter.on_progress, done_in_process, model)
        return
    end_early()
    from enhance import Denoiser
    from enhance.io.channel_choice import choose_channels
    from enhance.io.denoise_file import describe, run_task
    from enhance.io.track_pipeline import LEFT_APART, is_left_apart, open_stream
    from enhance.runtime.low_delay import LowDelayStream

    denoiser = Denoiser(settings.model)
    model.update(describe(denoiser))
    if settings.raw and tasks[0].target == PIPE:
        channels = len(choose_channels(settings.channels, settings.raw.channels))
        stream = open_stream(denoiser, settings.raw.sample_rate, channels, settings, low_delay=True)
        waits = stream.block if isinstance(stream, LowDelayStream) else 0
        about = f"the {LEFT_APART}" if is_left_apart(stream, channels, settings) else ""
        reporter.pipe(str(settings.raw), (stream.latency_samples + waits) / stream.sample_rate, about)
    for task in tasks:
        done(run_task(denoiser, task, settings, stopper, partial(reporter.on_progress, task)), task)


def _check_pipes(tasks: list[Task]) -> None:
    """Check that standard input and output lead somewhere, where they are an input or an output.

    Raises:
        UsageError: they are closed, or a terminal, which neither gives sound nor shows it.
    """
    gives, takes = any(task.source == PIPE for task in tasks), any(task.target == PIPE for task in tasks)
    for stream, used, name, advice in (
        (sys.stdin, gives, "standard input", "let a program give sound (PROGRAM | mpeace denoise -), or name a file"),
        (sys.stdout, takes, "standard output", "let a program take sound (... | PROGRAM), or name a file with -o"),
    ):
        if used and (stream is None or stream.isatty()):
            raise UsageError(f"{name} is {'closed' if stream is None else 'this terminal'}: {advice}")


def _check_manifest(
    inputs: list[str], output: str | None, name: str | None, manifest: str | None, settings: DenoiseOptions
) -> None:
    """Check that inputs come from one place.

    Raises:
        UsageError: from none, or from two.
    """
    if manifest is None and not inputs:
        raise UsageError("no INPUT: name files or folders, or --manifest FILE")
    if manifest is not None and (inputs or output is not None or name is not None):
        raise UsageError("--manifest names inputs and outputs: give no INPUT, -o or --name beside it")
    if manifest is not None and settings.raw:
        raise UsageError("--raw says what comes on standard input: give - as the only INPUT")
