"""What a training run shows: a progress bar on a terminal, a line now and then elsewhere."""

import sys
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn


class Display:
    """Progress of a run, with speed and time left.

    Args:
        steps: of the whole run; None when the clock ends it.
        share: of the run that is behind when it begins or goes on, 0 to 1.
        enabled: false for all processes but one.
    """

    def __init__(self, steps: int | None, share: float, enabled: bool) -> None:
        self.enabled = enabled
        self._of = "" if steps is None else f"/{steps}"
        self.console = Console(file=sys.stdout, soft_wrap=True, highlight=False)
        columns = (BarColumn(), TextColumn("step {task.fields[step]} {task.fields[speed]}"))
        self.progress = Progress(
            *columns, TimeRemainingColumn(), console=self.console, disable=not (enabled and self.console.is_terminal)
        )
        self.bar = self.progress.add_task("training", total=1.0, step="", speed="")
        self.progress.update(self.bar, completed=share)

    def __enter__(self) -> "Display":
        self.progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.progress.stop()

    def advance(self, step: int, share: float) -> None:
        """Move the bar to a share of the run."""
        self.progress.update(self.bar, completed=share, step=f"{step}{self._of}")

    def line(self, text: str) -> None:
        """Print a line, above the bar if there is one."""
        if self.enabled:
            self.console.print(text, markup=False)

    def terms(self, done: int, seconds_per_step: float, minutes_left: float, terms: dict[str, float]) -> None:
        """Show the speed and the loss."""
        speed = f"{seconds_per_step:.2f} s/step"
        self.progress.update(self.bar, speed=speed)
        figures = " ".join(f"{name} {value:.4f}" for name, value in terms.items())
        self.line(f"step {done}{self._of} {speed}, {max(0.0, minutes_left):.0f} min left: {figures}")
