"""Terms to balance, and a process that does; apart from the tests, so that another process can import it."""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from emulator.losses.balancer import Balancer

SHARES = {"loud": 3.0, "soft": 1.0}


class Terms(NamedTuple):
    """As those of a loss, with a total that is not balanced."""

    total: Tensor
    loud: Tensor
    soft: Tensor


def make_terms(estimate: Tensor, scale: float = 1.0) -> Terms:
    """Means over the items, whose gradients have norms of 500 and 0.02 times `scale`, whatever the estimate."""
    slope = torch.ones_like(estimate[0]) / estimate[0].numel() ** 0.5
    loud, soft = (gain * scale * (estimate * slope).sum() / len(estimate) for gain in (500.0, 0.02))
    return Terms(loud + soft, loud, soft)


def batch(items: int = 4) -> Tensor:
    return torch.randn(items, 2, 50, generator=torch.Generator().manual_seed(0)).requires_grad_()


def rank(number: int, store: str, results: Any) -> None:
    """One of two processes; their gradients differ, and that of the second overflows once."""
    torch.distributed.init_process_group("gloo", init_method=f"file://{store}", rank=number, world_size=2)
    try:
        balancer = Balancer(SHARES, warmup=2)
        for scale in ((1.0, 3.0), (1.0, math.inf), (1.0, 1.0)):
            estimate = batch()
            balancer(make_terms(estimate, scale[number]), estimate)
        results.put((balancer.calibrated, balancer.factors))
    finally:
        torch.distributed.destroy_process_group()
