"""The codec loss as its users hold it: printed, mapped over a batch, at a low rate, and alone."""

import warnings

import pytest
import torch

from emulator import Balancer
from emulator.losses import codec_loss
from emulator.losses.codec_loss import CodecLoss
from emulator.model.network import Emulator
from emulator.model.presets import random_emulator


@pytest.fixture(scope="module")
def emulator() -> Emulator:
    return random_emulator("mp3-v9-16k", seed=0)


def test_it_prints_on_one_line(emulator: Emulator) -> None:
    assert repr(CodecLoss(emulator, sample_rate=48_000)) == (
        "CodecLoss(v9 at 16000 Hz from 48000 Hz in float32, noise_to_mask)"
    )


@pytest.mark.filterwarnings("ignore:There is a performance drop")
def test_vmap_gives_what_a_loop_gives(emulator: Emulator) -> None:
    loss = CodecLoss(emulator, sample_rate=16_000, loudness=1.0, output=1.0, layers=1.0)
    torch.manual_seed(0)
    target = 0.1 * torch.randn(2, 3, 8_000)
    estimate = target + 0.01 * torch.randn(2, 3, 8_000)
    mapped = torch.vmap(loss)(estimate, target)
    looped = torch.stack([loss(e, t) for e, t in zip(estimate, target, strict=True)])
    torch.testing.assert_close(mapped, looped, rtol=1e-4, atol=1e-6)


def test_a_rate_under_the_emulators_is_said(emulator: Emulator) -> None:
    with pytest.warns(UserWarning, match="signals at 8000 Hz hold nothing above 4000 Hz"):
        CodecLoss(emulator, sample_rate=8_000)


def test_used_alone_it_warns_once_and_beside_others_never(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    codec_loss._warn_alone.cache_clear()
    monkeypatch.setattr(Balancer, "made", False)
    loss = CodecLoss(emulator, sample_rate=16_000)
    target = 0.1 * torch.randn(1, 4_000)
    estimate = (0.9 * target).requires_grad_()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loss(estimate.detach(), target)  # as a score
    with pytest.warns(UserWarning, match="alone it spoils a training"):
        loss(estimate, target)
    codec_loss._warn_alone.cache_clear()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Balancer({"codec": 1.0})
        loss(estimate, target)
