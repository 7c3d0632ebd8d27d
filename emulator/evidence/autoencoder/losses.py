"""The losses of the paper's experiment, as choices from `emulator.losses.distances`.

Each goes through a :class:`emulator.losses.balancer.Balancer`, which brings its gradient to one size, so that all train
under the same conditions, and which mixes the parts of those that have several. The target side of a batch is computed
once for all runs of a loss.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from torch import Tensor

from emulator.losses.balancer import Balancer
from emulator.losses.distances import BASELINE, Distance, codec_distances, plain_distances

PAPER, OURS = "mp3-cbr16-16k", "mp3-v9-16k"  # presets
CALIBRATION = 8  # steps in which the balancer measures gradients
START = "start"  # what the autoencoder yields before training, in place of a loss

Compare = Callable[[Tensor, int], Tensor]
"""Loss of an estimate ``[crops, time]`` of the batch of that number."""


@dataclass(frozen=True)
class LossKind:
    """A loss.

    Args:
        label: in tables.
        parts: distances by name, and the share of each in the gradient.
        preset: of the emulator in it, if there is one.
        trained: whether that emulator is.
        slowness: the larger, the longer a step takes; slow ones are started first.
    """

    label: str
    parts: dict[str, float] = field(default_factory=dict)
    preset: str | None = None
    trained: bool = True
    slowness: int = 0

    @property
    def plain(self) -> bool:
        """True when no codec and no network has a hand in it."""
        return bool(self.parts) and self.preset is None


LOSSES = {
    "l1": LossKind("l1", {"l1": 1.0}),
    "l2": LossKind("l2", {"l2": 1.0}),
    "mr-stft": LossKind("multi-resolution STFT", {BASELINE: 1.0}, slowness=1),
    "paper": LossKind("CBR16 encoder layers (the paper's)", {f"{PAPER} encoder layers": 1.0}, PAPER, slowness=2),
    "ours": LossKind(
        "V9 encoder layers + MR-STFT (ours)", {f"{OURS} encoder layers": 1.0, BASELINE: 1.0}, OURS, slowness=3
    ),
    "random": LossKind(
        "random-weight encoder layers", {f"{PAPER} encoder layers, random weights": 1.0}, PAPER, False, slowness=2
    ),
}
KINDS = {START: LossKind("before training"), **LOSSES}


def make_loss(name: str, batches: Tensor, sample_rate: int) -> Callable[[], Compare]:
    """Return maker of losses for runs. All that it makes share what is known of the targets, and nothing else.

    Args:
        name: one of LOSSES.
        batches: ``[batches, crops, time]``.
        sample_rate: Hz.

    Raises:
        ValueError: there is no such loss.
        enhance.runtime.registry.ModelError: the weights of its emulator are not there.

    Example:
        >>> import torch
        >>> loss = make_loss("l1", torch.zeros(2, 3, 8000), 16_000)()
        >>> estimate = torch.ones(3, 8000, requires_grad=True)
        >>> loss(estimate, 1).backward()
        >>> round(float(estimate.grad.norm(dim=1).sum()), 3)
        1.0
    """
    if name not in LOSSES:
        raise ValueError(f"unknown loss {name!r}; known are {', '.join(LOSSES)}")
    kind = LOSSES[name]
    found: list[Distance] = plain_distances(sample_rate)
    if kind.preset is not None:
        found += codec_distances(kind.preset, sample_rate, kind.trained)
    chosen = {distance.name: distance for distance in found if distance.name in kind.parts}
    known: dict[tuple[str, int], Callable[[Tensor], Tensor]] = {}

    def part(part_name: str, estimate: Tensor, batch: int) -> Tensor:
        key = (part_name, batch)
        if key not in known:
            known[key] = chosen[part_name].to(batches[batch])
        return known[key](estimate)

    def fresh() -> Compare:
        balancer = Balancer(kind.parts, warmup=CALIBRATION)

        def compare(estimate: Tensor, batch: int) -> Tensor:
            return balancer({name: part(name, estimate, batch) for name in kind.parts}, estimate)

        return compare

    return fresh
