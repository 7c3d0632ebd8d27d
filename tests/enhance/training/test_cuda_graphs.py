"""Steps as CUDA graphs compute what they compute one kernel at a time."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from recordings import SHORT, SMALLEST, build

from emulator.losses.plugins import EXTRAS
from enhance.data.mixing import Mixer
from enhance.model.network import Enhancer
from enhance.training.loss import LossConfig
from enhance.training.objective import Objective, ObjectiveConfig
from enhance.training.task import EnhancementTask

STEPS = 6  # of each material two, with each resolution


def make_task(mixer: Mixer, capture: bool) -> EnhancementTask:
    torch.manual_seed(0)
    loudness = EXTRAS["loudness"].make(mixer.device)
    objective = Objective(ObjectiveConfig(extra=("loudness",), extra_last=0.5), LossConfig(), mixer, [loudness])
    return EnhancementTask(Enhancer(SMALLEST).to(mixer.device), objective, mixer, None, fast=False, capture=capture)


def trained(task: EnhancementTask) -> list[torch.Tensor]:
    """The loss and the gradient of some steps, as the weights move on."""
    network = task.network
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


@pytest.mark.skipif(not torch.cuda.is_available(), reason="CUDA graphs need a GPU of NVIDIA's")
def test_captured_steps_are_the_same_steps(tmp_path: Path) -> None:
    speech, noise, rooms = (cache.to("cuda") for cache in build(tmp_path))
    mixers = [Mixer(speech, noise, rooms, replace(SHORT, reuse=2), 0, "cuda") for _ in range(2)]
    for ours, theirs in zip(trained(make_task(mixers[0], True)), trained(make_task(mixers[1], False)), strict=True):
        assert (ours - theirs).norm() < 1e-3 * theirs.norm()


@pytest.mark.skipif(torch.cuda.is_available(), reason="steps can be captured here")
def test_what_cannot_be_captured_says_what_to_do(tmp_path: Path) -> None:
    task = make_task(Mixer(*build(tmp_path), SHORT, 0), True)
    with pytest.raises(ValueError, match=r"^steps cannot be captured as CUDA graphs \(.+\); add --eager$"):
        task.terms(task.network, 0, 0, 8, progress=0.0)
