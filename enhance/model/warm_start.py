"""The beginning of a network that hears ahead: it computes what the causal one does, whose training then counts."""

import torch
from torch import Tensor, nn


def from_causal(network: nn.Module, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return weights of a network that hears ahead, from those of the causal one; both then compute the same.

    Args:
        network: that hears ahead, as it was made: its further parts begin at zero.
        weights: of the causal one.

    Raises:
        ValueError: the two differ in more than what is heard ahead.
    """
    result = network.state_dict()
    for name, x in weights.items():
        if name not in result or x.shape[1:] != result[name].shape[1:] or len(x) > len(result[name]):
            raise ValueError(f"the weights are of other dimensions: {name} has shape {tuple(x.shape)}")
        if len(x) < len(result[name]) and not name.startswith("head."):
            raise ValueError(f"the weights are of other dimensions: {name} has shape {tuple(x.shape)}")
        result[name] = torch.cat([x, x.new_zeros(len(result[name]) - len(x), *x.shape[1:])])
    return result
