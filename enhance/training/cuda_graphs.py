"""Training steps as CUDA graphs: what a step computes is recorded once, and then replayed as a whole.

A step of a small network is thousands of short kernels that Python launches one by one. A step of `small` with the
loudness term (64 examples of 3 s, H200, torch 2.11, bfloat16) took 98 ms so, and 80 ms captured; gradients agreed to
1.2e-5 of their norm. That was with a backward pass of the GRU of our own (`enhance.model.gru`), not with cuDNN's. What
depends on the source of the mixtures alone is a graph of its own, replayed when the source changes. See "CUDA Graphs"
in the notes on CUDA semantics of PyTorch's documentation.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from enhance.data.mixing import Mixture
from enhance.training.objective import Objective, TargetFeatures, Terms

WARM_UP = 3  # runs before a capture, in which libraries choose their algorithms


class CapturedSteps:
    """Loss of mixtures of one shape, ready for `backward`.

    Args:
        network: whose parameters get gradients.
        estimate: from that network and ``[batch, samples]`` to the estimate.
        objective: compares it with the target.
        mixture: one like all that follow.
    """

    def __init__(
        self,
        network: nn.Module,
        estimate: Callable[[nn.Module, Tensor], Tensor],
        objective: Objective,
        mixture: Mixture,
    ) -> None:
        self._now: Tensor | None = None  # the source that was heard last
        self._source = mixture.source.clone()
        self._hearing = torch.cuda.CUDAGraph()
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM_UP):
                objective.hear(self._source)
        torch.cuda.current_stream().wait_stream(side)
        with torch.cuda.graph(self._hearing):
            self._heard = objective.hear(self._source)
        self._hearing.replay()
        self._progress = torch.zeros((), device=mixture.noisy.device)
        turns = max(1, len(objective.plain.config.more_windows))
        inputs = (mixture.noisy.clone(), mixture.target.clone(), mixture.band_limit.clone(), self._progress)
        self._steps: list[Callable[..., tuple[Tensor, ...]]] = []
        for turn in range(turns):
            step = _Step(network, estimate, objective, self._heard, turn)
            torch.cuda.make_graphed_callables(step, inputs)  # in place
            self._steps.append(step)

    def __call__(self, mixture: Mixture, progress: float, turn: int) -> Terms:
        """Compare as `Objective.forward` does; the result is overwritten by the next call with the same turn."""
        if mixture.source is not self._now:
            self._source.copy_(mixture.source)
            self._hearing.replay()
            self._now = mixture.source
        self._progress.fill_(progress)
        step = self._steps[turn % len(self._steps)]
        return Terms(*step(mixture.noisy, mixture.target, mixture.band_limit, self._progress))


class _Step(nn.Module):
    """A step from a mixture's tensors to the terms, a function of tensors alone."""

    def __init__(
        self,
        network: nn.Module,
        estimate: Callable[[nn.Module, Tensor], Tensor],
        objective: Objective,
        heard: TargetFeatures,
        turn: int,
    ) -> None:
        super().__init__()
        self.network = network
        self._parts = estimate, objective, heard, turn

    def forward(self, noisy: Tensor, target: Tensor, band_limit: Tensor, progress: Tensor) -> tuple[Tensor, ...]:
        estimate, objective, heard, turn = self._parts
        mixture = Mixture(noisy, target, band_limit, heard.source)
        return tuple(objective(estimate(self.network, noisy), mixture, progress, turn, heard))
