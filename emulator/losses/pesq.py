"""PESQ as a differentiable distance, by the package torch-pesq, which nothing here depends on.

A control that is made for one score: what a loss gains in PESQ by fitting PESQ, and what the other scores say to that.
The package follows ITU-T P.862 without its alignment in time (https://github.com/audiolabs/torch-pesq).
"""

from collections.abc import Callable
from importlib import import_module

from torch import Tensor

from emulator.losses.distances import Distance

PESQ = "torch-pesq"  # name of the distance


def pesq_distance(sample_rate: int, device: str = "cpu") -> Distance:
    """Return the weighted sum of PESQ's symmetric and asymmetric disturbance.

    Args:
        sample_rate: of the signals, Hz.
        device: where to compute.

    Raises:
        ValueError: torch-pesq is not installed.
    """
    try:
        make = import_module("torch_pesq").PesqLoss
    except ImportError as error:
        raise ValueError(f"the further loss 'pesq' needs a package: pip install torch-pesq ({error})") from None
    loss = make(1.0, sample_rate=sample_rate).to(device)

    def to(target: Tensor) -> Callable[[Tensor], Tensor]:
        return lambda estimate: loss(target, estimate).mean().to(estimate.dtype)

    return Distance(PESQ, 1, to)
