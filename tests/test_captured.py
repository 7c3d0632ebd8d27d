"""Steps as CUDA graphs compute what they compute one kernel at a time."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from recordings import SHORT, SMALLEST, build

from enhance.loss import LossConfig
from enhance.mixing import Mixer
from enhance.network import Enhancer
from enhance.objective import Objective, ObjectiveConfig
from enhance.train import Enhancement

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="CUDA graphs need a GPU of NVIDIA's")

STEPS = 6  # of each material two, with each resolution


def trained(mixer: Mixer, capture: bool) -> list[torch.Tensor]:
    """The loss and the gradient of some steps, as the weights move on."""
    torch.manual_seed(0)
    network = Enhancer(SMALLEST).cuda()
    objective = Objective(ObjectiveConfig(extra=("loudness",), extra_last=0.5), LossConfig(), mixer)
    task = Enhancement(network, objective, mixer, None, fast=False, capture=capture)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
    found = []
    for step in range(STEPS):
        terms = task.terms(network, step, 0, 8, progress=step / STEPS)
        terms.total.backward()
        gradients = [parameter.grad.flatten() for parameter in network.parameters() if parameter.grad is not None]
        found.append(torch.cat([terms.total.detach()[None], *gradients]))
        optimizer.step()
        optimizer.zero_grad()
    return found


def test_captured_steps_are_the_same_steps(tmp_path: Path) -> None:
    caches = [cache.to("cuda") for cache in build(tmp_path)]
    mixers = [Mixer(*caches, replace(SHORT, reuse=2), 0, "cuda") for _ in range(2)]
    for ours, theirs in zip(trained(mixers[0], True), trained(mixers[1], False), strict=True):
        assert (ours - theirs).norm() < 1e-3 * theirs.norm()
