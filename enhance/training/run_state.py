"""State of a training between two steps: written to a checkpoint, and taken up again exactly."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
from torch import nn
from torch.utils.tensorboard import SummaryWriter

from enhance.model.checkpoint import FORMAT, load_checkpoint, save_atomically
from enhance.training.ema import Average
from enhance.training.schedule import TrainConfig

LAST = "last.pt"  # the checkpoint in the folder of a run
FREE = {"save_minutes", "validate_every", "log_every"}  # settings that change nothing of what is trained


def finished(path: Path, task: Mapping[str, Any], config: TrainConfig) -> tuple[int, float] | None:
    """Return steps and seconds of a checkpoint of this very task and schedule that was trained to its end, else None.

    Args:
        path: of the checkpoint.
        task: as `Task.describe` gives it.
        config: the schedule.

    Raises:
        ValueError: the checkpoint is damaged.
    """
    if not path.is_file():
        return None
    checkpoint = load_checkpoint(path)
    step, seconds, ours = checkpoint["step"], checkpoint.get("seconds", 0.0), asdict(config)
    same = checkpoint["task"] == task and all(
        key in FREE or value == ours.get(key) for key, value in checkpoint["config"].items()
    )
    return (step, seconds) if same and config.done(step, seconds) >= 1 else None


def differing(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return the former values of what differs, as ``KEY=VALUE``.

    Example:
        >>> differing({"mix": {"room": 0.3, "join": 0.1}, "start": ""}, {"mix": {"room": 0.5, "join": 0.1}, "start": 1})
        ['room=0.3', 'start=""']
    """
    found: list[str] = []
    for key in dict.fromkeys([*before, *now]):
        one, other = before.get(key), now.get(key)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            found += differing(one, other)
        elif one != other:
            found.append(f"{key}={json.dumps(one)}")
    return found


def unknown(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return the names in groups of settings that the same groups of now lack.

    Example:
        >>> unknown({"mix": {"room": 0.3, "fog": 0.1}, "start": ""}, {"mix": {"room": 0.5}})
        ['fog']
    """
    both = [(group, now.get(name)) for name, group in before.items()]
    return [
        name
        for one, other in both
        if isinstance(one, Mapping) and isinstance(other, Mapping)
        for name in one
        if name not in other
    ]


class Task(Protocol):
    """A network with its data and its loss."""

    @property
    def network(self) -> nn.Module:
        """The network, moved and changed in place."""
        ...

    def describe(self) -> dict[str, Any]:
        """Return plain values that a checkpoint needs for the network to be built again."""
        ...

    def recordings(self) -> dict[str, str]:
        """Return, by the names of its parts, what sound is trained on."""
        ...

    def terms(self, network: nn.Module, step: int, first: int, count: int, progress: float) -> NamedTuple:
        """Return the loss of examples ``first`` to ``first + count`` of a step; its ``total`` is differentiated."""
        ...

    def validate(self, network: nn.Module, writer: SummaryWriter | None, step: int) -> dict[str, float]:
        """Return figures on held-out data; sounds and pictures go to the writer."""
        ...


class RunState:
    """All that the next step depends on.

    Args:
        task: brings the network.
        config: the schedule.
        optimizers: with their memory of past gradients.
        average: of the weights.

    Attributes:
        notes: lines on what differs from the checkpoint that was taken up, and may.
    """

    def __init__(
        self, task: Task, config: TrainConfig, optimizers: Sequence[torch.optim.Optimizer], average: Average
    ) -> None:
        self._task, self._config, self._optimizers, self._average = task, config, optimizers, average
        self.notes: list[str] = []

    def save(self, path: Path, step: int, seconds: float) -> None:
        """Write the state after `step` steps, which took `seconds`."""
        content = {
            "format": FORMAT,
            "task": self._task.describe(),
            "config": asdict(self._config),
            "recordings": self._task.recordings(),
            "step": step,
            "seconds": seconds,
            "network": self._task.network.state_dict(),
            "average": self._average.network.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self._optimizers],
            "torch": str(torch.__version__),
        }
        save_atomically(content, path)

    def restore(self, path: Path) -> tuple[int, float]:
        """Take up a checkpoint if there is one.

        Returns:
            The number of steps that are done, and the seconds that they took; zeros without a checkpoint.

        Raises:
            ValueError: the checkpoint is damaged, an average, or of another network or schedule. Only `steps`
                and `minutes` may change, before the rates fall.
        """
        if not path.is_file():
            return 0, 0.0
        checkpoint = load_checkpoint(path)
        if "optimizers" not in checkpoint:
            raise ValueError(f"'{path}' is of enhance.average: export it, and go on from its weights by --start")
        step: int = checkpoint["step"]
        self._check(checkpoint, path)
        now, before = self._task.recordings(), checkpoint.get("recordings", {})
        self.notes = [
            f"note: {name}: {before.get(name, 'none')} up to step {step}, {now.get(name, 'none')} from here on"
            for name in (dict.fromkeys([*before, *now]) if before else ())
            if before.get(name) != now.get(name)
        ]
        self._task.network.load_state_dict(checkpoint["network"])
        self._average.network.load_state_dict(checkpoint["average"])
        for optimizer, state in zip(self._optimizers, checkpoint["optimizers"], strict=True):
            optimizer.load_state_dict(state)
        return step, checkpoint.get("seconds", 0.0)

    def _check(self, checkpoint: dict[str, Any], path: Path) -> None:
        ours, step, seconds = self._task.describe(), checkpoint["step"], checkpoint.get("seconds", 0.0)
        theirs, schedule = checkpoint["task"], ({"": checkpoint["config"]}, {"": asdict(self._config)})
        if others := [*unknown(theirs, ours), *unknown(ours, theirs), *unknown(*schedule)]:
            raise ValueError(
                f"'{path}' is of another version of mpeace, whose settings differ ({', '.join(others)}); go on with "
                "that version, or choose another folder"
            )
        if checkpoint["task"] != ours:
            made = ", ".join(differing(checkpoint["task"], ours))
            raise ValueError(f"'{path}' was made with {made}; name the same, or choose another folder")
        before, config = TrainConfig(**checkpoint["config"]), self._config
        differ = [key for key, value in asdict(before).items() if key not in FREE and value != getattr(config, key)]
        falls = before.falls(step, seconds) or config.falls(step, seconds)
        if differ and (not {*differ} <= {"steps", "minutes"} or falls):
            when = f"{before.minutes * (1 - before.decay):.1f} min" if before.minutes else f"step {before.decay_from}"
            raise ValueError(
                f"'{path}' was trained with other values of {', '.join(differ)}; only steps and minutes may change, "
                f"and only until the learning rate falls ({when}; this is step {step} after {seconds / 60:.1f} min)"
            )
