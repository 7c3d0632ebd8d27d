"""The output of a batch: progress with speed, one line for each problem, a summary, and a report for programs.

Everything goes to standard error, since standard output may carry sound. On a terminal the progress is drawn by rich;
otherwise each finished file is one line.
"""

import sys
from dataclasses import asdict
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from apps.batch.json_file import check_place, read_former, write_json
from apps.batch.report_rows import OPTION, ROWS, is_rows
from enhance.io.remote.address import shown
from enhance.io.task import Outcome, Task
from enhance.utils.environment import own_version
from enhance.utils.errors import say

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class Reporter:
    """Shows one run. A context: the drawing on the terminal ends with it.

    Args:
        tasks: what will be done.
        quiet: say nothing but problems.
    """

    def __init__(self, tasks: list[Task], quiet: bool = False) -> None:
        self._tasks = tasks
        self._quiet = quiet
        self._started = perf_counter()
        self._seconds = 0.0  # of sound in files that are finished
        self._running: dict[str, float] = {}  # seconds of sound done so far, by path of the input
        self._progress: Progress | None = None
        self._bars: dict[str, TaskID] = {}
        self._total: TaskID | None = None

    def __enter__(self) -> "Reporter":
        if self._tasks and not self._quiet and sys.stderr.isatty():
            self._draw()
        return self

    def __exit__(self, *_: object) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def on_progress(self, task: Task, seconds: float, total: float | None) -> None:
        """Show the progress of one file: seconds of sound done, and of the whole if known."""
        self._running[task.source] = seconds
        if self._progress is None:
            return
        if task.source not in self._bars:
            name = "standard input" if task.source == "-" else Path(shown(task.source)).name
            self._bars[task.source] = self._progress.add_task(_escape(name), total=total, speed="")
        bar = self._bars[task.source]
        elapsed = self._progress.tasks[self._progress.task_ids.index(bar)].elapsed or 0.0
        self._progress.update(bar, completed=seconds, total=total, speed=_speed(seconds, elapsed))
        self._progress.update(self._total_bar(), speed=self._overall())

    def pipe(self, sound: str, delay_seconds: float, about: str) -> None:
        """Say that raw sound begins to flow, its delay, and what else there is to say of it."""
        if not self._quiet:
            delay = f"a sample comes out at most {1000 * delay_seconds:.1f} ms after it came in"
            self._line(f"{sound}: {delay}" + (f"; {about}" if about else ""))

    def done(self, outcome: Outcome, task: Task | None = None) -> None:
        """Note that one file is finished: print its line, and move the total on."""
        self._seconds += outcome.seconds
        self._running.pop(outcome.input, None)
        if task is not None and self._progress is not None:
            if task.source in self._bars:
                self._progress.remove_task(self._bars.pop(task.source))
            self._progress.update(self._total_bar(), advance=1, speed=self._overall())
        if outcome.status == "failed":
            self._line(f"mpeace: {_name(outcome)}: {outcome.message}")
            return
        for note in outcome.notes:
            self._line(f"mpeace: {_name(outcome)}: note: {note}")
        if self._quiet:
            return
        if outcome.status == "skipped":
            self._line(f"{_name(outcome)}: skipped, {outcome.message}")
        else:
            length = f"{outcome.seconds:.1f} s in {outcome.elapsed:.1f} s, {_speed(outcome.seconds, outcome.elapsed)}"
            clamped = f", {outcome.clamped} samples clamped" if outcome.clamped else ""
            clamped += f", gain {outcome.gain:.3f}" if outcome.gain != 1 else ""
            self._line(f"{_name(outcome)} -> {outcome.output}: {length}{clamped}")

    def summary(self, outcomes: list[Outcome], passed_over: list[str]) -> None:
        """Print the counts and the time, and list the failed files again so that they are not lost in a long list.

        Args:
            outcomes: of all inputs.
            passed_over: files of the folders that are no recordings.
        """
        if passed_over and not self._quiet:
            what = "1 file is" if len(passed_over) == 1 else f"{len(passed_over)} files are"
            self._line(f"{what} no sound or video and passed over: {', '.join(passed_over)}")
        failed = [outcome for outcome in outcomes if outcome.status == "failed"]
        if self._quiet or len(outcomes) < 2:
            return
        count = {status: sum(outcome.status == status for outcome in outcomes) for status in ("done", "skipped")}
        seconds, elapsed = sum(outcome.seconds for outcome in outcomes), perf_counter() - self._started
        self._line(
            f"{count['done']} done, {count['skipped']} skipped, {len(failed)} failed: "
            f"{_duration(seconds)} of sound in {_duration(elapsed)}, {_speed(seconds, elapsed)}"
        )
        for outcome in failed:
            self._line(f"  failed: {_name(outcome)}")

    def _draw(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        columns: list[Any] = [TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%")]
        columns += [TextColumn("{task.fields[speed]}"), TimeRemainingColumn()]
        self._progress = Progress(*columns, console=Console(stderr=True), transient=True)
        self._progress.start()
        self._total = self._progress.add_task("all files", total=len(self._tasks), speed="")

    def _total_bar(self) -> "TaskID":
        assert self._total is not None
        return self._total

    def _overall(self) -> str:
        return _speed(self._seconds + sum(self._running.values()), perf_counter() - self._started)

    def _line(self, text: str) -> None:
        if self._progress is not None:
            self._progress.console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            say(text)


def check_report(path: Path) -> None:
    """Refuse a report that cannot be written, or would replace what is none, before the work begins.

    Raises:
        UsageError: with what is wrong with the path.
    """
    check_place(path, OPTION, (".json", *ROWS))
    if not is_rows(path):  # those are looked at when they are opened
        read_former(path, OPTION, "model", "options", "files")


def write_report(
    path: Path, outcomes: list[Outcome], passed_over: list[str], model: dict[str, str], options: dict[str, Any]
) -> None:
    """Write what became of each file as JSON, in one step.

    Raises:
        UsageError: when it cannot be written.
    """
    content = {
        "mpeace": own_version(),
        "model": model,
        "options": options,
        "done": sum(outcome.status == "done" for outcome in outcomes),
        "skipped": sum(outcome.status == "skipped" for outcome in outcomes),
        "failed": sum(outcome.status == "failed" for outcome in outcomes),
        "passed_over": passed_over,
        "files": [_as_row(outcome) for outcome in outcomes],
    }
    write_json(path, content, OPTION)


def _as_row(outcome: Outcome) -> dict[str, Any]:
    values = asdict(outcome)
    del values["speech"]  # that is in a file of its own
    return {**values, "input": shown(outcome.input), "speed": round(outcome.speed, 2)}


def _name(outcome: Outcome) -> str:
    return "standard input" if outcome.input == "-" else shown(outcome.input)


def _escape(text: str) -> str:
    return text.replace("[", "\\[")


def _speed(seconds: float, elapsed: float) -> str:
    return f"{seconds / elapsed:.1f} x real time" if elapsed > 0 else ""


def _duration(seconds: float) -> str:
    """Write seconds in words: 3723.4 becomes "1 h 2 min 3 s"."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min {rest} s" if hours else f"{minutes} min {rest} s"
