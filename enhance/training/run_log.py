"""Log of a training: lines and a progress bar on the terminal, curves, sounds and pictures in TensorBoard."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Self

from torch.utils.tensorboard import SummaryWriter

from enhance.training.progress import Display
from enhance.training.run_state import LAST
from enhance.training.schedule import TrainConfig


def nothing_left(path: Path, step: int, seconds: float) -> str:
    """Describe a checkpoint whose training is over."""
    return f"{path} is finished: {step} steps in {seconds / 60:.1f} min, nothing is left to train"


class RunLog:
    """Context in which a run is logged, by one of its processes.

    Args:
        directory: for the event files of TensorBoard.
        config: the schedule.
        begin: steps that were done before.
        before: seconds that they took.
        enabled: false for all processes but one.

    Attributes:
        writer: of TensorBoard, for sounds and pictures; None where the log is not enabled.
    """

    def __init__(self, directory: Path, config: TrainConfig, begin: int, before: float, enabled: bool) -> None:
        self.writer = SummaryWriter(str(directory), purge_step=begin + 1) if enabled else None
        self._config = config
        self._directory, self._begin = directory, begin
        self._begun = config.done(begin, before)
        self._display = Display(None if config.minutes else config.steps, self._begun, enabled)
        self._logged_step = begin
        self._started = self._logged = time.monotonic()

    def __enter__(self) -> Self:
        self._display.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._display.__exit__(None, None, None)
        if self.writer:
            self.writer.close()

    def notes(self, lines: Sequence[str]) -> None:
        """Print lines on how the run goes on."""
        for line in lines:
            self._display.line(line)

    def advance(self, step: int, seconds: float) -> None:
        """Move the bar to so many steps, which took `seconds` in all."""
        self._display.advance(step, self._config.done(step, seconds))

    def ended(self, step: int, seconds: float) -> None:
        """Say where the run stands."""
        path = self._directory / LAST
        if step > self._begin:
            self._display.line(f"finished: {step} steps in {seconds / 60:.1f} min; the weights are in {path}")
        else:
            self._display.line(nothing_left(path, step, seconds))

    def training(self, step: int, seconds: float, terms: NamedTuple, norm: float, rate_factor: float) -> None:
        """Log the loss, speed and time left after so many steps, which took `seconds` in all.

        Args:
            step, seconds: where the run is.
            terms: the loss and its parts, scalars.
            norm: of the gradient, before it is limited.
            rate_factor: of the learning rates.
        """
        if not self.writer:
            return
        now, behind = time.monotonic(), self._config.done(step, seconds)
        values = {name: value.item() for name, value in terms._asdict().items()}
        minutes_left = (1 - behind) / (behind - self._begun) * (now - self._started) / 60
        self._display.terms(step, (now - self._logged) / (step - self._logged_step), minutes_left, values)
        self._logged, self._logged_step = now, step
        self._write("train", step, values | {"gradient_norm": norm, "rate_factor": rate_factor})

    def validation(self, step: int, values: Mapping[str, float]) -> None:
        """Log figures on held-out data, if there are any."""
        if not values:
            return
        self._display.line(" ".join([f"step {step} valid", *(f"{name} {value:.4f}" for name, value in values.items())]))
        self._write("valid", step, values)

    def _write(self, group: str, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            if self.writer:
                self.writer.add_scalar(f"{group}/{name}", value, step)
