"""Settings of a training, and the course of its learning rates over steps or time.

The learning rate rises, stays, and falls to zero as one minus a square root over the last part (Hägele et al., "Scaling
laws and compute-optimal training beyond fixed training durations", NeurIPS 2024), so that a run may be made longer
until that last part begins. On a machine that is lent for a time, the clock may stand for the steps (`minutes`).
"""

import math
from dataclasses import dataclass

from enhance.data.counter_random import LARGEST_SEED
from enhance.utils.ranges import check_ranges


@dataclass(frozen=True)
class TrainConfig:
    """Settings of a training; all of them are saved in the checkpoint.

    Raises:
        ValueError: a setting is out of range.
    """

    steps: int = 10_000  # updates of the weights
    minutes: float = 0.0  # if above 0: training ends after this time at the latest, and the rates follow the clock
    batch: int = 16  # examples per update, over all processes
    seed: int = 0  # of the initial weights and of every example
    rate: float = 2e-3  # highest learning rate
    muon: bool = True  # matrices are trained by Muon, with updates of the size of AdamW's; else all by AdamW
    weight_decay: float = 0.01  # of both
    warmup: int = 100  # steps in which the rates rise from zero
    decay: float = 0.4  # last part of the steps, in which the rates fall to zero
    gradient_limit: float = 1.0  # largest norm of the gradient
    average: float = 0.998  # decay of the running average of the weights, per step
    validate_every: int = 500  # steps
    save_minutes: float = 5.0  # time between checkpoints
    log_every: int = 20  # steps

    def __post_init__(self) -> None:
        check_ranges(self, ("steps", "batch", "log_every", "validate_every"), 1)
        check_ranges(self, ("minutes", "rate", "weight_decay", "warmup", "gradient_limit", "save_minutes"), 0)
        check_ranges(self, ("seed",), 0, LARGEST_SEED)
        if not 0 < self.decay <= 1:
            raise ValueError(f"decay must be above 0 and at most 1; got {self.decay}")
        if not 0 <= self.average < 1:
            raise ValueError(f"average must be 0 or more and below 1; got {self.average}")

    @property
    def decay_from(self) -> int:
        """Step at which the rates start to fall, unless the clock says it earlier."""
        return round(self.steps * (1 - self.decay))

    def done(self, step: int, seconds: float = 0.0) -> float:
        """Return the part of the training that is behind, 0 to 1, by steps or by the clock, whichever is further."""
        return max(step / self.steps, seconds / (60 * self.minutes) if self.minutes else 0.0)

    def falls(self, step: int, seconds: float = 0.0) -> bool:
        """Return whether the rates have begun to fall."""
        return step > self.decay_from or (bool(self.minutes) and self.done(step, seconds) > 1 - self.decay)

    def rate_factor(self, step: int, seconds: float = 0.0) -> float:
        """Return the factor of the learning rates after `step` steps and `seconds` of training.

        Example:
            >>> config = TrainConfig(steps=100, warmup=10, decay=0.5)
            >>> [round(config.rate_factor(step), 6) for step in (0, 10, 49, 50, 100)]
            [0.1, 1.0, 1.0, 1.0, 0.0]
            >>> TrainConfig(steps=10**6, minutes=1).rate_factor(5000, seconds=60.0)
            0.0
        """
        rising = min(1.0, (step + 1) / max(1, self.warmup))
        past = max(0.0, self.done(step, seconds) - (1 - self.decay)) / self.decay
        return rising * (1 - math.sqrt(min(1.0, past)))

    def progress(self, step: int, seconds: float = 0.0) -> float:
        """Return 0 until the rates fall, then up to 1 as they reach zero; losses shift their weights by it."""
        return 0.0 if self.done(step, seconds) < 1 - self.decay else 1 - self.rate_factor(step, seconds)
