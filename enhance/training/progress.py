"""What a training run shows: a progress bar on a terminal, a line now and then elsewhere."""

import sys
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class Display:
    """Progress of a run, with speed and time left.

    Args:
        steps: of the whole run.
        begin: the step that it goes on with.
        enabled: false for all processes but one.
    """

    def __init__(self, steps: int, begin: int, enabled: bool) -> None:
        self.steps, self.enabled = steps, enabled
        self.console = Console(file=sys.stdout, soft_wrap=True, highlight=False)
        columns = (TextColumn("training"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[speed]}"))
        self.progress = Progress(
            *columns, TimeRemainingColumn(), console=self.console, disable=not (enabled and self.console.is_terminal)
        )
        self.bar = self.progress.add_task("training", total=steps, completed=begin, speed="")

    def __enter__(self) -> "Display":
        self.progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.progress.stop()

    def advance(self, done: int) -> None:
        """Moves the bar."""
        self.progress.update(self.bar, completed=done)

    def line(self, text: str) -> None:
        """Prints a line, above the bar if there is one."""
        if self.enabled:
            self.console.print(text, markup=False)

    def terms(self, done: int, seconds_per_step: float, minutes_left: float, terms: dict[str, float]) -> None:
        """Shows the speed and the loss."""
        speed = f"{seconds_per_step:.2f} s/step"
        self.progress.update(self.bar, speed=speed)
        figures = " ".join(f"{name} {value:.4f}" for name, value in terms.items())
        self.line(f"step {done}/{self.steps} {speed}, {minutes_left:.0f} min left: {figures}")
