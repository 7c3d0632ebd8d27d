"""The training loop of every network here: Lightning Fabric, one checkpoint file, exact resumption.

A `Task` brings the network and its loss; the loop brings the schedule, the optimisers, averaging of weights,
validation, checkpoints and logs. The learning rate rises, stays, and falls to zero as one minus a square root over the
last part (Hägele et al., "Scaling laws and compute-optimal training beyond fixed training durations", NeurIPS 2024), so
that a run may be made longer until that last part begins. On a machine that is lent for a time, the clock may stand for
the steps (`minutes`). Matrices are trained by Muon (Jordan et al., 2024), the rest by AdamW.

Everything random depends on seed and step alone: stopping and resuming changes nothing, unless the clock rules.
"""

import copy
import math
import signal
import time
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

from enhance.model.checkpoint import FORMAT, load_checkpoint, save_atomically
from enhance.training.progress import Display

if TYPE_CHECKING:
    from lightning.fabric import Fabric

LAST = "last.pt"


@dataclass(frozen=True)
class TrainConfig:
    """How a network is trained; the whole of it is saved in the checkpoint."""

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
        if self.steps < 1 or self.batch < 1 or self.minutes < 0 or not 0 < self.decay <= 1:
            raise ValueError(f"steps and batch must be positive and decay in (0, 1], minutes not negative; got {self}")

    @property
    def decay_from(self) -> int:
        """The step at which the rates start to fall, unless the clock says it earlier."""
        return round(self.steps * (1 - self.decay))

    def done(self, step: int, seconds: float = 0.0) -> float:
        """The part of the training that is behind, by steps or by the clock, whichever is further."""
        return max(step / self.steps, seconds / (60 * self.minutes) if self.minutes else 0.0)

    def rate_factor(self, step: int, seconds: float = 0.0) -> float:
        """What the learning rates are multiplied with, after so much training.

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
        """0 until the rates fall, then up to 1 as they reach zero; losses shift their weights by it."""
        return 0.0 if self.done(step, seconds) < 1 - self.decay else 1 - self.rate_factor(step, seconds)


class Task(Protocol):
    """What is trained."""

    @property
    def network(self) -> nn.Module:
        """The network, moved and changed in place."""
        ...

    def describe(self) -> dict[str, Any]:
        """Plain values that a checkpoint needs for the network to be built again."""
        ...

    def terms(self, network: nn.Module, step: int, first: int, count: int, progress: float) -> NamedTuple:
        """Loss of examples ``first`` to ``first + count`` of a step; the field ``total`` is differentiated."""
        ...

    def validate(self, network: nn.Module, writer: SummaryWriter | None, step: int) -> dict[str, float]:
        """Figures on held-out data; sounds and pictures go to the writer."""
        ...


def make_optimizers(network: nn.Module, config: TrainConfig) -> list[torch.optim.Optimizer]:
    """AdamW for vectors and position tables, Muon for matrices (or AdamW for all)."""
    matrices = [p for n, p in network.named_parameters() if p.ndim == 2 and "position" not in n and config.muon]
    chosen = {id(p) for p in matrices}
    others = [p for p in network.parameters() if id(p) not in chosen]
    settings: dict[str, Any] = {"lr": config.rate, "weight_decay": config.weight_decay}
    optimizers: list[torch.optim.Optimizer] = [torch.optim.AdamW(others, **settings)]
    if matrices:
        optimizers.append(torch.optim.Muon(matrices, adjust_lr_fn="match_rms_adamw", **settings))
    return optimizers


class Average:
    """Running average of a network's weights, unbiased at the start; buffers are taken as they are."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        decay = min(self.decay, (1 + step) / (10 + step))
        for ours, theirs in zip(self.network.parameters(), network.parameters(), strict=True):
            ours.lerp_(theirs, 1 - decay)
        for ours, theirs in zip(self.network.buffers(), network.buffers(), strict=True):
            ours.copy_(theirs)  # statistics of batch normalisation are averages already


class Interrupt:
    """Notes SIGINT and SIGTERM so that the loop stops between two steps; a second one stops at once."""

    def __init__(self) -> None:
        self.received = False

    def __enter__(self) -> "Interrupt":
        self._before = {s: signal.signal(s, self._note) for s in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, _: object) -> None:
        if self.received:
            raise KeyboardInterrupt
        self.received = True


def resume(
    task: Task, config: TrainConfig, path: Path, optimizers: list[torch.optim.Optimizer], average: Average
) -> tuple[int, float]:
    """Takes up a checkpoint if there is one; returns the step to go on with and the seconds that were trained.

    Raises:
        ValueError: the checkpoint is of another network or schedule. Only `steps` may change, before the rates fall.
    """
    if not path.is_file():
        return 0, 0.0
    checkpoint = load_checkpoint(path)
    if checkpoint["task"] != task.describe():
        raise ValueError(f"'{path}' was made by {checkpoint['task']}, not {task.describe()}; choose another folder")
    before, free = TrainConfig(**checkpoint["config"]), {"save_minutes", "validate_every", "log_every"}
    differ = [k for k, v in asdict(before).items() if k not in free and v != asdict(config)[k]]
    step: int = checkpoint["step"]
    if differ and (differ != ["steps"] or step > min(before.decay_from, config.decay_from)):
        raise ValueError(
            f"'{path}' was trained with other values of {', '.join(differ)}; only the number of steps may change, and "
            f"only until the learning rate falls (step {before.decay_from}; this is step {step})"
        )
    task.network.load_state_dict(checkpoint["network"])
    average.network.load_state_dict(checkpoint["average"])
    for optimizer, state in zip(optimizers, checkpoint["optimizers"], strict=True):
        optimizer.load_state_dict(state)
    return step, checkpoint.get("seconds", 0.0)


def check(norm: Tensor, step: int) -> None:
    """Raises FloatingPointError if a norm of gradients, or a sum of such, is not finite."""
    if not torch.isfinite(norm):
        when = "by" if norm.is_cuda else "at"  # on a GPU it is looked at now and then only
        raise FloatingPointError(f"the gradient is {norm.item()} {when} step {step}; the last checkpoint is kept")


def fit(fabric: "Fabric", task: Task, config: TrainConfig, directory: Path) -> nn.Module:
    """Trains, or goes on with the checkpoint in ``directory``.

    Args:
        fabric: launched; its processes share each batch evenly.
        task: the network, on the CPU, and its loss.
        config: the schedule.
        directory: gets ``last.pt`` and TensorBoard logs.

    Returns:
        The network with averaged weights.

    Raises:
        ValueError: the batch does not divide by the processes, or the checkpoint does not fit.
        KeyboardInterrupt: after a signal, when the checkpoint is written.
    """
    if config.batch % fabric.world_size:
        raise ValueError(f"a batch of {config.batch} cannot be shared by {fabric.world_size} processes evenly")
    directory.mkdir(parents=True, exist_ok=True)
    count = config.batch // fabric.world_size
    first = fabric.global_rank * count
    average = Average(task.network, config.average)
    optimizers = make_optimizers(task.network, config)
    network, *wrapped = fabric.setup(task.network, *optimizers)
    average.network.to(fabric.device)
    begin, before = resume(task, config, directory / LAST, optimizers, average)  # now: all lies on the device
    writer = SummaryWriter(str(directory), purge_step=begin) if fabric.is_global_zero else None

    def save(step: int, seconds: float) -> None:
        if fabric.is_global_zero:
            save_atomically(
                {
                    "format": FORMAT,
                    "task": task.describe(),
                    "config": asdict(config),
                    "step": step,
                    "seconds": seconds,
                    "network": task.network.state_dict(),
                    "average": average.network.state_dict(),
                    "optimizers": [optimizer.state_dict() for optimizer in optimizers],
                    "torch": str(torch.__version__),
                },
                directory / LAST,
            )

    waits = fabric.device.type == "cuda"  # to look at a value would let the GPU run dry in every step
    norms = torch.zeros((), device=fabric.device)
    started = saved = logged = time.monotonic()
    logged_step, done, seconds = begin, begin, before
    shown = Display(config.steps, begin, fabric.is_global_zero)
    with Interrupt() as interrupt, shown as display, writer or nullcontext():
        while config.done(done, seconds) < 1:
            step, factor = done, config.rate_factor(done, seconds)
            for group in (group for optimizer in optimizers for group in optimizer.param_groups):
                group["lr"] = config.rate * factor
            terms = task.terms(network, step, first, count, config.progress(step, seconds))
            total: Tensor = terms[0]
            fabric.backward(total)
            norm = nn.utils.clip_grad_norm_(network.parameters(), config.gradient_limit)
            norms = norms + norm
            if not waits:
                check(norms, step)
            for optimizer in wrapped:
                optimizer.step()
                optimizer.zero_grad()
            average.update(task.network, step)
            done = step + 1
            now = time.monotonic()
            agreed = torch.tensor([float(interrupt.received), before + now - started])
            agreed = torch.as_tensor(fabric.all_reduce(agreed, reduce_op="sum")).cpu()
            stop, seconds = float(agreed[0]) > 0, float(agreed[1]) / fabric.world_size
            last = config.done(done, seconds) >= 1
            saves = stop or last or now - saved > 60 * config.save_minutes
            if saves or done % config.log_every == 0:
                check(norms, step)
                norms = torch.zeros_like(norm)
            display.advance(done)
            if writer and (done % config.log_every == 0 or last):
                values = {name: value.item() for name, value in terms._asdict().items()}
                behind, share = config.done(done, seconds), config.done(begin, before)
                left = (1 - behind) / (behind - share) * (now - started) / 60
                display.terms(done, (now - logged) / (done - logged_step), left, values)
                logged, logged_step = now, done
                values |= {"gradient_norm": float(norm), "rate_factor": factor}
                for name, value in values.items():
                    writer.add_scalar(f"train/{name}", value, done)
            if done % config.validate_every == 0 or last:
                if writer:
                    held_out = task.validate(average.network, writer, done)
                    display.line(" ".join([f"step {done} valid", *(f"{k} {v:.4f}" for k, v in held_out.items())]))
                    for name, value in held_out.items():
                        writer.add_scalar(f"valid/{name}", value, done)
                fabric.barrier()
            if saves:
                save(done, seconds)
                saved = time.monotonic()
            if stop:
                fabric.barrier()  # no process ends before the checkpoint is written
                raise KeyboardInterrupt
    return average.network
