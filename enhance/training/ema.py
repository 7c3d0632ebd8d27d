"""Exponential moving average of a network's weights, which is what is validated and exported."""

import copy

import torch
from torch import nn


class Average:
    """Average of a network's weights that follows them.

    Args:
        network: whose weights it begins with; a copy is kept.
        decay: share of the former average that an update keeps, in the first steps (1 + step) / (10 + step) at most.

    Attributes:
        network: the copy, with averaged weights, for evaluation.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Take in the weights after step number `step`, 0 for the first."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for ours, theirs in zip(self.network.parameters(), network.parameters(), strict=True):
            ours.lerp_(theirs, 1 - decay)
        for ours, theirs in zip(self.network.buffers(), network.buffers(), strict=True):
            ours.copy_(theirs)  # statistics of batch normalisation are averages already
