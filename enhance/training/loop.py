"""The training loop of every network here: Lightning Fabric, one checkpoint file, exact resumption.

A `Task` brings the network and its loss; the loop brings the optimisers, and calls the schedule
(`enhance.training.schedule`), the average of the weights (`ema`), the checkpoint (`run_state`) and the log (`run_log`).
Matrices are trained by Muon (Jordan et al., 2024), the rest by AdamW.

Everything random depends on seed and step alone: stopping and resuming changes nothing, unless `minutes` sets the end.
"""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from enhance.training.ema import Average
from enhance.training.run_log import RunLog
from enhance.training.run_state import LAST, RunState, Task
from enhance.training.schedule import TrainConfig
from enhance.utils.interrupt import Stopper

if TYPE_CHECKING:
    from lightning.fabric import Fabric


def fit(fabric: "Fabric", task: Task, config: TrainConfig, directory: Path) -> nn.Module:
    """Train, or go on with the checkpoint in ``directory``.

    Args:
        fabric: launched; its processes share each batch evenly.
        task: the network, on the CPU, and its loss.
        config: the schedule.
        directory: gets ``last.pt`` and TensorBoard logs.

    Returns:
        The network with averaged weights.

    Raises:
        ValueError: the batch does not divide by the processes, or the checkpoint does not fit.
        FloatingPointError: a gradient is not finite.
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
    state = RunState(task, config, optimizers, average)
    step, seconds = state.restore(directory / LAST)  # now: all lies on the device
    log = RunLog(directory, config, step, seconds, fabric.is_global_zero)
    clock, gradients = Clock(fabric, seconds), GradientCheck(fabric.device)
    with Stopper() as stopper, log:
        log.notes(state.notes)
        while config.done(step, seconds) < 1:
            factor = config.rate_factor(step, seconds)
            set_rates(optimizers, config.rate * factor)
            terms = task.terms(network, step, first, count, config.progress(step, seconds))
            fabric.backward(terms[0])
            norm = nn.utils.clip_grad_norm_(network.parameters(), config.gradient_limit)
            gradients.note(norm, step)
            for optimizer in wrapped:
                optimizer.step()
                optimizer.zero_grad()
            average.update(task.network, step)
            step += 1

            stop, seconds = clock.agree(stopper.received)
            last = config.done(step, seconds) >= 1
            saves = stop or last or clock.minutes_since_save > config.save_minutes
            logs, validates = step % config.log_every == 0, step % config.validate_every == 0
            if saves or logs:
                gradients.check(step - 1)
            log.advance(step, seconds)
            if logs or last:
                log.training(step, seconds, terms, float(norm), factor)
            if validates or last:
                if log.writer:
                    log.validation(step, task.validate(average.network, log.writer, step))
                fabric.barrier()
            if saves:
                if fabric.is_global_zero:
                    state.save(directory / LAST, step, seconds)
                clock.saved()
            if stop:
                fabric.barrier()  # no process ends before the checkpoint is written
                raise KeyboardInterrupt
        log.ended(step, seconds)
    return average.network


def make_optimizers(network: nn.Module, config: TrainConfig) -> list[torch.optim.Optimizer]:
    """Make AdamW for vectors and position tables, Muon for matrices (or AdamW for all)."""
    matrices = [p for n, p in network.named_parameters() if p.ndim == 2 and "position" not in n and config.muon]
    chosen = {id(p) for p in matrices}
    others = [p for p in network.parameters() if id(p) not in chosen]
    settings: dict[str, Any] = {"lr": config.rate, "weight_decay": config.weight_decay}
    optimizers: list[torch.optim.Optimizer] = [torch.optim.AdamW(others, **settings)]
    if matrices:
        optimizers.append(torch.optim.Muon(matrices, adjust_lr_fn="match_rms_adamw", **settings))
    return optimizers


def set_rates(optimizers: list[torch.optim.Optimizer], rate: float) -> None:
    """Set the learning rate of every parameter."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate


class Clock:
    """Time of a run, the same in all of its processes, so that they end and save at the same step.

    Args:
        fabric: the processes.
        before: seconds that were trained before.
    """

    def __init__(self, fabric: "Fabric", before: float) -> None:
        self._fabric, self._before = fabric, before
        self._started = self._saved = time.monotonic()
        self.minutes_since_save = 0.0

    def agree(self, stop: bool) -> tuple[bool, float]:
        """Return whether any process wants to stop, and the mean of their seconds of training."""
        now = time.monotonic()
        ours = torch.tensor([float(stop), self._before + now - self._started, now - self._saved])
        stops, seconds, unsaved = torch.as_tensor(self._fabric.all_reduce(ours, reduce_op="sum")).cpu().tolist()
        self.minutes_since_save = unsaved / self._fabric.world_size / 60
        return stops > 0, seconds / self._fabric.world_size

    def saved(self) -> None:
        """Count the time to the next checkpoint from now on."""
        self._saved = time.monotonic()


class GradientCheck:
    """Looks for gradients that are not finite: in every step on a CPU, when asked on a GPU.

    To look at a value in every step would let a GPU run dry, so norms are added up there until then.
    """

    def __init__(self, device: torch.device) -> None:
        self._sum = torch.zeros((), device=device)

    def note(self, norm: Tensor, step: int) -> None:
        """Take in the norm of a step's gradient."""
        self._sum = self._sum + norm
        if self._sum.device.type != "cuda":
            self.check(step)

    def check(self, step: int) -> None:
        """Raise FloatingPointError if one of the norms since the last check is not finite."""
        if not torch.isfinite(self._sum):
            when = "by" if self._sum.is_cuda else "at"
            raise FloatingPointError(
                f"the gradient is {self._sum.item()} {when} step {step}; the last checkpoint is kept"
            )
        self._sum = torch.zeros_like(self._sum)
