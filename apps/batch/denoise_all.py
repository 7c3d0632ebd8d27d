"""A whole run: the plan, the model, the files one by one or several at a time, the report, the exit status."""

from pathlib import Path

from apps.batch.if_exists import IfExists
from apps.batch.json_file import check_place
from apps.batch.plan import make_plan
from apps.batch.report import Reporter, write_report
from apps.batch.speech_file import OPTION, known_segments, write_segments
from enhance.io.codec_limits import check_settings
from enhance.io.options import DenoiseOptions
from enhance.io.task import PIPE, Outcome, Task
from enhance.utils.interrupt import Stopped, Stopper

SINGLE_FILE_APART = True  # one file, too, is done in a process of its own: a decoder that dies is then told in one line


def denoise_all(
    inputs: list[str],
    output: str | None,
    settings: DenoiseOptions,
    *,
    name: str | None = None,
    if_exists: IfExists = IfExists.SKIP,
    jobs: int = 1,
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
        jobs: processes that work at the same time.
        report: path of a JSON report.
        speech_segments: path of a JSON file that gets the segments of speech, with `settings.speech_threshold`.
        quiet: say nothing but problems.

    Returns:
        The exit status: 0 when every file is done or was there, 1 when one failed.

    Raises:
        UsageError: when the run cannot be started, before anything is written.
        ModelError: when the model cannot be used.
        Stopped: when the person stopped the run. What was finished stays, and the same command goes on from there.
    """
    if report is not None:
        check_place(report, "--report")
    known = {}
    if speech_segments is not None:
        check_place(speech_segments, OPTION)
        known = known_segments(speech_segments)
    check_settings(settings.container, settings.subtype, settings.sample_rate)
    with Stopper() as stopper:
        plan = make_plan(inputs, output, name, if_exists, settings)
        outcomes = list(plan.settled)
        model: dict[str, str] = {}
        stopped: Stopped | None = None
        with Reporter(plan.tasks, quiet) as reporter:
            for outcome in plan.settled:
                reporter.done(outcome)
            try:
                if plan.tasks:
                    _run(plan.tasks, jobs, settings, stopper, reporter, outcomes, model)
            except Stopped as signal:
                stopped = signal
        order = {task.source: index for index, task in enumerate(plan.tasks)}
        outcomes.sort(key=lambda outcome: order.get(outcome.input, -1))
        reporter.summary(outcomes, plan.passed_over)
        if report is not None:
            options = {"inputs": inputs, "output": output, "name": name, "if_exists": if_exists, **vars(settings)}
            options["raw"] = settings.raw and str(settings.raw)
            write_report(report, outcomes, plan.passed_over, model, options)
        if speech_segments is not None:
            write_segments(speech_segments, outcomes, known, settings.speech_threshold or 0.0)
        if stopped is not None:
            raise stopped
    return 1 if any(outcome.status == "failed" for outcome in outcomes) else 0


def _run(
    tasks: list[Task],
    jobs: int,
    settings: DenoiseOptions,
    stopper: Stopper,
    reporter: Reporter,
    outcomes: list[Outcome],
    model: dict[str, str],
) -> None:
    """Do the tasks, adding to `outcomes` as they end. Name and file of the model are put into `model`."""

    def done(task: Task, outcome: Outcome) -> None:
        outcomes.append(outcome)
        reporter.done(outcome, task)

    piped = PIPE in (tasks[0].source, tasks[0].target)
    if len(tasks) > 1 or (SINGLE_FILE_APART and not piped):  # a decoder that dies takes its process along, and no more
        from apps.batch.workers import run_in_processes

        run_in_processes(tasks, min(jobs, len(tasks)), settings, stopper, reporter.on_progress, done, model)
        return
    from enhance import Denoiser
    from enhance.io.denoise_file import describe, run_task
    from enhance.runtime.low_delay import LowDelayStream

    denoiser = Denoiser(settings.model)
    model.update(describe(denoiser))
    if settings.raw and tasks[0].target == PIPE:
        stream = LowDelayStream(denoiser, settings.raw.sample_rate, settings.raw.channels)
        reporter.pipe(str(settings.raw), (stream.latency_samples + stream.block) / stream.sample_rate)
    task = tasks[0]

    def on_progress(seconds: float, total: float | None) -> None:
        reporter.on_progress(task, seconds, total)

    done(task, run_task(denoiser, task, settings, stopper, on_progress))
